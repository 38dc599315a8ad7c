"""Own: what a daemon knows of itself and shows to people: what came in, what was refused, who is told.

Law: plain values, so that whoever counts them loads no page.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Refusal(Struct, frozen=True):
    """One record that could not be used."""

    at_ms: int
    stream: str
    source: str
    line: int
    reason: str
    message: str


class Intake(Struct, frozen=True):
    """One stream from one source: records since the start, how many a second of late, late and rejected ones."""

    stream: str
    source: str
    records: int
    per_second: float | None
    late: int
    rejected: Mapping[str, int]


class Receiver(Struct, frozen=True):
    """A sink: notifications tried, how many of them failed, alerts it is still to be told or reminded of.

    The last attempt was at `tried_ms`, 0 where this process made none; `trouble` is why it failed.
    """

    name: str
    sent: int
    failed: int
    owed: int
    tried_ms: int = 0
    trouble: str = ""
