"""Chaos: what goes wrong in a simulated world, and when.

Law: only the world's own chance decides. At the end everything is well again, so that what is owed can be paid.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tests.campaigns.receivers import MODES
from tests.campaigns.simulated_world import World

EACH_S: Final = 90.0


async def chaos(world: World, until_s: float) -> None:
    """One thing after the other until `until_s`."""
    good = world.config.read_text()
    kinds: list[Callable[[World, str], None]] = [
        _kill,
        _arm,
        _arm,
        _arm,
        _fill,
        _step,
        _reload,
        _reload,
        _receive,
        _stop,
    ]
    while world.loop.time() < until_s:
        await asyncio.sleep(world.chance.expovariate(1 / EACH_S))
        if world.up.is_set():
            world.chance.choice(kinds)(world, good)
    world.full, world.armed = False, ""
    world.config.write_text(good)
    for receiver in world.receivers.values():
        receiver.mode = "well"


def _kill(world: World, _: str) -> None:
    world.note("killed")
    world.killing.set()


def _arm(world: World, _: str) -> None:
    """The next commit meets it."""
    world.armed = world.chance.choice(("before", "after", "after", "eio"))


def _fill(world: World, _: str) -> None:
    world.full = True
    world.loop.call_later(world.chance.uniform(2.0, 40.0), setattr, world, "full", False)


def _step(world: World, _: str) -> None:
    """The wall clock is set."""
    world.set_clock(world.chance.choice((-1, 1)) * world.chance.randrange(2_000, 120_000))


def _reload(world: World, good: str) -> None:
    """Refused; the same; or with other rules, so that monitors are made anew."""
    kind = world.chance.choice(("invalid", "same", "rules"))
    world.note(f"reload: {kind}")
    changed = {"invalid": good + "nonsense: 1\n", "same": good, "rules": good.replace("for: 20s", "for: 21s")}
    world.config.write_text(changed[kind])
    task = asyncio.create_task(world.app.reload())
    task.add_done_callback(lambda _: world.config.write_text(good) if kind == "invalid" else None)


def _receive(world: World, _: str) -> None:
    for name, receiver in world.receivers.items():
        receiver.mode = world.chance.choice(MODES)
        world.note(f"{name} {receiver.mode}")


def _stop(world: World, _: str) -> None:
    world.note("SIGTERM")
    world.app.stop()
