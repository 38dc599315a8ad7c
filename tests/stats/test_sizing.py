"""How many observations are enough: what is said is what the noise floor and the reference's error then are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from driftmon.stats.binnings import numeric
from driftmon.stats.dispersion import independent
from driftmon.stats.divergences import Pair
from driftmon.stats.evidence import Tolerance
from driftmon.stats.noise import noise
from driftmon.stats.schema import Feature, Schema
from driftmon.stats.sizing import FEWER_BINS, live_needed, reference_needed

ONE = np.ones(1)

# statistics.md section 7, for 0.02 nats; its N is rounded to tens.
TABLE = {10: (2790, 540), 17: (3930, 800), 32: (6110, 1305), 64: (10340, 2300)}


@pytest.mark.parametrize(("bins", "wanted"), TABLE.items())
def test_the_published_table(bins: int, wanted: tuple[int, int]) -> None:
    size = np.array([float(bins)])
    assert float(reference_needed(size, 0.02, ONE)[0]) == pytest.approx(wanted[0], rel=0.005)
    assert float(live_needed(size, 0.02, ONE, np.array([1e12]))[0]) == pytest.approx(wanted[1], rel=0.03)


def uniform(bins: int) -> Schema:
    return Schema((Feature("x", numeric.Binning(tuple(float(edge) for edge in range(bins - 3)))),))


@pytest.mark.parametrize("effect", [0.02, 0.1])
@pytest.mark.parametrize("bins", [8, 18, 34])
def test_with_so_many_the_floor_is_the_effect_and_the_reference_is_not_weak(bins: int, effect: float) -> None:
    schema, size = uniform(bins), np.array([float(bins)])
    assert schema.width == bins
    n = float(reference_needed(size, effect, ONE)[0])
    live = live_needed(size, effect, ONE, np.array([n]))
    pair = Pair(schema, np.full(bins, n / bins), np.full(bins, live[0] / bins), 0.5)
    assert float(noise(pair).floor_nats[0]) == pytest.approx(effect, rel=0.05)
    tolerance = Tolerance(schema, pair.reference, pair.p, effect, independent(schema))
    assert effect / 4 < float(tolerance.tau0[0]) < effect / 2  # asked of it at .9995, sized at .999


@given(st.integers(2, 100), st.floats(0.001, 1.0), st.floats(1.0, 50.0), st.integers(0, 10**7))
def test_dependence_small_effects_and_bins_want_more_and_a_reference_is_never_outweighed(
    bins: int, effect: float, phi: float, n: int
) -> None:
    size, reference = np.array([float(bins)]), np.array([float(n)])
    needed = float(live_needed(size, effect, np.array([phi]), reference)[0])
    assert needed >= float(live_needed(size, effect, ONE, reference)[0])
    assert needed >= float(live_needed(size, effect * 2, np.array([phi]), reference)[0])
    assert needed <= float(live_needed(size + 1, effect, np.array([phi]), reference)[0])
    assert float(reference_needed(size, effect, np.array([phi]))[0]) == pytest.approx(
        2 * phi * chi2.isf(0.001, bins - 1) / effect, abs=1.0
    )
    if needed < np.inf:
        assert phi * chi2.isf(0.01, bins - 1) / 2 * (1 / needed + 1 / n) <= effect * (1 + 1e-9)


def test_too_small_a_reference_cannot_be_made_up_for() -> None:
    assert live_needed(np.array([18.0, 18.0]), 0.02, np.ones(2), np.array([0.0, 800.0])).tolist() == [np.inf, np.inf]


def test_fewer_bins_are_offered_largest_first() -> None:
    assert list(FEWER_BINS) == sorted(FEWER_BINS, reverse=True)
