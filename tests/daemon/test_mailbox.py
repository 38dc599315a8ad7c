"""The mailbox: bounded, in order, all or nothing; a refusal is loud and a waiter is woken."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.daemon.mailbox import BLOCK_OVERHEAD_BYTES, TAKE_BYTES, Busy, Closed, Mailbox, Question
from driftmon.sources.base import Block

KIB = 1024


def block(size: int = 1, name: str = "s") -> Block:
    return Block(name, "http", "ndjson", b"x" * size)


def names(mailbox: Mailbox) -> list[str]:
    taken = mailbox.take(0.0) or []
    return [item.stream for item in taken if isinstance(item, Block)]


@given(st.lists(st.integers(min_value=0, max_value=8 * KIB), max_size=40))
def test_what_is_accepted_is_taken_once_and_in_order_and_the_bytes_stay_bounded(sizes: list[int]) -> None:
    mailbox, accepted = Mailbox(32 * KIB), []
    for at, size in enumerate(sizes):
        try:
            mailbox.offer([block(size, str(at))])
            accepted.append(str(at))
        except Busy:
            assert mailbox.bytes + size + BLOCK_OVERHEAD_BYTES > 32 * KIB
        assert mailbox.bytes <= 32 * KIB
    assert names(mailbox) == accepted
    assert mailbox.bytes == 0


def test_several_blocks_are_accepted_together_or_not_at_all() -> None:
    mailbox = Mailbox(4 * KIB)
    mailbox.offer([block()])
    with pytest.raises(Busy):
        mailbox.offer([block(KIB), block(KIB)])
    assert names(mailbox) == ["s"]


def test_a_request_larger_than_the_mailbox_is_accepted_when_nothing_else_waits() -> None:
    mailbox = Mailbox(KIB)
    mailbox.offer([block(8 * KIB)])
    assert not mailbox.has_room(1)
    with pytest.raises(Busy):
        mailbox.offer([block()])


def test_one_take_is_bounded_so_that_acks_are_not_kept_waiting() -> None:
    mailbox = Mailbox(16 * TAKE_BYTES)
    mailbox.offer([block(TAKE_BYTES // 4)] * 12)
    taken = mailbox.take(0.0)
    assert taken is not None
    assert 4 <= len(taken) + 1 <= 5


def test_small_requests_and_large_ones_take_turns() -> None:
    mailbox = Mailbox(16 * TAKE_BYTES)
    for at in range(3):
        mailbox.offer([replace(block(TAKE_BYTES // 2, f"large {at}"), more=more) for more in (True, True, False)])
    mailbox.offer([block(1, "small 1")])
    mailbox.offer([block(1, "small 2")])
    turns = [names(mailbox) for _ in range(4)]
    small, large = ["small 1", "small 2"], [3 * [f"large {at}"] for at in range(3)]
    assert turns in ([small, *large], [large[0], small, *large[1:]])
    assert mailbox.bytes == 0


def test_who_waits_for_room_goes_on_when_the_pump_takes() -> None:
    async def scenario() -> list[str]:
        mailbox = Mailbox(4 * KIB)
        mailbox.offer([block(2 * KIB, "first")])
        waiting = asyncio.ensure_future(mailbox.put(block(2 * KIB, "second")))
        await asyncio.sleep(0)
        assert not waiting.done()
        first = await asyncio.to_thread(names, mailbox)
        await waiting
        return first + names(mailbox)

    assert asyncio.run(scenario()) == ["first", "second"]


def test_a_waiter_that_gave_up_wakes_nobody_and_breaks_nothing() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(4 * KIB)
        mailbox.offer([block(3 * KIB)])
        waiting = asyncio.ensure_future(mailbox.put(block(3 * KIB)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert names(mailbox) == ["s"]
        assert names(mailbox) == []

    asyncio.run(scenario())


def test_closed_it_takes_nothing_more_and_gives_what_it_has() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(4 * KIB)
        mailbox.offer([block(3 * KIB)])
        waiting = asyncio.ensure_future(mailbox.put(block(3 * KIB)))
        await asyncio.sleep(0)
        mailbox.close()
        for late in (waiting, mailbox.ask(int)):
            with pytest.raises(Closed):
                await late
        with pytest.raises(Closed):
            mailbox.offer([block()])
        assert names(mailbox) == ["s"]
        assert mailbox.take(0.0) is None

    asyncio.run(scenario())


def test_a_question_is_answered_by_the_owner_between_two_blocks() -> None:
    async def scenario() -> tuple[int, int]:
        mailbox = Mailbox(4 * KIB)
        mailbox.offer([block()])

        def own() -> None:
            for item in mailbox.take(1.0) or []:
                if isinstance(item, Question):
                    item.answer.set_result(item.run())

        asked = asyncio.ensure_future(mailbox.ask(threading.get_ident))
        await asyncio.sleep(0)
        await asyncio.to_thread(own)
        return await asked, threading.get_ident()

    answered_by, asked_by = asyncio.run(scenario())
    assert answered_by != asked_by


def test_a_request_of_several_blocks_is_never_taken_in_parts() -> None:
    """Its key is committed with all of its records: half of them on the disk would be counted again by a retry."""
    mailbox = Mailbox(64 * TAKE_BYTES)
    parts = [replace(block(TAKE_BYTES, f"part {number}"), more=number < 3) for number in (1, 2, 3)]
    mailbox.offer([*parts, block(1, "next")])
    assert names(mailbox) == ["part 1", "part 2", "part 3"]
    assert names(mailbox) == ["next"]


def test_a_take_that_leaves_much_wakes_nobody() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(5 * TAKE_BYTES)
        mailbox.offer([block(TAKE_BYTES)] * 4)
        waiting = asyncio.create_task(mailbox.put(block(TAKE_BYTES)))
        for left, woken in ((3, False), (2, True)):
            await asyncio.sleep(0)
            assert names(mailbox) == ["s"]
            assert mailbox.bytes // TAKE_BYTES == left
            await asyncio.sleep(0.01)
            assert waiting.done() == woken

    asyncio.run(scenario())


def test_the_pump_is_woken_once_for_what_came_in_one_turn_of_the_loop() -> None:
    mailbox, later = Mailbox(64 * KIB), list[Callable[[], None]]()
    mailbox.soon = later.append
    for name in ("first", "second"):
        mailbox.offer([block(KIB, name)])
    assert len(later) == 1
    later.pop()()
    mailbox.offer([block(KIB, "third")])
    assert len(later) == 1
    assert len(mailbox.take(0) or []) == 3
