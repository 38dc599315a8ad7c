"""Schemas and pairs of counts for the laws of stats: mixed kinds, empty bins, one observation to millions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from driftmon.stats.binnings import boolean, categorical, numeric
from driftmon.stats.columns import Floats
from driftmon.stats.divergences import DIVERGENCES, Pair
from driftmon.stats.schema import Binning, Counts, Feature, Schema

BINNINGS: tuple[Binning, ...] = (
    numeric.Binning(()),
    numeric.Binning((0.0,)),
    numeric.Binning((-3.5, -1.0, 0.0, 0.25, 10.0, 1000.0)),
    categorical.Binning(()),
    categorical.Binning(("UA", "AA", "unseen")),
    boolean.Binning(),
)
PSEUDOCOUNTS = (0.5, 1.0, 1e-6, 7.0)

schemas = st.lists(st.sampled_from(BINNINGS), min_size=1, max_size=4).map(
    lambda binnings: Schema(tuple(Feature(f"f{index}", binning) for index, binning in enumerate(binnings)))
)
bin_counts = st.one_of(st.just(0), st.integers(0, 5), st.integers(0, 10**7))


def counts_of(schema: Schema) -> st.SearchStrategy[Counts]:
    return st.lists(bin_counts, min_size=schema.width, max_size=schema.width).map(
        lambda counts: np.array(counts, dtype=np.int64)
    )


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    schema = draw(schemas)
    reference, live = draw(counts_of(schema)), draw(counts_of(schema))
    return Pair(schema, reference.astype(np.float64), live.astype(np.float64), draw(st.sampled_from(PSEUDOCOUNTS)))


def exactly(wanted: object) -> object:
    """Equal to 1e-12, NaN where NaN is wanted."""
    return pytest.approx(wanted, rel=1e-12, abs=1e-12, nan_ok=True)


def value(pair: Pair, name: str, label: str | None = None) -> Floats:
    """float64[features] of the divergence of that name, and of that label where it has several."""
    [found] = [d for d in DIVERGENCES if d.name == name and label in (None, *d.labels.values())]
    return found.of(pair)
