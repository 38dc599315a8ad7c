"""Columns: the samples of one metric as series, which stay from report to report, and values, which do not.

Law: read back, it is what a Family of the same samples is, value for value to the last bit. What stands before a value
is put together once, and the values of a column are written in one go: a hundredth of what generate_latest takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, compress

import msgspec
import numpy as np
from msgspec import Struct

from driftmon.render.catalogue import Metric
from driftmon.render.openmetrics import labelled
from driftmon.stats.columns import Floats


@dataclass(frozen=True, eq=False)
class Series:
    """Those of one metric and stream, in order: label values in the order of `metric.labels`."""

    metric: Metric
    labels: Sequence[tuple[str, ...]]

    @cached_property
    def leads(self) -> list[bytes]:
        """What stands before each value, the end of the line above included."""
        return [f"\n{labelled(self.metric, values)} ".encode() for values in self.labels]

    @cached_property
    def places(self) -> Mapping[tuple[str, ...], int]:
        """Where a series is, by its label values."""
        return {labels: at for at, labels in enumerate(self.labels)}


class Column(Struct, frozen=True, eq=False):
    """One metric with its values: float64[series] of each part; what is not finite has no sample."""

    metric: Metric
    parts: Sequence[tuple[Series, Floats]]

    @property
    def samples(self) -> Sequence[tuple[tuple[str, ...], float]]:
        """One by one, as of a Family."""
        return [
            (labels, value)
            for series, values in self.parts
            for labels, value in zip(series.labels, values.tolist(), strict=True)
            if np.isfinite(value)
        ]

    def lines(self) -> bytes:
        """A line each, begun by a line feed."""
        return b"".join(chain.from_iterable(_lines(series, values) for series, values in self.parts))


def _lines(series: Series, values: Floats) -> Iterator[bytes]:
    """
    >>> series = Series(Metric("a_ratio", "gauge", "ratio", "", ("x",)), [("i",), ("j",), ("k",)])
    >>> b"".join(_lines(series, np.array([0.5, np.nan, 1e-7])))
    b'\\na_ratio{x="i"} 0.5\\na_ratio{x="k"} 1e-7'
    """
    known = np.isfinite(values)
    if not known.any():
        return iter(())
    leads = series.leads if known.all() else compress(series.leads, known.tolist())
    # The shortest digits that read back as the same double, as repr's, at an eighth of its time.
    numbers = msgspec.json.encode(values[known].tolist())[1:-1].split(b",")
    return chain.from_iterable(zip(leads, numbers, strict=True))
