"""Join: predictions wait for their labels, and labels for their predictions, by the id they share.

Law: what comes of a record is a function of the records before it, however they are cut into batches. An id is kept
for `wait` of the stream's clock after its first record, matched or not, so that a second prediction or label of it is
known for a duplicate; the first of each counts. At most `entries` ids are kept: the oldest goes early, and if it waits
it is counted as expired (a prediction) or orphan (a label).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from driftmon.monitor.batch import Times
from driftmon.monitor.id_ring import AT_ONCE, ID_BYTES, Digests, IdRing, Places
from driftmon.stats.columns import Floats

Kinds: TypeAlias = NDArray[np.uint8]

PREDICTION: Final = 0
LABEL: Final = 1
MATCHED: Final = 2

OUTCOMES: Final = ("matched", "late", "expired", "orphan", "duplicate")
AGES_S: Final = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0, 172_800.0, 604_800.0)


class Records(Struct, frozen=True):
    """In the order they came: id, kind (PREDICTION or LABEL), own time, the stream's clock, and what they say.

    `clock_ms` never falls. `values` float64[rows, width]: probabilities of a prediction, codes of a label.
    """

    ids: Digests
    kinds: Kinds
    times_ms: Times
    clock_ms: Times
    values: Floats

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, rows: slice | Places) -> Records:
        return Records(self.ids[rows], self.kinds[rows], self.times_ms[rows], self.clock_ms[rows], self.values[rows])


@dataclass(frozen=True, slots=True)
class Pairs:
    """Matched, in the order they became so: what both said and when; `rows` is the record that completed each."""

    rows: Places
    predictions: Floats
    labels: Floats
    predicted_ms: Times
    labelled_ms: Times


class Tally(Struct):
    """How labels fared: counts by outcome, ages (label's time less prediction's, at least 0) by AGES_S, their sum."""

    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    ages: list[int] = field(default_factory=lambda: [0] * (len(AGES_S) + 1))
    ages_ms: int = 0

    def match(self, pairs: Pairs) -> None:
        ages_ms = np.maximum(pairs.labelled_ms - pairs.predicted_ms, 0)
        bins = np.searchsorted(np.array(AGES_S) * 1000, ages_ms, side="left")
        counts = np.bincount(bins, minlength=len(self.ages)).tolist()
        self.ages = [held + new for held, new in zip(self.ages, counts, strict=True)]
        self.ages_ms += int(ages_ms.sum())
        self.outcomes["matched"] += len(pairs.rows)


@dataclass(frozen=True, slots=True)
class LabelsNow:
    """A tally and how many predictions and labels wait, at one instant."""

    outcomes: tuple[tuple[str, int], ...]
    ages: tuple[int, ...]
    ages_ms: int
    predictions_waiting: int
    labels_waiting: int
    most_bytes: int = 0  # of memory, with as many ids as are allowed

    def as_dict(self) -> dict[str, int]:
        """The JSON of the report."""
        waiting = {"predictions_waiting": self.predictions_waiting, "labels_waiting": self.labels_waiting}
        return {**dict(self.outcomes), **waiting}


def entry_bytes(width: int) -> int:
    """What an id costs at most with `width` numbers a record.

    >>> entry_bytes(1)
    65
    """
    return ID_BYTES + np.dtype(np.int64).itemsize * (2 + width) + 1


class Join:
    """The ids of one stream. `width`: numbers a record."""

    def __init__(self, wait_ms: int, entries: int, width: int = 1) -> None:
        self.wait_ms = wait_ms
        self.tally = Tally()
        self.clock_ms = 0
        self.ring = IdRing(entries)
        self.waiting = [0, 0]  # predictions, labels
        self.kept = 0  # ids before this place are on the disk
        self.matched: list[Places] | None = None  # a list: places that matched since, for whoever keeps them there
        self.since_ms = np.empty(entries, dtype=np.int64)
        self.times_ms = np.empty(entries, dtype=np.int64)
        self.kinds = np.empty(entries, dtype=np.uint8)
        self.values = np.empty((entries, width))

    @property
    def most_bytes(self) -> int:
        """The bound on its memory."""
        return self.ring.entries * entry_bytes(self.values.shape[1])

    @property
    def nbytes(self) -> int:
        """Of all slots, used or not."""
        arrays = (self.since_ms, self.times_ms, self.kinds, self.values)
        return self.ring.nbytes + sum(array.nbytes for array in arrays)

    def take(self, records: Records) -> Pairs:
        """Join what can be, let the rest wait."""
        clock_ms = np.maximum(records.clock_ms, self.clock_ms)
        records = Records(records.ids, records.kinds, records.times_ms, clock_ms, records.values)
        found = [self._take(records.part(run), run.start) for run in self._runs(clock_ms)]
        pairs = found[0] if len(found) == 1 else _joined(found, self.values.shape[1])
        self.tally.match(pairs)
        return pairs

    def now(self) -> LabelsNow:
        """What there is to tell."""
        tally = self.tally
        ages, (predictions, labels) = tuple(tally.ages), self.waiting
        return LabelsNow(tuple(tally.outcomes.items()), ages, tally.ages_ms, predictions, labels, self.most_bytes)

    def expire(self, clock_ms: int) -> None:
        """Let go of what waited too long, as the next record would."""
        self.clock_ms = max(self.clock_ms, clock_ms)
        self._drop(self.ring.first + self._past(self.clock_ms))

    def _runs(self, clock_ms: Times) -> Iterator[slice]:
        """Within which nothing that came in it goes again: neither by time nor for want of room."""
        low = 0
        while low < len(clock_ms):
            by_time = int(np.searchsorted(clock_ms, clock_ms[low] + self.wait_ms, side="right"))
            high = min(by_time, low + self.ring.entries, low + AT_ONCE)
            yield slice(low, high)
            low = high

    def _take(self, records: Records, start: int) -> Pairs:
        ring, kinds = self.ring, records.kinds
        _, group = np.unique(records.ids, return_inverse=True)
        held = ring.find(records.ids)
        there, added = self._there(records, held, group)
        places = np.zeros(len(records), dtype=np.int64)
        places[group[added]] = np.arange(ring.end, ring.end + len(added))
        adder = np.zeros(len(records), dtype=np.int64)
        adder[group[added]] = added
        slots, by_row = ring.slots(np.maximum(held, 0)), adder[group]
        place = np.where(there, held, places[group])
        first_kind = np.where(there, self.kinds[slots], kinds[by_row])
        fits = (first_kind != MATCHED) & (kinds != first_kind)
        candidates = np.flatnonzero(fits)
        _, first = np.unique(place[candidates], return_index=True)
        rows = np.sort(candidates[first])
        old = there[rows]
        pairs = self._pairs(records, rows, by_row[rows], slots[rows], old, start)
        self.tally.outcomes["duplicate"] += len(records) - len(added) - len(rows)
        self._match(place[rows[old]])
        self.clock_ms = int(records.clock_ms[-1])
        past = ring.first + self._past(self.clock_ms)
        self._drop(max(past, ring.end + len(added) - ring.entries))
        self._add(records.part(added))
        self._match(place[rows[~old]])
        return pairs

    def _there(self, records: Records, held: Places, group: Places) -> tuple[NDArray[np.bool_], Places]:
        """Whether the id was still kept when a record came, and the rows that are the first of theirs.

        At the bound each row that adds an id may drop one, for which a later row adds it again: one row at a time.
        """
        ring = self.ring
        in_time = (held >= 0) & (self.since_ms[ring.slots(np.maximum(held, 0))] + self.wait_ms >= records.clock_ms)
        absent = np.flatnonzero(~in_time)
        _, first = np.unique(group[absent], return_index=True)
        if len(ring) + len(first) <= ring.entries:
            return in_time, np.sort(absent[first])
        there, added, seen, low = in_time.copy(), list[int](), set[int](), ring.end - ring.entries
        for row, (kept, place, one) in enumerate(zip(in_time.tolist(), held.tolist(), group.tolist(), strict=True)):
            if one in seen:
                there[row] = False
            elif not (kept and place >= low + len(added)):
                there[row] = False
                seen.add(one)
                added.append(row)
        return there, np.array(added, dtype=np.int64)

    def _pairs(
        self, records: Records, rows: Places, adders: Places, slots: Places, old: NDArray[np.bool_], start: int
    ) -> Pairs:
        """Of the rows that complete one: the other half is kept, or came earlier in this run."""
        values = np.where(old[:, None], self.values[slots], records.values[adders])
        times_ms = np.where(old, self.times_ms[slots], records.times_ms[adders])
        labels = records.kinds[rows] == LABEL
        here, here_ms = records.values[rows], records.times_ms[rows]
        return Pairs(
            rows + start,
            np.where(labels[:, None], values, here),
            np.where(labels[:, None], here, values),
            np.where(labels, times_ms, here_ms),
            np.where(labels, here_ms, times_ms),
        )

    def _past(self, clock_ms: int) -> int:
        """How many of the oldest came more than `wait` ago; they lie in order, in at most two stretches."""
        ring, limit = self.ring, clock_ms - self.wait_ms
        low = ring.first % ring.entries
        high = min(low + len(ring), ring.entries)
        past = int(np.searchsorted(self.since_ms[low:high], limit, side="left"))
        if past == high - low:
            past += int(np.searchsorted(self.since_ms[: len(ring) - past], limit, side="left"))
        return past

    def _match(self, places: Places) -> None:
        slots = self.ring.slots(places)
        for kind in (PREDICTION, LABEL):
            self.waiting[kind] -= int((self.kinds[slots] == kind).sum())
        self.kinds[slots] = MATCHED
        if self.matched is not None and len(places):
            self.matched.append(places)

    def _drop(self, first: int) -> None:
        gone = self.kinds[self.ring.slots(np.arange(self.ring.first, max(first, self.ring.first)))]
        for kind, outcome in ((PREDICTION, "expired"), (LABEL, "orphan")):
            times = int((gone == kind).sum())
            self.waiting[kind] -= times
            self.tally.outcomes[outcome] += times
        self.ring.drop(first)

    def _add(self, records: Records) -> None:
        slots = self.ring.slots(self.ring.add(records.ids))
        self.since_ms[slots], self.times_ms[slots] = records.clock_ms, records.times_ms
        self.kinds[slots], self.values[slots] = records.kinds, records.values
        for kind in (PREDICTION, LABEL):
            self.waiting[kind] += int((records.kinds == kind).sum())


def _joined(parts: list[Pairs], width: int) -> Pairs:
    if not parts:
        nothing, no_values = np.zeros(0, dtype=np.int64), np.zeros((0, width))
        return Pairs(nothing, no_values, no_values, nothing, nothing)
    return Pairs(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.predictions for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.predicted_ms for part in parts]),
        np.concatenate([part.labelled_ms for part in parts]),
    )
