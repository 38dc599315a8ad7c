"""Gathered: the rows of one batch whose values are all plain, on their way from structs to a matrix.

Law: it holds either all rows of a batch or none; what it holds can be given back as the values of its records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import UNSET

from driftmon.formats.dense import Dense, Entries
from driftmon.formats.structs import Path, Values
from driftmon.stats.columns import Column, Floats
from driftmon.stats.matrix import Matrix, Pivot, Together, spread


class Gathered:
    """The rows of one batch."""

    def __init__(self, dense: Dense) -> None:
        self.dense = dense
        self.lists: Values = {path: [] for path in dense.lists}
        self.others: dict[int, list[str]] = {}  # texts of this batch that are no words, by place
        self._numbers: list[Floats | Entries] = []

    def add_sparse(self, rows: Sequence[Mapping[str, Any]], most_keys: int) -> bool:
        """Some of those decoded as maps; False, and nothing is added, where they must be read otherwise."""
        entries = self.dense.entries(rows, most_keys, self.lists)
        if entries is not None:
            self._numbers.append(entries)
        return entries is not None

    def add(self, structs: Sequence[Any]) -> None:
        """Some of those decoded last."""
        numbers = self.dense.flat(structs, self.lists)
        for path, words in self.dense.words.items():
            if others := words.take():
                place = self.dense.places[path]
                column, held = numbers[:, place], self.others.setdefault(place, [])
                column[column < 0] -= len(held)
                held += others
        self._numbers.append(numbers)

    @property
    def numbers(self) -> Floats:
        """float64[rows, places]"""
        if len(self._numbers) == 1 and isinstance(only := self._numbers[0], np.ndarray):
            return only
        parts = [
            one if isinstance(one, np.ndarray) else spread(self.dense.fields, one.rows, one.row, one.place, one.values)
            for one in self._numbers
        ]
        whole = np.concatenate([np.zeros((0, len(self.dense.places))), *parts])
        self._numbers = [whole]
        return whole

    def news(self) -> Mapping[Path, tuple[int, Sequence[str]]]:
        """By path how often which texts came that are none of the words."""
        found = {}
        for path in self.dense.words:
            if (place := self.dense.places[path]) in self.others:
                found[path] = int(np.count_nonzero(self.numbers[:, place] < 0)), self.others[place]
        return found

    def together(self, beside: Mapping[str, Column]) -> Together | None:
        """None: a flag among them is neither 0 nor 1."""
        if self._numbers and all(isinstance(one, Entries) for one in self._numbers):
            return self._pivot(beside)
        numbers, fields = self.numbers, self.dense.fields
        if fields.flags:
            flags = numbers[:, list(fields.flags)]
            if not ((flags == 0.0) | (flags == 1.0) | np.isnan(flags)).all():
                return None
        return Matrix(fields, numbers, self.others, beside)

    def _pivot(self, beside: Mapping[str, Column]) -> Pivot:
        parts = [one for one in self._numbers if isinstance(one, Entries)]
        rows = np.array([one.rows for one in parts])
        first = np.cumsum(rows) - rows
        row = np.concatenate([one.row + start for one, start in zip(parts, first.tolist(), strict=True)])
        place, values = np.concatenate([one.place for one in parts]), np.concatenate([one.values for one in parts])
        return Pivot(self.dense.fields, int(rows.sum()), row, place, values, beside)

    def values(self) -> Values:
        """By path, as records of them would be."""
        found, matrix = dict(self.lists), Matrix(self.dense.fields, self.numbers, self.others)
        for path, place in self.dense.places.items():
            column = matrix.at(place)
            values: list[Any] = column.values if isinstance(column.values, list) else column.values.tolist()
            for row in column.absent:
                values[row] = UNSET
            found[path] = values
        return found
