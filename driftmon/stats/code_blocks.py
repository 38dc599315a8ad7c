"""Code blocks: the columns of a block of rows become codes; in a short block those of all features together.

Law: the codes are those of each feature's own binning. A call into numpy costs as much as a hundred values, so numbers
of few rows are searched for in the edges of all features at once, and only the columns there are take a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from driftmon.stats.columns import Column, Floats

if TYPE_CHECKING:
    from driftmon.stats.schema import Codes, Feature

PIECE: Final = 8192  # values at a time: what is in between stays in the second-level cache
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
        self._missing = starts + np.array([feature.binning.size - 1 for feature in features], dtype=np.int64)
        self._place = {feature.name: index for index, feature in enumerate(features)}
        cuts = {index: feature.binning.cuts for index, feature in enumerate(features)}
        self._cuts = {index: found for index, found in cuts.items() if found is not None}
        self._places = [feature.binning.places for feature in features]
        self._unseen = [feature.binning.regular for feature in features]
        self._width = np.zeros(len(features), dtype=np.int64)  # the power of two less one that holds the cuts
        for index, (rising, _) in self._cuts.items():
            self._width[index] = 2 ** len(rising).bit_length() - 1

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

    def fill(self, columns: Mapping[str, Column], into: Codes) -> list[tuple[int, Column]]:
        """Codes int64[features, rows] of the features that have a column; those columns with marked rows."""
        rows = into.shape[1]
        marked: list[tuple[int, Column]] = []
        together: Mapping[int, object] = self._cuts if rows < SHORT else {}
        numbers: list[Floats] = []
        codes: list[Codes] = []
        texts: list[int] = []
        number_at: list[int] = []
        code_at: list[int] = []
        text_at: list[int] = []
        for name, column in columns.items():
            if (index := self._place.get(name)) is None:
                continue
            values: Any = column.values
            if len(values) != rows:
                raise ValueError(f"column {name} has {len(values)} rows, the batch {rows}: they must be equal")
            if index in together:
                number_at.append(index)
                numbers.append(values)
            elif rows < SHORT and (places := self._places[index]) is not None:
                text_at.append(index)
                get, unseen = places.get, self._unseen[index]
                texts += [get(value, unseen) for value in values]
            else:
                code_at.append(index)
                codes.append(self._features[index].binning.codes(values))
            if column.invalid or len(column.absent) or len(column.uncounted):
                marked.append((index, column))
        if texts:
            found = np.array(texts, dtype=np.int64).reshape(len(text_at), rows)
            into[text_at] = found + self._starts[text_at][:, None]
        if codes:
            for index, one in zip(code_at, codes, strict=True):
                np.add(one, self._starts[index], out=into[index])
        step = max(1, PIECE // max(1, rows))
        for low in range(0, len(numbers), step):
            values = np.concatenate(numbers[low : low + step])
            self._number(
                np.array(number_at[low : low + step]), values.reshape(len(number_at[low : low + step]), rows), into
            )
        return marked

    def _number(self, features: Codes, values: Floats, into: Codes) -> None:
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
