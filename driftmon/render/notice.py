"""Notice: what is told to the world about one alert, as labels that never move and annotations that do.

Law: the label set is the alert's identity. Two notices with equal labels are one alert to every
receiver, so a value that changes from tick to tick stands in an annotation, never in a label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

FNV_OFFSET: Final = 0xCBF29CE484222325
FNV_PRIME: Final = 0x100000001B3
SEPARATOR: Final = b"\xff"  # in no UTF-8 text, so name and value cannot run into each other


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert as receivers see it; times in ms since the epoch, `ends_ms` only once resolved."""

    status: Literal["firing", "resolved"]
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_ms: int = 0
    ends_ms: int | None = None
    generator_url: str = ""

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.labels)


def fingerprint(labels: Mapping[str, str]) -> str:
    """16 hex digits, FNV-1a over the sorted labels: the very number Alertmanager shows for them.

    >>> fingerprint({})
    'cbf29ce484222325'
    >>> fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    True
    """
    state = FNV_OFFSET
    for name in sorted(labels):
        for byte in name.encode() + SEPARATOR + labels[name].encode("utf-8", "replace") + SEPARATOR:
            state = (state ^ byte) * FNV_PRIME % 2**64
    return f"{state:016x}"
