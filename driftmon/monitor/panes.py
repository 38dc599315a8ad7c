"""Window and Ring: a sliding window is a sum of panes, a decayed one a weighted view of them.

Law: integers do not drift, so the running total of a ring equals the sum of its panes, always. Where a row stands
for w records its counts are w, and `excess` has w² - w: both add, and from both follows how much the counts are worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from msgspec import Struct, field

from driftmon.stats.columns import Floats
from driftmon.stats.schema import Counts, Schema

PANES: Final = 60
PANES_PER_HALF_LIFE: Final = 6


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in PANES panes; with `half_life_ms` older panes weigh less; with neither, everything.

    >>> Window.sliding("fast", 3_600_000).pane_ms, Window.decayed("slow", 6 * 3_600_000).pane_ms
    (60000, 3600000)
    """

    name: str
    pane_ms: int  # 0: one pane for all time
    half_life_ms: int | None = None

    @classmethod
    def sliding(cls, name: str, length_ms: int) -> Window:
        return cls(name, _exact(length_ms, PANES, f"window {name}: length"))

    @classmethod
    def decayed(cls, name: str, half_life_ms: int) -> Window:
        return cls(name, _exact(half_life_ms, PANES_PER_HALF_LIFE, f"window {name}: half_life"), half_life_ms)

    @classmethod
    def everything(cls, name: str = "all") -> Window:
        return cls(name, 0)

    def pane_of(self, time_ms: int) -> int:
        return time_ms // self.pane_ms if self.pane_ms else 0


def _exact(length_ms: int, parts: int, what: str) -> int:
    if length_ms < parts or length_ms % parts:
        raise ValueError(f"{what} of {length_ms} ms does not split into {parts} panes of whole milliseconds")
    return length_ms // parts


def finest_pane_ms(windows: tuple[Window, ...]) -> int:
    """The pane in which batches are counted; all others are multiples of it, else ValueError.

    >>> finest_pane_ms((Window.sliding("a", 60_000), Window.sliding("b", 90_000)))
    Traceback (most recent call last):
    ValueError: window b: its panes of 1500 ms are no multiple of 1000 ms, those of a; make its length a multiple of 1m
    """
    finest = min((window for window in windows if window.pane_ms), key=lambda window: window.pane_ms, default=None)
    if finest is None:
        return 0
    for window in windows:
        if window.pane_ms % finest.pane_ms:
            raise ValueError(
                f"window {window.name}: its panes of {window.pane_ms} ms are no multiple of {finest.pane_ms} ms, "
                f"those of {finest.name}; make its length a multiple of {span(finest.pane_ms * PANES)}"
            )
    return finest.pane_ms


def span(milliseconds: int) -> str:
    """A duration as the configuration writes it.

    >>> span(90_000), span(604_800_000), span(1500)
    ('90s', '7d', '1500ms')
    """
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


class View(Struct, frozen=True):
    """A window at one instant: counts float64[width] = sum of w c, squared = sum of w^2 c.

    w = 1 unless the window decays or rows were thinned. `tallies` weigh as the counts they came with.
    """

    counts: Floats
    squared: Floats
    tallies: Floats = field(default_factory=lambda: np.zeros(0))


def worth(schema: Schema, view: View) -> Floats:
    """float64[width]: the same shares in as many observations as the weights stand for (Kish), (Σ w)² / Σ w²."""
    total, squared = schema.totals(view.counts), schema.totals(view.squared)
    scale = np.divide(total, squared, out=np.zeros(len(total)), where=squared > 0)
    return np.asarray(view.counts * np.repeat(scale, schema.sizes))


def weighed(counts: Counts, weight: int, width: int) -> tuple[Counts, Counts | None]:
    """A state vector of rows that stand for `weight` records each, and its excess; of tallies nobody asks it.

    >>> weighed(np.array([2, 7]), 3, width=1)
    (array([ 6, 21]), array([12,  0]))
    """
    if weight == 1:
        return counts, None
    excess = counts * (weight * weight - weight)
    excess[width:] = 0
    return counts * weight, excess


class Ring:
    """The last `length` panes of one window: `add` to a pane, `view` the window as of a pane. A pane is a state
    vector: `width` counts, then `tallies` other integers that add.

    >>> ring = Ring(Window.sliding("w", 60_000), width=1)
    >>> ring.add(0, np.array([3])); ring.add(59, np.array([4]))
    >>> ring.view(59).counts.tolist(), ring.view(60).counts.tolist()
    ([7.0], [4.0])
    """

    def __init__(self, window: Window, width: int, length: int = PANES, tallies: int = 0) -> None:
        self.window = window
        self._width = width
        self.length = length
        self.panes: dict[int, Counts] = {}
        self.excess: dict[int, Counts] = {}  # only of panes with thinned rows
        self._total = np.zeros(width + tallies, dtype=np.int64)
        self._excess_total = np.zeros(width + tallies, dtype=np.int64)
        self._newest: int | None = None
        self._oldest = 0  # no pane is older, where there is any

    def add(self, pane: int, counts: Counts, excess: Counts | None = None) -> None:
        """Add counts to a pane; one that has left the window already is past use and not kept.

        The array may be kept as it is, by several rings, so nobody changes it afterwards.
        """
        self._move_to(pane)
        if self._gone(pane):
            return
        held = self.panes.get(pane)
        self._oldest = min(self._oldest, pane) if self.panes else pane
        self.panes[pane] = counts if held is None else held + counts
        self._total += counts
        if excess is not None:
            self.excess[pane] = self.excess[pane] + excess if pane in self.excess else excess
            self._excess_total += excess

    def view(self, current: int) -> View:
        """The window as of pane `current` and the PANES - 1 before it; the current one may be partial."""
        self._move_to(current)
        if self.window.half_life_ms is None:
            counts = self._total.astype(np.float64)
            return self._view(counts, counts + self._excess_total if self.excess else counts)
        newest = current if self._newest is None else self._newest
        return self._decayed(newest)

    def twin(self) -> Ring:
        """One that goes on from here by itself."""
        other = Ring(self.window, self._width, self.length, len(self._total) - self._width)
        other.panes, other.excess = dict(self.panes), dict(self.excess)
        other._newest, other._oldest = self._newest, self._oldest
        other._total, other._excess_total = self._total.copy(), self._excess_total.copy()
        return other

    def as_of(self, current: int) -> View:
        """The same of the panes there still are, without moving on: for a look from outside, at another's time.

        >>> ring = Ring(Window.sliding("w", 60_000), width=1)
        >>> ring.add(0, np.array([3])); ring.add(59, np.array([4]))
        >>> ring.as_of(58).counts.tolist(), ring.as_of(60).counts.tolist()
        ([3.0], [4.0])
        """
        if self.window.half_life_ms is not None:
            return self._decayed(current)
        return self.between(current - self.length + 1 if self.window.pane_ms else 0, current)

    def between(self, first: int, last: int) -> View:
        """The panes from `first` to `last`, both included, whatever their age."""
        zero = np.zeros(len(self._total), dtype=np.int64)
        counts = sum((held for pane, held in self.panes.items() if first <= pane <= last), start=zero)
        excess = sum((held for pane, held in self.excess.items() if first <= pane <= last), start=zero)
        return self._view(counts.astype(np.float64), (counts + excess).astype(np.float64))

    def _view(self, state: Floats, squared: Floats) -> View:
        return View(state[: self._width], squared[: self._width], state[self._width :])

    def weight(self, pane: int, newest: int) -> float:
        """What an observation of a pane counts for when `newest` is the current one."""
        if self.window.half_life_ms is None:
            return 1.0
        return float(2.0 ** (-(newest - pane) * self.window.pane_ms / self.window.half_life_ms))

    def _decayed(self, newest: int) -> View:
        decayed, squared = np.zeros(len(self._total)), np.zeros(len(self._total))
        for pane, held in sorted(self.panes.items()):
            if newest - self.length < pane <= newest:
                weight = self.weight(pane, newest)
                decayed += weight * held
                squared += weight * weight * (held + self.excess[pane] if pane in self.excess else held)
        return self._view(decayed, squared)

    def worth(self, pane: int, schema: Schema) -> Floats:
        """float64[width]: a pane's counts, worth as many rows as they came from: thinned ones less."""
        counts = self.panes[pane]
        if pane not in self.excess:
            return counts[: self._width].astype(np.float64)
        return worth(schema, self._view(counts.astype(np.float64), (counts + self.excess[pane]).astype(np.float64)))

    def sums(self, newest: int, lag_panes: Counts, schema: Schema) -> Floats:
        """float64[L, width]: what the last 1, 2, ... `lag_panes` panes up to and including `newest` are worth.

        >>> ring = Ring(Window("evidence", 60_000), width=1, length=256)
        >>> ring.add(7, np.array([5])); ring.add(8, np.array([3])); ring.add(9, np.array([1]))
        >>> ring.sums(8, np.array([1, 2, 5]), Schema(())).ravel().tolist()
        [3.0, 8.0, 8.0]
        """
        oldest = newest - int(lag_panes[-1])
        held = sorted((pane for pane in self.panes if oldest < pane <= newest), reverse=True)
        if not held:
            return np.zeros((len(lag_panes), self._width))
        if self.excess:
            each = np.array([self.worth(pane, schema) for pane in held])
        else:
            each = np.array([self.panes[pane] for pane in held])[:, : self._width]
        running = np.cumsum(each, axis=0)
        within = np.searchsorted(newest - np.array(held) + 1, lag_panes, side="right")
        return np.where(within[:, None] > 0, running[within - 1], 0).astype(np.float64)

    def _gone(self, pane: int) -> bool:
        return bool(self.window.pane_ms) and self._newest is not None and pane <= self._newest - self.length

    def _move_to(self, pane: int) -> None:
        if self._newest is not None and pane <= self._newest:
            return
        self._newest = pane
        if not self.window.pane_ms or not self.panes:
            return
        first = pane - self.length + 1
        few = range(self._oldest, first)  # what has gone lies in it, mostly one pane; after a silence look at all held
        for old in few if len(few) < len(self.panes) else [held for held in self.panes if held < first]:
            if old in self.panes:
                self._total -= self.panes.pop(old)
                self._excess_total -= self.excess.pop(old, 0)
        self._oldest = max(self._oldest, first)
