"""Simulation: `make fault-simulation`: hours of the real daemon on virtual time, with everything that can go wrong.

Law: a seed is a run: the same seed gives the same trace. A fault names the seed that shows it again.
The daemon is its own App, pump, store, sources and outbox; only threads, sockets, receivers and clocks are stand-ins.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

from driftmon.daemon import app as app_module
from driftmon.sources import file as file_source
from tests.campaigns.chaos import chaos
from tests.campaigns.senders import sender, writer
from tests.campaigns.show import table
from tests.campaigns.simulated_world import World, put_in
from tests.campaigns.virtual import BOOT_S, Clock, VirtualLoop, clocks

HOUR_S: Final = 3600.0
QUIET_S: Final = 700.0  # the longest back-off of the outbox, twice
PROCESSES: Final = 2
POLL_S: Final = 5.0
CHECK_S: Final = 60.0
AWAY_S: Final = 900.0  # a receiver that was away for as long is told how things stand, not what came and went
UNDER_WAY_S: Final = 21.0  # an answer that comes within may be to what was sent before
FAST: Final = Path("/dev/shm")


def simulate(seed: int, hours: float = 1.0) -> World:
    """One run; `faults` of what it returns should be empty."""
    folder = Path(tempfile.mkdtemp(prefix="driftmon-sim-", dir=FAST if FAST.is_dir() else None))
    loop = VirtualLoop()
    random.seed(seed)  # the outbox's own jitter
    try:
        clock = Clock(loop)
        world = World(folder, seed, loop, clock, random.Random(seed))
        old, poll_s = put_in(world, clock), file_source.POLL_S
        file_source.POLL_S = POLL_S  # type: ignore[misc]
        try:
            with clocks(clock):
                loop.run_until_complete(_run(world, BOOT_S + hours * HOUR_S))
        finally:
            file_source.POLL_S = poll_s  # type: ignore[misc]
            for name, value in old.items():
                setattr(app_module, name, value)
    finally:
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)
    world.faults += world.model.faults
    return world


def outcome(seed: int, hours: float) -> tuple[Counter[str], list[str], str]:
    """What happened, what was wrong, and the digest of the trace."""
    world = simulate(seed, hours)
    return world.happened, world.faults, world.trace.hexdigest()


async def _run(world: World, until_s: float) -> None:
    living = asyncio.create_task(world.live())
    loads = [asyncio.create_task(sender(world, name, number, until_s)) for number, name in enumerate("aae")]
    loads.append(asyncio.create_task(writer(world, until_s)))
    watching = asyncio.create_task(_watch(world))
    chaotic = asyncio.create_task(chaos(world, until_s))
    world.mine |= {living, watching, chaotic, *loads}
    await asyncio.wait({chaotic, living}, return_when=asyncio.FIRST_COMPLETED)
    if living.done():
        living.result()  # it lives for ever, unless a start raises
    try:
        async with asyncio.timeout(HOUR_S):
            await asyncio.gather(*loads)
    except TimeoutError:
        world.fault("a sender got no answer for an hour after the last fault")
    await asyncio.sleep(QUIET_S)
    watching.cancel()
    world.compare("at the end")
    _judge_notices(world)
    living.cancel()
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


async def _watch(world: World) -> None:
    while True:
        await asyncio.sleep(CHECK_S)
        if world.up.is_set() and not world.killing.is_set() and world.app._failure is None:
            world.compare("meanwhile")


def _judge_notices(world: World) -> None:
    """Each transition was delivered, unless something newer stood in its place when the receiver was there again;
    repeats have an excuse each.
    """
    webhook = world.receivers["webhook"]
    for key, at_s in world.published:
        if not webhook.took[key]:
            answers = (answered_s for answered_s in webhook.answered_s if answered_s > at_s + UNDER_WAY_S)
            back_s = min(answers, default=world.loop.time())
            if not _fired_anew(world, key, at_s, back_s) and not _came_and_went(world, key, at_s, back_s):
                world.fault(f"the webhook was never told {key}, published at {at_s - BOOT_S:.1f} s")
    repeats = sum(count - 1 for count in webhook.took.values())
    if repeats > len(world.crashed_s) + webhook.repeats_excused:
        world.fault(f"{repeats} repeated notices, {len(world.crashed_s)} ends of the daemon")


def _fired_anew(world: World, key: tuple[str, str, int], at_s: float, back_s: float) -> bool:
    """The same alert, and it is this of which the receiver was told."""
    took = world.receivers["webhook"].took
    anew = [one for one, s in world.published if one[:2] == (key[0], "firing") and at_s < s <= back_s]
    return any(took[fingerprint, "firing", ms] or took[fingerprint, "resolved", ms] for fingerprint, _, ms in anew)


def _came_and_went(world: World, key: tuple[str, str, int], at_s: float, back_s: float) -> bool:
    """It fired while the webhook was away for AWAY_S, and that it is over was told. A restart after the wall clock was
    set ahead takes an outage to be longer by as much.
    """
    fingerprint, status, starts_ms = key
    ahead_s = sum(max(0, by_ms) for stepped_s, by_ms in world.steps if at_s < stepped_s < back_s) / 1000
    over = bool(world.receivers["webhook"].took[fingerprint, "resolved", starts_ms])
    return status == "firing" and over and back_s - at_s + ahead_s >= AWAY_S


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="50 seeds of an hour instead of 2,400")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--log", action="store_true", help="what the daemon says")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO if chosen.log else logging.CRITICAL, stream=sys.stdout)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    count = 1 if chosen.seed is not None else chosen.seeds or (50 if chosen.short else 2400)
    first = chosen.first if chosen.seed is None else chosen.seed
    started_s, total, faults = time.monotonic(), Counter[str](), 0
    digest = ""
    seeds = [*range(first, first + count), first]  # the first once more: is its trace the same?
    with ProcessPoolExecutor(1 if chosen.log else PROCESSES) as processes:
        results = list(processes.map(outcome, seeds, [chosen.hours] * len(seeds)))
    for seed, (happened, wrong, found) in zip(seeds[:-1], results, strict=False):
        total += happened
        digest = digest or found
        for fault in wrong[:10]:
            sys.stdout.write(f"FAULT (replay: --seed {seed} --hours {chosen.hours:g}): {fault}\n")
        faults += len(wrong)
    if results[-1][2] != digest:
        sys.stdout.write(f"FAULT: seed {first} gave two traces\n")
        faults += 1
    seconds = time.monotonic() - started_s
    rows: list[Any] = [*sorted(total.items()), ("faults", faults)]
    title = f"fault simulation, seeds {first} to {first + count - 1}, {chosen.hours:g} h each, {seconds:.0f} s,"
    table(f"{title} trace of the first {digest[:16]}", ("what", "times"), rows)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
