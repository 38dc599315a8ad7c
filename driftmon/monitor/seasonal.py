"""Seasonal: a reference that has its hours, and is mixed anew for every window by the hours of its own rows.

Law: P = sum_h w_h P_h with w_h the share of the window's rows in hour h, and it is worth
n = 1 / sum_h w_h² / n_h observations. A window within one hour is compared with that hour exactly; one
that spans whole periods with nearly all of the reference.

Rows of several hours are no draws from one distribution, but by the means' inequality no likelihood ratio
against their mixture is larger on average than if they were: evidence and noise floor err on the quiet side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.ledger import Ledger
from driftmon.monitor.panes import PANES, PANES_PER_HALF_LIFE, Ring, Window, span
from driftmon.monitor.slots import HOUR_MS, Slots, shares
from driftmon.monitor.snapshot import Panes, Snapshot
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.schema import Schema


class Mixture:
    """Slot counts of a reference, ready to be mixed. A slot the reference never saw stands for all of it."""

    def __init__(self, schema: Schema, slots: Panes, whole: Floats) -> None:
        self._schema = schema
        self._slots = slots
        self._whole = whole
        self._known: dict[int, Floats] = {}

    @property
    def whole(self) -> Floats:
        """float64[width]: all slots together."""
        return self._whole

    def of_slot(self, slot: int) -> Floats:
        """float64[width]: the reference of one slot; feature by feature all of it, where the slot has nothing.

        The same slot is the same array, so that what is derived from it can be kept.
        """
        if slot not in self._known:
            counts = self._slots.get(slot, np.zeros(self._schema.width, dtype=np.int64)).astype(np.float64)
            seen = np.repeat(self._schema.totals(counts) > 0, self._schema.sizes)
            self._known[slot] = np.where(seen, counts, self._whole)
        return self._known[slot]

    def of(self, weights: Mapping[int, Floats]) -> Floats:
        """float64[width]: P for live rows of so many, float64[features], in each slot.

        >>> from driftmon.stats.divergences import Pair
        >>> schema = Pair.of(p=[1, 1], q=[1, 1]).schema
        >>> day, night = np.array([90, 10, 0, 0, 0]), np.array([20, 80, 0, 0, 0])
        >>> mixture = Mixture(schema, {12: day, 0: night}, (day + night).astype(float))
        >>> mixture.of({12: np.array([5.0]), 0: np.array([5.0])}).round(6).tolist()       # half and half is worth 200
        [110.0, 90.0, 0.0, 0.0, 0.0]
        >>> mixture.of({12: np.array([9.0]), 0: np.array([1.0])}).sum().round(6).item()   # nine to one only 122
        121.95122
        """
        present = {slot: weight for slot, weight in weights.items() if weight.any()}
        if len(present) <= 1:
            return self.of_slot(next(iter(present))) if present else self._whole
        rows = sum(present.values(), start=np.zeros(len(self._schema.features)))
        mixed, error = np.zeros(self._schema.width), np.zeros(len(rows))
        for slot, weight in sorted(present.items()):
            counts = self.of_slot(slot)
            n = self._schema.totals(counts)
            share = np.divide(weight, rows, out=np.zeros(len(rows)), where=rows > 0)
            each = np.divide(share, n, out=np.zeros(len(rows)), where=n > 0)
            mixed += np.repeat(each, self._schema.sizes) * counts
            error += share * each
        worth = np.divide(1.0, error, out=np.zeros(len(rows)), where=error > 0)
        return np.where(
            np.repeat(rows > 0, self._schema.sizes), mixed * np.repeat(worth, self._schema.sizes), self._whole
        )


class Seasonal:
    """The reference of a snapshot with slots. Windows must have panes of at most an hour."""

    history: tuple[Window, int] | None = None
    gathering = False

    def __init__(self, snapshot: Snapshot) -> None:
        if snapshot.slots_by is None:
            raise ValueError("the reference has no counts by hour; build it with reference: {type: seasonal, ...}")
        self.snapshot = snapshot
        self._by: Slots = snapshot.slots_by
        self._mixture = Mixture(snapshot.schema, snapshot.slots, snapshot.counts.astype(np.float64))

    @cached_property
    def dispersion(self) -> Dispersion:
        return self.snapshot.measured_dispersion()

    def check(self, windows: Sequence[Window]) -> None:
        """ValueError for a window whose rows' hours are unknown."""
        for window in windows:
            if fault := too_long(window):
                raise ValueError(f"window {window.name}: {fault}")

    def look(self, ledger: Ledger, inside_ms: int) -> None:
        """Nothing moves but the windows themselves."""

    def of_window(self, ring: Ring, inside_ms: int) -> Floats:
        """P mixed by the window's own rows, decayed as they are."""
        newest, pane_ms, schema = ring.window.pane_of(inside_ms), ring.window.pane_ms, self.snapshot.schema
        weights: dict[int, Floats] = {}
        for pane, counts in sorted(ring.panes.items()):
            rows = ring.weight(pane, newest) * schema.totals(counts[: schema.width].astype(np.float64))
            for slot, share in shares(self._by, pane * pane_ms, pane_ms).items():
                weights[slot] = weights.get(slot, 0.0) + share * rows
        return self._mixture.of(weights)

    def of_lags(self, ring: Ring, closed_pane: int, lag_panes: NDArray[np.int64]) -> Sequence[Floats]:
        """P of the last 1, 2, ... `lag_panes` panes, each mixed by its own rows."""
        pane_ms, schema = ring.window.pane_ms, self.snapshot.schema
        steps: dict[int, Floats] = {}
        for pane, counts in ring.panes.items():
            step = int(np.searchsorted(lag_panes, closed_pane - pane + 1))
            if pane > closed_pane or step >= len(lag_panes):
                continue
            rows = schema.totals(counts[: schema.width].astype(np.float64))
            for slot, share in shares(self._by, pane * pane_ms, pane_ms).items():
                steps.setdefault(slot, np.zeros((len(lag_panes), len(schema.features))))[step] += share * rows
        summed = {slot: np.cumsum(rows, axis=0) for slot, rows in steps.items()}
        return [self._mixture.of({slot: rows[lag] for slot, rows in summed.items()}) for lag in range(len(lag_panes))]


def too_long(window: Window) -> str:
    """Why a window's rows cannot be told by the hour, in words with the cure; empty where they can."""
    if 0 < window.pane_ms <= HOUR_MS:
        return ""
    key, most = ("length", PANES) if window.half_life_ms is None else ("half_life", PANES_PER_HALF_LIFE)
    panes = f"its panes of {span(window.pane_ms)} are longer than an hour" if window.pane_ms else "it has no panes"
    cure = f"use a {key} of at most {span(most * HOUR_MS)}"
    return f"{panes}, so a seasonal reference cannot tell the hours of its rows; {cure}"
