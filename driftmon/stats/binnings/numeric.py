"""Numeric bins: E rising edges cut the line into E + 1 bins whose outer two are open.

Law: for every float64 that is not NaN, code(x) == numpy.searchsorted(edges, x, side="right").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from operator import lt
from typing import Any, ClassVar

import numpy as np

from driftmon.stats import cells
from driftmon.stats.columns import Floats
from driftmon.stats.schema import Codes, Counts


@dataclass(frozen=True)
class Binning:
    """
    >>> bins = Binning((0.0, 10.0))
    >>> bins.codes(np.array([-np.inf, -0.0, 9.9, 10.0, np.nan])).tolist()
    [0, 1, 1, 2, 4]
    >>> bins.labels()
    ('(-inf, 0)', '[0, 10)', '[10, inf)', 'invalid', 'missing')
    """

    edges: tuple[float, ...]
    kind = "numeric"
    tallies: ClassVar[tuple[str, ...]] = ()
    places = None

    def __post_init__(self) -> None:
        if all(map(math.isfinite, self.edges)) and all(map(lt, self.edges, self.edges[1:])):
            return  # thousands of features are read at a start: a tenth of the time of looking for what is wrong
        for edge in self.edges:
            if not math.isfinite(edge):
                raise ValueError(f"edges must be finite numbers, not {edge}: the outer bins are open already")
        for low, high in zip(self.edges, self.edges[1:], strict=False):
            if not low < high:
                raise ValueError(f"edges must rise: {low:g} is followed by {high:g}; sort them and drop repeats")

    @property
    def regular(self) -> int:
        return len(self.edges) + 1

    @property
    def size(self) -> int:
        return self.regular + 2

    @cached_property
    def _edges(self) -> Floats:
        return np.array(self.edges, dtype=np.float64)

    @cached_property
    def positions(self) -> Floats:
        """float64[regular]: midpoints; an open bin lies at its finite edge."""
        if not self.edges:
            return np.zeros(1)
        half = self._edges / 2  # halved first: the sum of two edges may be beyond float64
        found = np.empty(self.regular)
        found[0], found[-1] = self.edges[0], self.edges[-1]
        np.add(half[1:], half[:-1], out=found[1:-1])
        return found

    @cached_property
    def cuts(self) -> tuple[Floats, Codes]:
        return self._edges, np.arange(self.regular)

    def codes(self, values: Any) -> Codes:
        array = np.asarray(values, dtype=np.float64)
        if (small := self._small(array)) is not None:
            return small.astype(np.int64)
        return self._searched(array)

    def counts(self, values: Any) -> Counts:
        array = np.asarray(values, dtype=np.float64)
        if (small := self._small(array)) is None:
            return np.bincount(self._searched(array), minlength=self.size)
        return cells.counted(small, self.size)

    def _small(self, array: Floats) -> cells.Small | None:
        """The same codes by table, where one pays."""
        table: cells.Table | None = self.__dict__.get("_table")
        if table is None and (table := cells.table_for(self.edges, len(array))) is not None and cells.kept(table):
            self.__dict__["_table"] = table
        if table is None or len(array) < cells.LEAST:
            return None
        found = np.empty(len(array), dtype=table.codes.dtype)
        table.fill(array, found)
        return found

    def _searched(self, array: Floats) -> Codes:
        found = np.searchsorted(self._edges, array, side="right")
        missing = np.isnan(array)
        if missing.any():
            found[missing] = self.size - 1
        return found

    def labels(self) -> tuple[str, ...]:
        texts = [short(edge) for edge in self.edges]
        regular = [f"[{low}, {high})" for low, high in zip(["-inf", *texts], [*texts, "inf"], strict=True)]
        regular[0] = "(" + regular[0][1:]
        return (*regular, "invalid", "missing")

    def as_dict(self) -> dict[str, Any]:
        return {"type": self.kind, "edges": [edge + 0.0 for edge in self.edges]}  # -0.0 is 0.0


def short(number: float) -> str:
    """The shortest text that reads back as the same float64.

    >>> short(10.0), short(0.1), short(-1e300)
    ('10', '0.1', '-1e+300')
    """
    text = repr(float(number) + 0.0)
    return text[:-2] if text.endswith(".0") else text
