"""A numeric code is exact for every float64: compared with plain comparison of Python floats."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from driftmon.stats.binnings.numeric import Binning, short
from driftmon.stats.columns import column_of

SPECIAL = (0.0, -0.0, 5e-324, -5e-324, 1e300, -1e300, sys.float_info.max, -sys.float_info.max, 2.0**53, 0.1)
finite = st.one_of(
    st.sampled_from(SPECIAL), st.floats(allow_nan=False, allow_infinity=False), st.integers(-9, 9).map(float)
)
rising = st.lists(finite, max_size=20).map(lambda edges: tuple(sorted(set(edges))))


@given(edges=rising, values=st.lists(st.floats(allow_nan=False), max_size=30))
def test_a_code_is_the_number_of_edges_at_or_below_the_value(edges: tuple[float, ...], values: list[float]) -> None:
    values = [*values, *(math.nextafter(edge, side) for edge in edges for side in (-math.inf, edge, math.inf))]
    codes = Binning(edges).codes(np.array(values, dtype=np.float64)).tolist()
    assert codes == [sum(edge <= value for edge in edges) for value in values]


@given(edges=rising, digits=st.integers(309, 2_000), sign=st.sampled_from([-1, 1]))
def test_an_integer_beyond_float64_lies_in_an_open_outer_bin(edges: tuple[float, ...], digits: int, sign: int) -> None:
    column = column_of("numeric", [sign * 10**digits])
    assert not column.invalid
    assert Binning(edges).codes(column.values).tolist() == [len(edges) if sign > 0 else 0]


@given(edges=rising, values=st.lists(st.floats(allow_nan=False), max_size=50))
@example(edges=(-0.0,), values=[0.0, -0.0])
def test_a_code_equals_searchsorted_from_the_right(edges: tuple[float, ...], values: list[float]) -> None:
    array = np.array(values, dtype=np.float64)
    assert Binning(edges).codes(array).tolist() == np.searchsorted(np.array(edges), array, side="right").tolist()


@given(edges=rising, values=st.lists(st.floats(), max_size=30))
def test_codes_are_total_and_only_nan_is_missing(edges: tuple[float, ...], values: list[float]) -> None:
    binning = Binning(edges)
    codes = binning.codes(np.array(values, dtype=np.float64))
    assert codes.dtype == np.int64
    for code, value in zip(codes.tolist(), values, strict=True):
        assert code == binning.size - 1 if math.isnan(value) else 0 <= code < binning.regular


@given(edges=rising)
def test_labels_differ_and_positions_do_not_fall(edges: tuple[float, ...]) -> None:
    binning = Binning(edges)
    assert len(set(binning.labels())) == binning.size
    assert len(binning.positions) == binning.regular
    assert np.isfinite(binning.positions).all()
    assert (binning.positions[1:] >= binning.positions[:-1]).all()


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_a_label_reads_back_as_the_same_float(number: float) -> None:
    assert float(short(number)) == number


def test_positions_are_midpoints_and_open_bins_lie_at_their_finite_edge() -> None:
    assert Binning((0.0, 10.0, 40.0)).positions.tolist() == [0.0, 5.0, 25.0, 40.0]


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ((1.0, 3.0, 2.0), "edges must rise: 3 is followed by 2; sort them and drop repeats"),
        ((1.0, 1.0), "edges must rise: 1 is followed by 1; sort them and drop repeats"),
        ((-0.0, 0.0), "edges must rise: -0 is followed by 0; sort them and drop repeats"),
        ((math.nan,), "edges must be finite numbers, not nan: the outer bins are open already"),
        ((0.0, math.inf), "edges must be finite numbers, not inf: the outer bins are open already"),
    ],
)
def test_wrong_edges_are_refused_with_the_cure(edges: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Binning(edges)
