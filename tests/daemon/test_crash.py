"""kill -9 of the real daemon, in small; `make crash` does it by the hundred and the thousand."""

from __future__ import annotations

from pathlib import Path

from tests.campaigns import episode
from tests.campaigns.nursery import Nursery

KILLS, SEED = 5, 5


def test_kill_minus_nine_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    """Also the incident of Fluent Bit #10952: records that were acknowledged, then SIGKILL."""
    nursery = Nursery()
    try:
        found = episode.run(tmp_path, SEED, KILLS, nursery)
    finally:
        nursery.close()
    assert found.faults == []
    assert (found.kills, found.requests > 2 * KILLS) == (KILLS, True)
