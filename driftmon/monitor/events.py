"""Events: records as maps, one at a time, that wait to be counted together.

Law: counted together they are what they are one by one: one that cannot be counted takes no other with it. An event
that waits belongs to the monitor: who changes it changes what is counted.
"""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import index, itemgetter
from typing import Any, Final, TypeAlias

import numpy as np

from driftmon.monitor.batch import Batch, Receipt
from driftmon.monitor.scoring import Part, key_of, readings, typed_columns
from driftmon.stats.columns import ABSENT, Column
from driftmon.stats.schema import Schema

Event: TypeAlias = Mapping[str, object]

MOST: Final = 1024  # events that wait
MOST_CELLS: Final = 2**20  # and events x features
PIECE: Final = 128  # events whose values stay in the second-level cache from one step to the next
MOST_MS: Final = 2**62  # beyond it, sums of a time and a pane leave int64
UNCOUNTABLE: Final = "uncountable"  # why an event is rejected
SPARSE: Final = 4  # events with so few of the keys are read by the keys they have


def plain(event: Any) -> Event:
    """A map of its own: one that makes up what it does not have would count it, and have it from then on.

    >>> from collections import Counter
    >>> type(plain(Counter(x=1)))
    <class 'dict'>
    """
    if isinstance(event, Mapping) or hasattr(event, "keys"):  # rows of pandas and sqlite3 are no Mapping
        return dict(event)
    raise TypeError(f"an event maps names to values, this is {_shown(event)}: give a dict")


def whole_ms(time_ms: Any) -> int:
    """The time of an event; of a float its whole part, as of arrays."""
    if type(time_ms) is int and -MOST_MS < time_ms < MOST_MS:
        return time_ms
    try:
        found = int(time_ms) if isinstance(time_ms, float) else index(time_ms)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"time_ms is a whole number of ms since 1970, this is {_shown(time_ms)}: give an int") from None
    if not -MOST_MS < found < MOST_MS:
        raise ValueError(f"time_ms is ms since 1970, this is {_shown(time_ms)}, beyond 2**62: give it in ms")
    return found


def _shown(value: object) -> str:
    return f"{type(value).__name__} {reprlib.repr(value)}"


class Events:
    """Those that wait, and a receipt of those that do no longer."""

    def __init__(self, schema: Schema) -> None:
        self._features = schema.features
        self._keys = dict.fromkeys(map(key_of, readings(schema.features)))
        parts = {key_of(one) for one in readings(schema.features) if isinstance(one, Part)}
        self._numeric = [one.name for one in schema.features if one.kind == "numeric" and one.name not in parts]
        self._numbers = itemgetter(*self._numeric) if len(self._numeric) > 1 else None  # of one it gives no tuple
        self.room = max(1, min(MOST, MOST_CELLS // max(1, len(schema.features))))
        self.waiting: list[Event] = []
        self.times_ms: list[int] = []
        self._settled = Receipt(0)

    def settled(self) -> Receipt:
        """What became of all since the last time."""
        found, self._settled = self._settled, Receipt(0)
        return found

    def counted(self) -> None:
        """All that wait have been counted elsewhere."""
        self._leave(len(self.waiting), Receipt(len(self.waiting)))

    def take(self, count: Callable[[Batch], Receipt], state: Callable[[], object]) -> None:
        """Count all that wait; where together they cannot be, one by one, and ValueError once the others are counted.

        `state` yields another object as soon as anything is counted.
        """
        try:
            self._count(len(self.waiting), count, state)
        except Exception:
            if not self.waiting:  # what failed came after they were counted
                raise
            self._count_singly(count, state)

    def _count_singly(self, count: Callable[[Batch], Receipt], state: Callable[[], object]) -> None:
        faults: list[tuple[int, Exception]] = []
        rows = len(self.waiting)
        for row in range(rows):
            try:
                self._count(1, count, state)
            except Exception as error:
                faults.append((row, error))
                if len(self.waiting) == rows - row:
                    self._leave(1, Receipt(0, 0, {UNCOUNTABLE: 1}))
        if faults:
            row, fault = faults[0]
            raise ValueError(
                f"{len(faults)} of the {rows} events that waited cannot be counted and are left out, the others are "
                f"counted; the first of them is number {row + 1}, {fault!r}: leave such values out"
            ) from fault

    def _count(self, rows: int, count: Callable[[Batch], Receipt], state: Callable[[], object]) -> None:
        """The first so many; they wait until they are counted."""
        times = np.array(self.times_ms[:rows], dtype=np.int64) if self.times_ms else None
        batch, before = Batch(rows, self._columns(self.waiting[:rows]), times), state()
        try:
            receipt = count(batch)
        except BaseException:
            if state() is not before:
                self._leave(rows, Receipt(rows))
            raise
        self._leave(rows, receipt)

    def _leave(self, rows: int, receipt: Receipt) -> None:
        del self.waiting[:rows], self.times_ms[:rows]
        known = self._settled
        rejected = Counter(known.rejected) + Counter(receipt.rejected)
        self._settled = Receipt(known.counted + receipt.counted, known.late + receipt.late, dict(rejected))

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
