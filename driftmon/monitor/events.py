"""Events: records as maps, one at a time, that wait to be counted together.

Law: counted together they are what they are one by one. An event that waits belongs to the monitor: who changes it
changes what is counted.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import chain
from math import isnan
from operator import itemgetter
from typing import Any, Final, TypeAlias

import numpy as np

from driftmon.monitor.batch import Batch, Receipt
from driftmon.monitor.scoring import LOG_LOSS, key_of, readings, typed_columns
from driftmon.stats.columns import ABSENT, Column, column_of
from driftmon.stats.schema import NOT_COUNTED, Feature, Schema

Event: TypeAlias = Mapping[str, object]

MOST: Final = 1024  # events that wait
MOST_CELLS: Final = 2**20  # and events x features
PIECE: Final = 128  # events whose values stay in the second-level cache from one step to the next
SPARSE: Final = 4  # events with so few of the keys are read by the keys they have


class Events:
    """Those that wait, and a receipt of those that do no longer."""

    def __init__(self, schema: Schema) -> None:
        self._features = schema.features
        self._keys = dict.fromkeys(map(key_of, readings(schema.features)))
        self._numeric = [feature.name for feature in schema.features if feature.kind == "numeric"]
        self._numbers = itemgetter(*self._numeric) if len(self._numeric) > 1 else None  # of one it gives no tuple
        self.room = max(1, min(MOST, MOST_CELLS // max(1, len(schema.features))))
        self.waiting: list[Event] = []
        self.times_ms: list[int] = []
        self._settled = Receipt(0)

    def settle(self, receipt: Receipt) -> None:
        """What became of those that were taken."""
        self._settled = Receipt(self._settled.counted + receipt.counted, self._settled.late + receipt.late)

    def settled(self) -> Receipt:
        """Of all since the last time."""
        found, self._settled = self._settled, Receipt(0)
        return found

    def take(self) -> Batch:
        """All of them, as typed columns; none are left."""
        events, times = self.waiting.copy(), self.times_ms.copy()
        self.waiting.clear()
        self.times_ms.clear()
        return Batch(len(events), self._columns(events), np.array(times, dtype=np.int64) if times else None)

    def _columns(self, events: Sequence[Event]) -> dict[str, Column]:
        if SPARSE * sum(map(len, events)) < len(events) * len(self._keys):
            return typed_columns(self._features, self._pivoted(events))
        numbers = self._matrix(events)
        table = {key: _values(key, events) for key in self._keys if key not in numbers}
        return numbers | typed_columns([one for one in self._features if one.name not in numbers], table)

    def _matrix(self, events: Sequence[Event]) -> dict[str, Column]:
        """The numeric features at once, if all values are there and plain numbers; else none of them."""
        if self._numbers is None:
            return {}
        matrix = np.empty((len(self._numeric), len(events)))
        try:
            for low in range(0, len(events), PIECE):
                rows = list(map(self._numbers, events[low : low + PIECE]))
                if not set(map(type, chain.from_iterable(rows))) <= {float, int}:
                    return {}
                flat = np.fromiter(chain.from_iterable(rows), np.float64, len(rows) * len(self._numeric))
                matrix[:, low : low + PIECE] = flat.reshape(len(rows), -1).T
        except (KeyError, OverflowError):
            return {}
        return dict(zip(self._numeric, map(Column, matrix), strict=True))

    def _pivoted(self, events: Sequence[Event]) -> Mapping[str, Sequence[object]]:
        found: dict[str, list[object]] = {}
        for row, event in enumerate(events):
            for key, value in event.items():
                if key in self._keys:
                    if key not in found:
                        found[key] = [ABSENT] * len(events)
                    found[key][row] = value
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
        self._numbers: list[tuple[Feature, str, int, list[float], int]] = []
        self._others: list[tuple[Feature, str, int, Mapping[str | None, int], int]] = []
        for feature, start in zip(schema.features, schema.starts.tolist(), strict=True):
            binning = feature.binning
            if feature.kind == "numeric" and binning.cuts is not None:
                self._numbers.append((feature, feature.name, start, binning.cuts[0].tolist(), binning.regular - 1))
            else:
                self._others.append((feature, feature.name, start, binning.places or {}, binning.regular))

    def codes(self, event: Event) -> list[int]:
        """Flat, in any order; those that are not counted are left out.

        >>> from driftmon.stats.binnings.numeric import Binning
        >>> Coder(Schema((Feature("x", Binning((0.0,))), Feature("y", Binning(()))))).codes({"x": 1, "y": "?"})
        [1, 5]
        """
        found: list[int] = []
        add, get = found.append, event.get
        for feature, name, start, edges, last in self._numbers:
            value: Any = get(name, ABSENT)
            if type(value) is float:
                code = bisect_right(edges, value)
                if code == last and isnan(value):  # no edge is above it
                    code = last + 2
                add(start + code)
            elif (slow := _code(feature, value)) >= 0:
                add(start + slow)
        for feature, name, start, places, unseen in self._others:
            value = get(name, ABSENT)
            if type(value) is str and places:
                add(start + places.get(value, unseen))
            elif (slow := _code(feature, value)) >= 0:
                add(start + slow)
        return found


def _code(feature: Feature, value: object) -> int:
    """Of any value; NOT_COUNTED where the key is not there and need not be."""
    if value is ABSENT and feature.absent == "skip":
        return NOT_COUNTED
    column = column_of(feature.kind, [value])
    return feature.binning.size - 2 if column.invalid else int(feature.binning.codes(column.values)[0])
