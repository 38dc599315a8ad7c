"""What a request asks of a stream's counts, and what it is told where there are none."""

from __future__ import annotations

import asyncio

import pytest

from driftmon.daemon.asked import snapshot_now
from driftmon.daemon.mailbox import Closed
from driftmon.daemon.problem import Problem
from driftmon.monitor.snapshot import Snapshot


async def ends(_: str) -> Snapshot | None:
    raise Closed


async def gathers(_: str) -> Snapshot | None:
    return None


def test_a_daemon_that_ends_says_when_to_come_again() -> None:
    with pytest.raises(Problem, match="the daemon is shutting down") as refused:
        asyncio.run(snapshot_now(ends, "s"))
    assert (refused.value.status, 5 <= int(refused.value.headers["Retry-After"]) <= 10) == (503, True)


def test_a_stream_that_gathers_its_reference_has_no_counts() -> None:
    with pytest.raises(Problem, match="stream s is still gathering its reference") as refused:
        asyncio.run(snapshot_now(gathers, "s"))
    assert refused.value.status == 409
