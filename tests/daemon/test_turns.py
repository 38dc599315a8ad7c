"""Ready sockets come a few at a time, each of them before any comes again."""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Iterator

import pytest

from driftmon.daemon.turns import AT_ONCE, ROUNDS, Loop, Turns, event_loop


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Of each the first can be read."""
    made = [socket.socketpair() for _ in range(2 * AT_ONCE + 3)]
    for _, there in made:
        there.send(b"x")
    yield made
    for here, there in made:
        here.close()
        there.close()


def test_each_ready_socket_has_its_turn_before_any_has_another(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    with Turns() as turns:
        for here, _ in pairs:
            turns.register(here, selectors.EVENT_READ)
        seen = [[key.fileobj for key, _ in turns.select(0)] for _ in range(6)]
        assert [len(one) for one in seen] == 2 * [AT_ONCE, AT_ONCE, 3]
        assert {one for part in seen[:3] for one in part} == {here for here, _ in pairs}


def test_a_socket_that_is_gone_or_no_longer_asked_has_no_turn(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    with Turns() as turns:
        for here, _ in pairs:
            turns.register(here, selectors.EVENT_READ)
        first = [key.fileobj for key, _ in turns.select(0)]
        others = [here for here, _ in pairs if here not in first]
        gone, changed = others[0], others[1]
        turns.unregister(gone)
        turns.modify(changed, selectors.EVENT_WRITE)
        rest = [key.fileobj for _ in range(2) for key, _ in turns.select(0)]
        assert sorted(map(id, rest)) == sorted(map(id, others[2:]))


def test_an_answer_waits_for_a_few_sockets_and_not_for_all(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """Each socket that is read asks for an answer; it comes before the next portion is read."""
    order: list[str] = []

    async def scenario() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def read(here: socket.socket) -> None:
            loop.remove_reader(here)
            order.append("read")
            loop.call_soon(order.append, "answer")
            if order.count("read") == len(pairs):
                loop.call_soon(over.set)

        for here, _ in pairs:
            loop.add_reader(here, read, here)
        async with asyncio.timeout(10):
            await over.wait()

    with asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(scenario())
    assert order.index("answer") <= 2 * AT_ONCE


def test_what_is_to_begin_at_rest_waits_for_all_that_is_ready(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    order: list[str] = []
    with Turns() as turns:
        for here, _ in pairs:
            turns.register(here, selectors.EVENT_READ)
        turns.at_rest(lambda: order.append("begin"))
        while found := turns.select(0.0 if order else 0.01):
            order += ["read" for _ in found]
            for key, _ in found:
                turns.unregister(key.fileobj)
    assert order == [*(len(pairs) * ["read"]), "begin"]


def test_a_loop_that_never_rests_begins_after_some_rounds() -> None:
    begun: list[int] = []
    with Turns() as turns:
        for number in range(3 * ROUNDS):
            turns.at_rest(lambda at=number: begun.append(at))  # type: ignore[misc]
            assert turns.select(0) == []  # something is always due
    assert begun == [*range(3 * ROUNDS)]


def test_a_block_wakes_the_pump_of_a_loop_that_then_sleeps() -> None:
    woken: list[float] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        began_s = loop.time()
        loop.at_rest(lambda: woken.append(loop.time() - began_s))
        await asyncio.sleep(0.5)

    with asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(scenario())
    assert len(woken) == 1
    assert woken[0] < 0.4
