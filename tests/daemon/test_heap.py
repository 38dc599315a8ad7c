"""What nobody uses any more is the system's again: in an hour of a soak the heap grew by 18 to 33 MiB, mostly holes."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path

import pytest

from driftmon.daemon import heap
from driftmon.daemon.vitals import memory_bytes
from tests.daemon.kit import PATIENCE_S, ready_config, running

HOLE, PIN = 96 * 1024, 2048  # bytes: both come from the heap, the larger in one piece
HOLES = 400

glibc = pytest.mark.skipif(heap.TRIM is None or memory_bytes() is None, reason="needs glibc and /proc")


def held_bytes() -> int:
    found = memory_bytes()
    assert found is not None
    return found


@glibc
def test_holes_between_small_blocks_that_stay_are_given_back() -> None:
    pairs = [(b"x" * HOLE, b"y" * PIN) for _ in range(HOLES)]
    stay = [small for _, small in pairs]
    del pairs
    before = held_bytes()
    heap.give_back()
    assert before - held_bytes() > HOLES * HOLE // 2
    assert {*stay} == {b"y" * PIN}


@glibc
def test_a_daemon_gives_back_for_as_long_as_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def until_the_second_time() -> None:
        loop, often, times = asyncio.get_running_loop(), asyncio.Event(), count(1)

        def noted() -> None:
            if next(times) == 2:
                loop.call_soon_threadsafe(often.set)

        monkeypatch.setattr(heap, "EVERY_S", 0.01)
        monkeypatch.setattr(heap, "give_back", noted)
        async with running(ready_config(tmp_path)), asyncio.timeout(PATIENCE_S):
            await often.wait()

    asyncio.run(until_the_second_time())


def test_where_the_c_library_has_no_way_to_give_back_nothing_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "TRIM", None)
    heap.give_back()
    asyncio.run(heap.keep_giving_back())
