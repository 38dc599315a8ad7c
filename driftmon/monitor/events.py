"""Events: records as maps, one at a time, that wait to be counted together.

Law: counted together they are what they are one by one. An event that waits belongs to the monitor: who changes it
changes what is counted.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import isnan
from operator import itemgetter
from typing import Any, Final, TypeAlias

import numpy as np

from driftmon.monitor.batch import Batch, Receipt, Times
from driftmon.monitor.scoring import LOG_LOSS, key_of, readings, typed_columns
from driftmon.stats.columns import ABSENT, column_of
from driftmon.stats.schema import Feature, Schema

Event: TypeAlias = Mapping[str, object]

MOST: Final = 512  # events that wait
MOST_CELLS: Final = 2**20  # and events x features
SPARSE: Final = 4  # events with so few of the keys are read by the keys they have


class Events:
    """Those that wait, and a receipt of those that do no longer."""

    def __init__(self, schema: Schema) -> None:
        self._features = schema.features
        self._keys = dict.fromkeys(map(key_of, readings(schema.features)))
        self._room = max(1, min(MOST, MOST_CELLS // max(1, len(schema.features))))
        self.waiting: list[Event] = []
        self._times_ms: list[int] = []
        self._settled = Receipt(0)

    def full(self, event: Event, time_ms: int | None) -> bool:
        """Let another one wait, with its time if it has one of its own; whether there is no room for a next one."""
        self.waiting.append(event)
        if time_ms is not None:
            self._times_ms.append(time_ms)
        return len(self.waiting) >= self._room

    def settle(self, receipt: Receipt) -> None:
        """What became of those that were taken."""
        self._settled = Receipt(self._settled.counted + receipt.counted, self._settled.late + receipt.late)

    def settled(self) -> Receipt:
        """Of all since the last time."""
        found, self._settled = self._settled, Receipt(0)
        return found

    def take(self) -> Batch:
        """All of them, as typed columns; none are left."""
        events, times_ms = self.waiting, self._times_ms
        self.waiting, self._times_ms = [], []
        columns = typed_columns(self._features, self._table(events))
        times: Times | None = np.array(times_ms, dtype=np.int64) if len(times_ms) == len(events) else None
        return Batch(len(events), columns, times)

    def _table(self, events: Sequence[Event]) -> Mapping[str, Sequence[object]]:
        if SPARSE * sum(map(len, events)) < len(events) * len(self._keys):
            return self._pivoted(events)
        return {key: _values(key, events) for key in self._keys}

    def _pivoted(self, events: Sequence[Event]) -> Mapping[str, Sequence[object]]:
        found: dict[str, list[object]] = {}
        for row, event in enumerate(events):
            for key in event.keys() & self._keys:
                if key not in found:
                    found[key] = [ABSENT] * len(events)
                found[key][row] = event[key]
        return found


def _values(key: str, events: Sequence[Event]) -> list[object]:
    try:
        return list(map(itemgetter(key), events))
    except KeyError:
        return [event.get(key, ABSENT) for event in events]


class Coder:
    """The codes of a single event, without arrays."""

    def __init__(self, schema: Schema) -> None:
        self.able = all(feature.kind != LOG_LOSS for feature in schema.features)
        self._features = [
            (feature, feature.name, int(start), int(start) + feature.binning.size - 1, *_lookup(feature))
            for feature, start in zip(schema.features, schema.starts.tolist(), strict=True)
        ]

    def codes(self, event: Event) -> list[int]:
        """Flat, of the features in order; those that are not counted are left out.

        >>> from driftmon.stats.binnings.numeric import Binning
        >>> Coder(Schema((Feature("x", Binning((0.0,))), Feature("y", Binning(()))))).codes({"x": 1, "y": "?"})
        [1, 5]
        """
        found = []
        for feature, name, start, missing, edges, places in self._features:
            value: Any = event.get(name, ABSENT)
            kind = type(value)
            if kind is float and edges is not None:
                found.append(missing if isnan(value) else start + bisect_right(edges, value))
            elif kind is str and places is not None:
                found.append(start + places.get(value, feature.binning.regular))
            elif value is not ABSENT:
                found.append(start + _code(feature, value))
            elif feature.absent != "skip":
                found.append(missing)
        return found


def _lookup(feature: Feature) -> tuple[list[float] | None, Mapping[str | None, int] | None]:
    """A numeric feature's edges, a categorical feature's codes."""
    cuts = feature.binning.cuts if feature.kind == "numeric" else None
    return None if cuts is None else cuts[0].tolist(), feature.binning.places


def _code(feature: Feature, value: object) -> int:
    column = column_of(feature.kind, [value])
    return feature.binning.size - 2 if column.invalid else int(feature.binning.codes(column.values)[0])
