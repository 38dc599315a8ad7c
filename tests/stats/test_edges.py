"""Edges chosen from data: few where the data has few values, never more than asked, always valid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.stats.binnings import categorical, numeric
from driftmon.stats.columns import column_of
from driftmon.stats.edges import FeatureSpec, Method, numeric_edges, vocabulary

METHODS: tuple[Method, ...] = ("quantile_tails", "quantile", "uniform")
EXTREME = (5e-324, -5e-324, 1.7e308, -1.7e308, 1e300, 0.0, -0.0, math.inf, -math.inf, math.nan)
samples = st.lists(st.one_of(st.floats(), st.sampled_from(EXTREME), st.integers(0, 30).map(float)), max_size=60)
NORMAL = np.random.default_rng(1).normal(size=20_000)


@pytest.mark.parametrize("method", METHODS)
@given(sample=samples, bins=st.integers(2, 20))
def test_any_sample_gives_rising_finite_edges_and_no_more_than_asked(
    method: Method, sample: list[float], bins: int
) -> None:
    edges = numeric_edges(np.array(sample, dtype=np.float64), bins, method)
    assert numeric.Binning(edges).edges == edges
    assert len(edges) <= bins - 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bins", [2, 4, 10, 16, 32])
def test_continuous_data_gets_as_many_bins_as_asked(method: Method, bins: int) -> None:
    assert len(numeric_edges(NORMAL, bins, method)) == bins - 1


def shares(values: np.ndarray[tuple[int], np.dtype[np.float64]], edges: tuple[float, ...]) -> list[float]:
    codes = numeric.Binning(edges).codes(values)
    return [float(share) for share in np.bincount(codes, minlength=len(edges) + 1) / len(values)]


def test_the_default_cuts_the_tails_at_a_thousandth_and_a_hundredth_and_the_rest_evenly() -> None:
    found = shares(NORMAL, numeric_edges(NORMAL, 16, "quantile_tails"))
    wanted = [0.001, 0.009, *[0.98 / 12] * 12, 0.009, 0.001]
    assert found == pytest.approx(wanted, rel=0.1, abs=0.0003)


def test_quantile_bins_have_equal_mass() -> None:
    assert shares(NORMAL, numeric_edges(NORMAL, 10, "quantile")) == pytest.approx([0.1] * 10, rel=0.02)


def test_uniform_bins_have_equal_width() -> None:
    gaps = np.diff(numeric_edges(NORMAL, 10, "uniform"))
    assert gaps == pytest.approx([gaps[0]] * 8)


@pytest.mark.parametrize("method", ["quantile_tails", "quantile"])
@given(values=st.lists(st.integers(-1000, 1000), min_size=1, max_size=14), repeats=st.integers(1, 50))
def test_few_values_get_a_bin_each_and_open_bins_for_what_was_never_seen(
    method: Method, values: list[int], repeats: int
) -> None:
    distinct = sorted(set(values))
    binning = numeric.Binning(numeric_edges(np.array(values * repeats, dtype=float), 16, method))
    assert binning.codes(np.array(distinct, dtype=float)).tolist() == list(range(1, len(distinct) + 1))
    assert binning.regular == len(distinct) + 2


def test_a_heavy_value_stands_alone() -> None:
    """Ninety per cent zeros, as delays and amounts have: the rest must not share their bin."""
    values = np.concatenate((np.zeros(9_000), np.random.default_rng(3).exponential(size=1_000)))
    codes = numeric.Binning(numeric_edges(values, 16, "quantile_tails")).codes(values)
    assert set(codes[values == 0.0]) == {codes[0]}
    assert (codes[values > 0.01] != codes[0]).all()


def test_nothing_finite_gives_one_open_bin() -> None:
    for sample in ([], [math.nan] * 5, [math.inf, -math.inf]):
        assert numeric_edges(np.array(sample, dtype=float), 16, "quantile_tails") == ()


def test_a_value_of_1e300_moves_no_inner_edge_far() -> None:
    edges = numeric_edges(np.append(NORMAL, 1e300), 16, "quantile_tails")
    assert max(map(abs, edges)) < 10


@given(values=st.lists(st.one_of(st.none(), st.sampled_from("abcdefgh")), max_size=40), top=st.integers(1, 10))
def test_the_vocabulary_is_the_most_frequent_whatever_the_order(values: list[str | None], top: int) -> None:
    found = vocabulary(values, top)
    assert found == vocabulary(values[::-1], top)
    assert len(found) == min(top, len(set(values) - {None}))
    left_out = set(values) - {None, *found}
    assert all(values.count(kept) >= values.count(other) for kept in found for other in left_out)


def test_a_spec_fits_a_feature_and_user_edges_are_taken_as_they_are() -> None:
    feature = FeatureSpec("x", "numeric", field="a.x", absent="skip", edges=(1.0, 2.0)).fit(column_of("numeric", []))
    assert (feature.name, feature.field, feature.absent, feature.kind) == ("x", "a.x", "skip", "numeric")
    assert feature.binning == numeric.Binning((1.0, 2.0))
    carrier = FeatureSpec("c", "categorical", top=1).fit(column_of("categorical", ["UA", "AA", "UA"]))
    assert carrier.binning == categorical.Binning(("UA",))
    assert FeatureSpec("b", "boolean").fit(column_of("boolean", [])).binning.size == 4


@pytest.mark.parametrize(
    ("spec", "fixed"),
    [
        (FeatureSpec("x", "numeric"), False),
        (FeatureSpec("x", "numeric", edges=(0.0,)), True),
        (FeatureSpec("x", "categorical"), False),
        (FeatureSpec("x", "categorical", categories=("a",)), True),
        (FeatureSpec("x", "boolean"), True),
    ],
)
def test_bins_are_fixed_where_no_data_need_be_seen(spec: FeatureSpec, fixed: bool) -> None:
    assert spec.fixed is fixed
