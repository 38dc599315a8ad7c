"""A code read from a table is the code that a search finds, next to every edge and at either end of float64."""

from __future__ import annotations

import math
import pickle
import sys
from weakref import WeakValueDictionary

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from driftmon.stats import cells
from driftmon.stats.binnings.numeric import Binning
from driftmon.stats.columns import Floats

SPECIAL = (0.0, -0.0, 5e-324, -5e-324, 1e-45, -1e-45, 1e300, -1e300, 3.5e38, sys.float_info.max, -sys.float_info.max)
finite = st.one_of(
    st.sampled_from(SPECIAL),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-4, 4),
    st.integers(-9, 9).map(float),
    st.integers(2**53, 2**63).map(float),
)
clusters = st.builds(lambda start, steps: [start + step for step in steps], finite, st.lists(st.floats(-1e-3, 1e-3)))
rising = st.one_of(st.lists(finite, min_size=1, max_size=140), clusters.filter(bool)).map(
    lambda edges: tuple(sorted({edge for edge in edges if math.isfinite(edge)}))
)
rising = rising.filter(bool)


@pytest.fixture(autouse=True)
def no_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may have left no room for any."""
    monkeypatch.setattr(cells, "_kept", WeakValueDictionary())


def searched(edges: tuple[float, ...], values: Floats) -> list[int]:
    found = np.searchsorted(np.array(edges), values, side="right")
    codes: list[int] = np.where(np.isnan(values), len(edges) + 2, found).tolist()
    return codes


def filled(edges: tuple[float, ...], values: Floats) -> list[int]:
    table = cells.made(edges)
    found = np.empty(len(values), table.codes.dtype)
    table.fill(values, found)
    return found.tolist()


@given(edges=rising, values=st.lists(st.one_of(st.floats(), finite), max_size=60), far=st.integers(0, 60))
@example(edges=(-0.0,), values=[0.0, -0.0, math.nan, -math.nan], far=0)
@example(edges=(0.0,), values=[0.0, -0.0], far=30)
@example(edges=(0.0, 5e-324), values=[0.0, -0.0, 5e-324, -5e-324], far=0)
@example(edges=(-sys.float_info.max, sys.float_info.max), values=[math.inf, -math.inf, 1e308, math.nan], far=0)
@example(edges=(1.0, 1.0000000000000002, 1.0000000000000004), values=[1.0], far=30)
def test_a_table_finds_what_a_search_finds(edges: tuple[float, ...], values: list[float], far: int) -> None:
    beside = [math.nextafter(edge, side) for edge in edges for side in (-math.inf, edge, math.inf)]
    array = np.array([*beside, *values, math.inf, -math.inf, math.nan, *[1e9] * 8 * far])  # far: few next to an edge
    assert filled(edges, array) == searched(edges, array)


def test_every_bit_pattern_of_a_nan_is_missing() -> None:
    patterns = np.array([0x7FF0000000000001, 0x7FF8000000000000, 0xFFF0000000000001, 0xFFFFFFFFFFFFFFFF], np.uint64)
    assert filled((0.0, 1.0), patterns.view(np.float64)) == [4] * 4


@pytest.mark.parametrize("bins", [16, 64, 300])
def test_a_long_column_is_counted_as_it_is_searched(bins: int) -> None:
    rng = np.random.default_rng(bins)
    values = np.concatenate((rng.normal(size=150_001), np.full(50, np.nan), [np.inf, -np.inf]))[::-1]
    edges = tuple(np.quantile(values[100:], np.linspace(0, 1, bins + 1)[1:-1]).tolist())
    binning, expected = Binning(edges), searched(edges, values)
    assert binning.codes(values).tolist() == expected
    assert binning.counts(values).tolist() == np.bincount(expected, minlength=binning.size).tolist()
    assert cells.kept(binning.__dict__["_table"])


@pytest.mark.parametrize("rows", [131_071, 131_072, 131_073])
@pytest.mark.parametrize("size", [126, 200])
def test_codes_counted_in_pairs_are_counted(rows: int, size: int) -> None:
    small = np.random.default_rng(rows).integers(0, 126, rows, dtype=np.uint8)
    assert cells.counted(small, size).tolist() == np.bincount(small, minlength=size).tolist()
    assert cells.counted(small[:9], size).tolist() == np.bincount(small[:9], minlength=size).tolist()


def test_no_more_tables_are_kept_than_there_is_room_for() -> None:
    many = [Binning((float(index), index + 0.5)) for index in range(cells.TABLES + 5)]
    values = np.linspace(-1, 50, cells.LEAST)
    for binning in many:
        assert binning.codes(values).tolist() == searched(binning.edges, values)
    assert len(cells._kept) == cells.TABLES
    long = np.linspace(-1, 50, cells.LONG)
    assert many[-1].codes(long).tolist() == searched(many[-1].edges, long)
    del binning, many
    assert len(cells._kept) < cells.TABLES


def test_a_table_is_sent_to_another_process_as_its_edges() -> None:
    table = cells.made((0.0, 1.0))
    sent = pickle.dumps(table)
    assert len(sent) < 1000
    assert (pickle.loads(sent).codes == table.codes).all()
