"""Intake: the sources that read for themselves, one task each, into the mailbox.

Law: a source goes on where its last accepted block ended, whether it broke, was configured anew or the
daemon restarted; one that breaks is tried again and never stops the others. While the disk is full nothing is
read: each source waits with at most one block in hand, and goes on with that when there is room.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from typing import Final, TypeAlias

from driftmon import plugins
from driftmon.daemon.mailbox import Closed, Mailbox
from driftmon.daemon.settings import Config, Limits, PluginSettings
from driftmon.daemon.telemetry import Telemetry
from driftmon.sources import base
from driftmon.sources.base import Source

RETRY_FIRST_S: Final = 1.0
RETRY_MOST_S: Final = 30.0

Positions: TypeAlias = Mapping[str, base.Positions]  # by stream
Key: TypeAlias = tuple[str, str, object]

log: Final = logging.getLogger("driftmon.sources")


class Intake:
    """The tasks that read. `follow` is called with each configuration."""

    def __init__(self, mailbox: Mailbox, telemetry: Telemetry) -> None:
        self._mailbox = mailbox
        self._telemetry = telemetry
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._room = asyncio.Event()
        self._room.set()

    def pause(self, full: bool) -> None:
        """Read nothing while the disk is full, go on when it is not."""
        if full:
            self._room.clear()
        else:
            self._room.set()

    async def leave(self, config: Config) -> None:
        """Stop the sources that are gone; then what they gave is in the mailbox, and nothing more will be."""
        await self._stop(self._tasks.keys() - _wanted(config).keys())

    async def follow(self, config: Config, positions: Positions) -> None:
        """Stop the sources that are gone, start those that are new, leave those that stay."""
        wanted = _wanted(config)
        await self.leave(config)
        for stream, kind, _ in wanted:
            self._telemetry.expect(stream, kind)
        for key in wanted.keys() - self._tasks.keys():
            opened = _open(key[0], wanted[key], config.limits)
            self._tasks[key] = asyncio.create_task(self._run(key[0], key[1], opened, positions.get(key[0], {})))

    async def stop(self) -> None:
        """Read no more."""
        await self._stop(set(self._tasks))

    async def _stop(self, keys: set[Key]) -> None:
        tasks = [self._tasks.pop(key) for key in keys]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, stream: str, kind: str, source: Source, resume: base.Positions) -> None:
        with self._telemetry.watched(stream, kind, source.progress):
            await self._read(stream, source, resume)

    async def _read(self, stream: str, source: Source, resume: base.Positions) -> None:
        positions, wait_s = dict(resume), RETRY_FIRST_S
        while True:
            try:
                async with aclosing(source.blocks(dict(positions))) as blocks:
                    async for block in blocks:
                        await self._room.wait()
                        await self._mailbox.put(block)
                        if block.position is not None:
                            positions[block.origin] = block.position
                        wait_s = RETRY_FIRST_S
                log.info("stream %s: source %s has ended", stream, source.origin)
                return
            except Closed:
                return
            except OSError as fault:
                log.error("stream %s: source %s: %s; trying again in %g s", stream, source.origin, fault, wait_s)
            except Exception:
                log.exception("stream %s: source %s broke; trying again in %g s", stream, source.origin, wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(RETRY_MOST_S, 2 * wait_s)


def _wanted(config: Config) -> dict[Key, PluginSettings]:
    return {
        (name, source.type, source.options): source for name, one in config.streams.items() for source in one.sources
    }


def _open(stream: str, settings: PluginSettings, limits: Limits) -> Source:
    opened: Source = plugins.load("sources", settings.type).Source(stream, settings.options, limits)
    return opened
