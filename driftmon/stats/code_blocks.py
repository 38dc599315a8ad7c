"""Code blocks: the columns of a block of rows become codes; in a short block those of all features together.

Law: the codes are those of each feature's own binning. A call into numpy costs as much as a hundred values, so numbers
of few rows are searched for in the edges of all features at once, and only the columns there are take a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import numpy as np

from driftmon.stats.columns import Column, Floats
from driftmon.stats.grids import Grid
from driftmon.stats.matrix import Fields

if TYPE_CHECKING:
    from driftmon.stats.schema import Codes, Feature

PIECE: Final = 8192  # values at a time: what is in between stays in the second-level cache
MANY: Final = 16  # columns that are worth it
SHORT: Final = 512  # rows; from here on a feature at a time is faster, by its table


@dataclass(frozen=True, slots=True)
class Search:
    """Rising cuts of features that have at most `width` of them, NaN after their last; width + 1 codes likewise.

    >>> search = Search.of(3, [(np.array([0.0, 1.0]), np.array([5, 6, 7]))])
    >>> search.codes(np.array([0]), np.array([[-np.inf, -0.0, 0.5, 1.0, np.inf]])).tolist()
    [[5, 6, 6, 7, 7]]
    """

    width: int
    cuts: Floats
    found: Codes

    @classmethod
    def of(cls, width: int, features: Sequence[tuple[Floats, Codes]]) -> Search:
        cuts, found = np.full((len(features), width), np.nan), np.zeros((len(features), width + 1), np.int64)
        for row, (rising, codes) in enumerate(features):
            cuts[row, : len(rising)], found[row, : len(codes)] = rising, codes
        return cls(width, cuts.ravel(), found.ravel())

    def codes(self, rows: Codes, values: Floats) -> Codes:
        """int64[len(rows), n] of float64[len(rows), n], each row by the cuts of the feature that `rows` names."""
        at = np.repeat((rows * self.width - 1)[:, None], values.shape[1], axis=1)
        step = (self.width + 1) // 2
        while step:
            at += np.multiply(values >= self.cuts.take(at + step), step)
            step //= 2
        at += (rows + 1)[:, None]  # a row has one code more than cuts
        return self.found.take(at)


class Blocks:
    """The features of a schema, prepared."""

    def __init__(self, features: Sequence[Feature], starts: Codes) -> None:
        self._features, self._starts = features, starts
        self._grids: WeakKeyDictionary[Fields, Grid] = WeakKeyDictionary()
        self._missing = starts + np.array([feature.binning.size - 1 for feature in features], dtype=np.int64)
        self.place = {feature.name: index for index, feature in enumerate(features)}
        cuts = {index: feature.binning.cuts for index, feature in enumerate(features)}
        self._cuts = {index: found for index, found in cuts.items() if found is not None}
        places = {index: feature.binning.places for index, feature in enumerate(features)}
        self._places = {index: found for index, found in places.items() if found is not None}
        self._unseen = [feature.binning.regular for feature in features]
        self._width = np.zeros(len(features), dtype=np.int64)  # the power of two less one that holds the cuts
        for index, (rising, _) in self._cuts.items():
            self._width[index] = 2 ** len(rising).bit_length() - 1

    def __reduce__(self) -> tuple[object, ...]:
        return Blocks, (self._features, self._starts)

    def grid(self, fields: Fields) -> Grid:
        """For the matrices of these fields: as long as a decoder has them."""
        if (grid := self._grids.get(fields)) is None:
            grid = self._grids[fields] = Grid.of(self._features, self._starts, fields)
        return grid

    @cached_property
    def _searches(self) -> tuple[tuple[Search, ...], Codes, Codes]:
        """Of each width one search, and of each feature which it is and its row there."""
        searches: list[Search] = []
        which, row = np.zeros_like(self._width), np.zeros_like(self._width)
        for width in np.unique(self._width[[*self._cuts]]).tolist():
            members = [index for index in self._cuts if self._width[index] == width]
            which[members], row[members] = len(searches), np.arange(len(members))
            parts = [(self._cuts[index][0], self._cuts[index][1] + self._starts[index]) for index in members]
            searches.append(Search.of(width, parts))
        return tuple(searches), which, row

    def known(self, columns: Mapping[str, Column], rows: int) -> list[tuple[int, Column]]:
        """The columns of features, with the features' numbers; ValueError where one has not so many rows."""
        place = self.place
        known = [(place[name], column) for name, column in columns.items() if name in place]
        for index, column in known:
            if len(column.values) != rows:
                name = self._features[index].name
                raise ValueError(f"column {name} has {len(column)} rows, the batch {rows}: they must be equal")
        return known

    def fill(self, known: Sequence[tuple[int, Column]], into: Codes) -> None:
        """The codes of known columns, each in the row of its feature's number."""
        if into.shape[1] < SHORT and len(known) >= MANY:
            self._texts([(index, column) for index, column in known if index in self._places], into)
            self._numbers([(index, column) for index, column in known if index in self._cuts], into)
            known = [one for one in known if one[0] not in self._places and one[0] not in self._cuts]
        for index, column in known:
            np.add(self._features[index].binning.codes(column.values), self._starts[index], out=into[index])

    def _texts(self, known: Sequence[tuple[int, Column]], into: Codes) -> None:
        found: list[int] = []
        for index, column in known:
            found += map(self._places[index].get, column.values, repeat(self._unseen[index]))
        at = [index for index, _ in known]
        into[at] = np.array(found, np.int64).reshape(len(at), into.shape[1]) + self._starts[at][:, None]

    def _numbers(self, known: Sequence[tuple[int, Column]], into: Codes) -> None:
        rows = into.shape[1]
        step = max(1, PIECE // max(1, rows))
        for low in range(0, len(known), step):
            piece = known[low : low + step]
            values = np.concatenate([column.values for _, column in piece]).reshape(len(piece), rows)
            self._search(np.array([index for index, _ in piece]), values, into)

    def _search(self, features: Codes, values: Floats, into: Codes) -> None:
        searches, which, row = self._searches
        for one, search in enumerate(searches):
            there = features if len(searches) == 1 else features[which[features] == one]
            if len(there):
                part = values if len(searches) == 1 else values[which[features] == one]
                found = search.codes(row[there], part)
                missing = np.isnan(part)
                if missing.any():
                    found = np.where(missing, self._missing[there][:, None], found)
                into[there] = found
