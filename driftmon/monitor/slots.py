"""Slots: the hours of a day or of a week, and which of them a stretch of time lies in. All in UTC.

Law: a stretch's shares of its slots sum to 1, and a time lies in exactly one slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import numpy as np

from driftmon.monitor.batch import Times

Slots: TypeAlias = Literal["hour_of_day", "hour_of_week"]

HOUR_MS: Final = 3_600_000
COUNT: Final[Mapping[str, int]] = {"hour_of_day": 24, "hour_of_week": 168}
MONDAY: Final = 72  # hours from the first Monday before the epoch, a Thursday: slot 0 of a week is Monday 00:00
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def slots_of(kind: Slots, times_ms: Times) -> Times:
    """int64[rows]: the slot of each time.

    >>> slots_of("hour_of_week", np.array([0])).tolist(), label("hour_of_week", 72)      # the epoch
    ([72], 'Thu 00:00')
    """
    hours = times_ms // HOUR_MS
    return (hours + MONDAY) % COUNT[kind] if kind == "hour_of_week" else hours % COUNT[kind]


def shares(kind: Slots, start_ms: int, length_ms: int) -> dict[int, float]:
    """Which slots a stretch of time lies in, and how much of it in each.

    >>> shares("hour_of_day", 48 * 60_000, 24 * 60_000)
    {0: 0.5, 1: 0.5}
    """
    found: dict[int, float] = {}
    at_ms, end_ms = start_ms, start_ms + length_ms
    while at_ms < end_ms:
        next_ms = min((at_ms // HOUR_MS + 1) * HOUR_MS, end_ms)
        slot = int(slots_of(kind, np.array(at_ms)))
        found[slot] = found.get(slot, 0.0) + (next_ms - at_ms) / length_ms
        at_ms = next_ms
    return found


def label(kind: Slots, slot: int) -> str:
    """For people: the hour, with its day where the slots are those of a week."""
    hour = f"{slot % 24:02d}:00"
    return f"{DAYS[slot // 24]} {hour}" if kind == "hour_of_week" else hour
