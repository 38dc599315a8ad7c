"""One key, one answer; a failure is forgotten; memory is bounded in keys and time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from driftmon.daemon import repeats as module
from driftmon.daemon.repeats import KEEP_S, Repeats
from driftmon.sources.base import Settled


class Counting:
    """Counts its calls; fails those in `failures`."""

    def __init__(self, failures: int = 0) -> None:
        self.calls = 0
        self._failures = failures

    async def __call__(self) -> Settled:
        self.calls += 1
        await asyncio.sleep(0)
        if self.calls <= self._failures:
            raise RuntimeError("busy")
        return Settled(self.calls)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def go() -> None:
        await scenario()

    asyncio.run(go())


def test_one_key_is_counted_once_whether_the_first_has_ended_or_not() -> None:
    async def scenario() -> None:
        repeats, count = Repeats(), Counting()
        together = await asyncio.gather(*(repeats.once(("s", "k"), 0.0, count) for _ in range(3)))
        later = await repeats.once(("s", "k"), KEEP_S - 1, count)
        assert [*together, later] == [(Settled(1), False), *[(Settled(1), True)] * 3]
        assert (await repeats.once(("other stream", "k"), 0.0, count))[0] == Settled(2)

    run(scenario)


def test_a_failure_is_told_to_all_who_wait_and_the_next_try_counts() -> None:
    async def scenario() -> None:
        repeats, count = Repeats(), Counting(failures=1)
        outcomes = await asyncio.gather(
            *(repeats.once(("s", "k"), 0.0, count) for _ in range(2)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [RuntimeError] * 2
        assert await repeats.once(("s", "k"), 0.0, count) == (Settled(2), False)

    run(scenario)


def test_a_key_is_forgotten_after_its_time() -> None:
    async def scenario() -> None:
        repeats, count = Repeats(), Counting()
        await repeats.once(("s", "k"), 0.0, count)
        assert await repeats.once(("s", "k"), KEEP_S, count) == (Settled(2), False)

    run(scenario)


def test_more_keys_than_there_is_room_for_push_the_oldest_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEYS", 2)

    async def scenario() -> None:
        repeats, count = Repeats(), Counting()
        for key in ("a", "b", "c"):
            await repeats.once(("s", key), 0.0, count)
        assert (await repeats.once(("s", "c"), 0.0, count))[1]
        assert not (await repeats.once(("s", "a"), 0.0, count))[1]

    run(scenario)


def test_an_answer_of_an_earlier_process_is_a_repeat_until_its_time_is_over() -> None:
    async def scenario() -> None:
        repeats, count = Repeats(), Counting()
        repeats.recall(("s", "k"), -10.0, Settled(7, durable=True))
        assert await repeats.once(("s", "k"), 0.0, count) == (Settled(7, durable=True), True)
        assert await repeats.once(("s", "k"), KEEP_S - 10.0, count) == (Settled(1), False)

    run(scenario)
