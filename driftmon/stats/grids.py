"""Grids: the bins of a whole matrix in a few steps: each column cut in cells of equal width, read from one table.

Law: they are those of each feature's own binning. Multiplying and adding keep the order, so a value in a cell above
an edge's is above the edge, and one in a cell below is below it. Which side of an edge in its own cell a value is on,
a comparison tells. A call into numpy costs as much as some hundred values, so there is none for each feature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.columns import Floats
from driftmon.stats.grid_cells import Cells, Codes, Texts, planned
from driftmon.stats.matrix import Fields, Matrix, Pivot

if TYPE_CHECKING:
    from driftmon.stats.schema import Feature

Bins: TypeAlias = NDArray[np.int32]
Scales: TypeAlias = tuple[Floats, Floats, Codes]  # of each column factor, summand, and which is its first cell

PIECE: Final = 8192  # values at a time: what is in between stays in the second-level cache
CELLS: Final = 2**20  # of all columns together, about
FINEST: Final = 2048  # of one column; more than there are words
COARSEST: Final = 512


@dataclass(frozen=True, eq=False)
class Grid:
    """Of those columns of a matrix that have cells, in the order of their places; `rest` are the names of the others.

    Each has `size` cells, that of x is the whole part of factor * x + summand. What would lie below is in the first,
    what would lie above in the last but one, and NaN in the last. `bins` has the lowest bin that there is in a cell.
    """

    features: Codes
    places: Codes
    every: bool  # they are all places
    size: int
    scales: Scales
    bins: Bins
    missing: Codes
    next_edge: Floats  # above a bin; NaN where there is none
    most: int  # edges in a cell
    words: Mapping[int, Texts]  # by place
    rest: Sequence[str]

    @classmethod
    def of(cls, features: Sequence[Feature], starts: Codes, fields: Fields) -> Grid:
        """Prepared for all matrices of these fields."""
        numbers, listed, words, rest = planned(features, starts, fields)
        size = min(FINEST, max(COARSEST, CELLS // max(1, len(fields.place))))
        cells = Cells.of(numbers, size)
        bins = np.zeros((len(numbers) + len(listed), size), dtype=np.int32)
        bins[: len(numbers)] = cells.bins
        for row, one in enumerate(listed, len(numbers)):
            bins[row, : len(one.bins)], bins[row, len(one.bins) :], bins[row, -1] = one.bins, one.bins[-1], one.missing
        chosen = [*numbers, *listed]
        places, index = (np.array([one[at] for one in chosen], dtype=np.int64) for at in (1, 0))
        order = np.argsort(places)
        order = order[np.append(cells.able, np.ones(len(listed), dtype=np.bool_))[order]]
        next_edge = np.full(sum(feature.binning.size for feature in features), np.nan)
        for one in numbers:
            next_edge[one.start : one.start + len(one.edges)] = one.edges
        factor = np.append(cells.factor, np.ones(len(listed)))[order]
        summand = np.append(cells.summand, [float(one.place in words) for one in listed])[order]
        return cls(
            index[order],
            places[order],
            len(order) == len(fields.place),
            size,
            (factor, summand, np.arange(len(order)) * size),
            bins[order].ravel(),
            np.array([chosen[one].missing for one in order], dtype=np.int64),
            next_edge,
            int(cells.most[cells.able].max(initial=0)),
            words,
            [*rest, *(features[one.feature].name for one, may in zip(numbers, cells.able, strict=True) if not may)],
        )

    @cached_property
    def _tiles(self) -> Scales:
        """Of as many rows as are counted in one step."""
        factor, summand, first = self.scales
        rows = max(1, PIECE // max(1, len(first)))
        return np.tile(factor, rows), np.tile(summand, rows), np.tile(first, rows)

    def fill(self, matrix: Matrix) -> Bins:
        """int32[rows, len(features)]: the bins; absent values are missing ones."""
        values = matrix.numbers if self.every else matrix.numbers[:, self.places]
        into = np.empty(values.shape, dtype=np.int32)
        flat, found, step = values.reshape(-1), into.reshape(-1), len(self._tiles[0])
        for start in range(0, len(flat), step or 1):
            self._bins(flat[start : start + step], self._tiles, found[start : start + step])
        if matrix.others:
            self._others(matrix, into)
        return into

    def bins_of(self, pivot: Pivot) -> Bins:
        """int32: the bin of each number that has one here."""
        row_of = np.full(len(pivot.fields.place), -1)
        row_of[self.places] = np.arange(len(self.places))
        row, values = row_of[pivot.place], pivot.numbers
        if not self.every:
            row, values = row[row >= 0], values[row >= 0]
        into, (factor, summand, first) = np.empty(len(values), dtype=np.int32), self.scales
        self._bins(values, (factor[row], summand[row], first[row]), into)
        return into

    def _bins(self, values: Floats, scales: Scales, into: Bins) -> None:
        factor, summand, first = scales
        many = len(values)
        with np.errstate(over="ignore"):  # what is too large is infinite, and in order
            cells = values * factor[:many]
        cells += summand[:many]
        np.minimum(cells, self.size - 2, out=cells)
        np.fmin(cells, self.size - 1, out=cells)  # NaN
        np.maximum(cells, 0, out=cells)
        at = cells.astype(np.intp)
        at += first[:many]
        self.bins.take(at, out=into, mode="clip")
        for _ in range(self.most):
            into += values >= self.next_edge.take(into)

    def _others(self, matrix: Matrix, into: Bins) -> None:
        """Texts that are no words of their columns."""
        for place, (start, codes, unseen) in self.words.items():
            if others := matrix.others.get(place):
                row = int(np.searchsorted(self.places, place))
                values = matrix.numbers[:, place]
                (at,) = (values < 0).nonzero()
                bins = np.array([start + codes.get(text, unseen) for text in others], dtype=np.int32)
                into[at, row] = bins[-1 - values[at].astype(np.int64)]
