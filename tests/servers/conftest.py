"""Real servers as fixtures: started for one test, stopped by their handle, skipped with a reason if missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.helpers import Inbox, alertmanager, require, webhook_receiver

__all__ = ["require"]


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with webhook_receiver() as state:
        yield state


@pytest.fixture
def alertmanager_url(tmp_path: Path, inbox: Inbox) -> Iterator[str]:
    """A real Alertmanager whose notifications go to the inbox."""
    with alertmanager(inbox.url, tmp_path) as url:
        yield url
