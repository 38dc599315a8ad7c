"""Cautioning: what `check-config` warns of, in the log of a daemon that runs with it all the same.

Law: each caution is told when a configuration is taken that it was not told of. Looking for them delays no start, no
answer and no tick, and a fault in that costs nobody more than the warnings.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from driftmon.daemon.faults import Fault
from driftmon.daemon.settings import Config
from driftmon.monitor.snapshot import Snapshot

log: Final = logging.getLogger("driftmon.config")


class Cautioning:
    """What was told."""

    def __init__(self) -> None:
        self._told: frozenset[tuple[str, str]] = frozenset()

    async def tell(self, config: Config, references: Mapping[str, Snapshot]) -> None:
        """What is new since the configuration before this one."""
        try:
            found = await asyncio.to_thread(_found, config, references)
        except Exception:
            log.exception("what the configuration cannot promise was not found out")
            return
        for caution in found:
            if _essence(caution) not in self._told:
                log.warning("%s", caution)
        self._told = frozenset(map(_essence, found))


def _essence(caution: Fault) -> tuple[str, str]:
    """Key and fault; the line may have moved."""
    return caution.place.rpartition("  ")[2], caution.fault


def _found(config: Config, references: Mapping[str, Snapshot]) -> list[Fault]:
    from driftmon.daemon.cautions import cautions  # noqa: PLC0415  after a start, not before it

    return cautions(config, references)
