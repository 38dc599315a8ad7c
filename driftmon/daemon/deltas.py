"""Deltas: counts as bytes: a whole pane, or what was added to panes since the last commit.

Law: shape + panes + every delta after them == the counts of the monitor, bit for bit.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.snapshot import Panes, Snapshot
from driftmon.monitor.tallies import state_of, sums_of
from driftmon.stats.schema import Counts

LEVEL: Final = 1  # with the bytes of equal weight side by side, a fifth of the size at 3 ms a megabyte
WHOLE: Final = 8  # bytes of a count, most of them zero
WORTH: Final = (
    4  # times smaller: with less to unpack costs more than to read, 0.5 ms for 64,000 bins, 60 of them a start
)
SMALL: Final = 16

TYPES: Final = {"<u1": 0xFF, "<u2": 0xFFFF, "<u4": 0xFFFFFFFF}  # and the most that one holds


Added: TypeAlias = dict[int, tuple[bytes, str, bytes, str]]  # by pane: gaps between bins, their type, times, theirs


class Delta(msgspec.Struct, frozen=True):
    """What blocks added: by open pane, unreadable values, and the times they moved.

    `excess` is what thinned rows added beside their counts; `panes`, of version 1, bins int32 and times int64.
    """

    panes: dict[int, tuple[bytes, bytes]]
    invalid: dict[str, dict[str, int]]
    watermark_ms: int | None
    first_ms: int | None
    added: Added = {}
    excess: Added = {}


def between(before: Snapshot, after: Snapshot) -> Delta:
    """What was added; `before` is of the same monitor, and no pane closed since then."""
    invalid: dict[str, dict[str, int]] = {}
    for (feature, reason), times in after.invalid.items():
        if times != (held_times := before.invalid.get((feature, reason), 0)):
            invalid.setdefault(feature, {})[reason] = times - held_times
    added = _added(before.open_panes, after.open_panes)
    excess = {} if after.excess is None else _added(_open_excess(before), after.excess.open_panes)
    return Delta({}, invalid, after.watermark_ms, after.first_ms, added, excess)


def _open_excess(snapshot: Snapshot) -> Panes:
    return {} if snapshot.excess is None else snapshot.excess.open_panes


def _added(before: Panes, after: Panes) -> Added:
    panes = {}
    for pane, counts in after.items():
        held = before.get(pane)
        if held is not counts:  # panes are replaced, never changed in place
            added = counts if held is None else counts - held
            bins = np.flatnonzero(added)
            gaps = bins.copy()
            gaps[1:] -= bins[:-1]
            panes[pane] = (*_narrow(gaps), *_narrow(added[bins]))
    return panes


class Sum:
    """A snapshot and the deltas after it, added up in place."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._watermark_ms, self._first_ms = snapshot.watermark_ms, snapshot.first_ms
        self._invalid = dict(snapshot.invalid)
        self._schema = snapshot.schema
        self._state = np.array(state_of(self._schema, snapshot.counts, snapshot.sums))
        self._open = _copied(snapshot.open_panes)
        excess = snapshot.excess
        self._excess: tuple[Counts, dict[int, Counts]] | None = None
        if excess is not None:
            self._excess = np.array(state_of(self._schema, excess.counts, {})), _copied(excess.open_panes)

    @property
    def counts(self) -> Counts:
        """int64[width]: all observations so far."""
        return self._state[: self._schema.width]

    def add(self, delta: Delta) -> None:
        """What was counted next."""
        for pane, (bins, times) in delta.panes.items():
            self._count(self._state, self._open, pane, np.frombuffer(bins, "<i4"), np.frombuffer(times, "<i8"))
        self._each(self._state, self._open, delta.added)
        if delta.excess:
            if self._excess is None:
                self._excess = np.zeros_like(self._state), {}
            self._each(*self._excess, delta.excess)
        for key, more in flat(delta.invalid).items():
            self._invalid[key] = self._invalid.get(key, 0) + more
        marks, firsts = (self._watermark_ms, delta.watermark_ms), (self._first_ms, delta.first_ms)
        self._watermark_ms = max((mark for mark in marks if mark is not None), default=None)
        self._first_ms = min((first for first in firsts if first is not None), default=None)

    def snapshot(self) -> Snapshot:
        """The sum; nothing is added afterwards."""
        nothing = Snapshot(self._schema, self.counts, {window: {} for window in self._snapshot.rings})
        excess, width = self._snapshot.excess or nothing, self._schema.width
        return replace(
            self._snapshot,
            counts=self.counts,
            sums=sums_of(self._schema, self._state),
            open_panes=self._open,
            watermark_ms=self._watermark_ms,
            first_ms=self._first_ms,
            invalid=self._invalid,
            excess=self._excess and replace(excess, counts=self._excess[0][:width], open_panes=self._excess[1]),
        )

    def _each(self, whole: Counts, panes: dict[int, Counts], added: Added) -> None:
        for pane, (gaps, gap_type, times, times_type) in added.items():
            bins = np.frombuffer(gaps, dtype=gap_type).astype(np.int64).cumsum()
            self._count(whole, panes, pane, bins, np.frombuffer(times, dtype=times_type))

    def _count(
        self, whole: Counts, panes: dict[int, Counts], pane: int, bins: NDArray[Any], times: NDArray[Any]
    ) -> None:
        """No bin occurs twice."""
        if pane not in panes:
            panes[pane] = np.zeros_like(whole)
        panes[pane][bins] += times.astype(np.int64, copy=False)
        whole[bins] += times.astype(np.int64, copy=False)


def _copied(panes: Panes) -> dict[int, Counts]:
    return {pane: counts.copy() for pane, counts in panes.items()}


def packed(counts: Counts) -> bytes:
    """A pane, small: how many bytes of each count there are, then these, those of equal weight side by side.

    >>> unpacked(packed(np.array([3, 0, 300]))).tolist()
    [3, 0, 300]
    """
    low, high = int(counts.min(initial=0)), int(counts.max(initial=0))
    used = WHOLE if low < 0 else max(-(-high.bit_length() // 8), 1)
    planes = counts.astype("<i8").view(np.uint8).reshape(-1, WHOLE).T[:used].tobytes()
    small = zlib.compress(planes, LEVEL)
    return bytes([used]) + planes if len(small) * WORTH > len(planes) else bytes([used | SMALL]) + small


def unpacked(data: bytes) -> Counts:
    """ValueError or zlib.error where the bytes are no pane."""
    kind, rest = int.from_bytes(data[:1]), memoryview(data)[1:]
    used = kind & ~SMALL
    if used > WHOLE:  # the first byte of zlib's own, as before version 3
        used, rest = WHOLE, memoryview(data)
    planes = np.frombuffer(rest if kind == used else zlib.decompress(rest), dtype=np.uint8).reshape(used, -1)
    counts: Counts = planes[0].astype(np.int64)
    for number in range(1, used):
        if planes[number].any():
            counts += planes[number].astype(np.int64) << 8 * number
    return counts


def flat(nested: Mapping[str, Mapping[str, int]]) -> dict[tuple[str, str], int]:
    """By (feature, reason)."""
    return {(feature, reason): times for feature, reasons in nested.items() for reason, times in reasons.items()}


def nested(invalid: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """By feature, then reason, as JSON has it."""
    found: dict[str, dict[str, int]] = {}
    for (feature, reason), times in invalid.items():
        found.setdefault(feature, {})[reason] = times
    return found


def _narrow(values: Counts) -> tuple[bytes, str]:
    """In the smallest type that holds them all, and its name.

    >>> _narrow(np.array([1, 2])), _narrow(np.array([-1]))[1], _narrow(np.array([300]))[1]
    ((b'\\x01\\x02', '<u1'), '<i8', '<u2')
    """
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    name = next((name for name, most in TYPES.items() if low >= 0 and high <= most), "<i8")
    return values.astype(name).tobytes(), name
