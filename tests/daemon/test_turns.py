"""Ready sockets come a few at a time, each of them before any comes again."""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Iterator

import pytest

from driftmon.daemon.turns import AT_ONCE, Turns, event_loop


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
