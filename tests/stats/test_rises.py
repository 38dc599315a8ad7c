"""Evidence of a risen mean: nobody wins a fair game, and who plays an unfair one does."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.stats.binnings import categorical, numeric
from driftmon.stats.dispersion import dispersion, independent
from driftmon.stats.divergences import Pair
from driftmon.stats.rises import BETS, Rise
from driftmon.stats.schema import Feature, Schema

FOUR = Schema((Feature("loss", numeric.Binning((1.0, 2.0, 3.0))),))
SCORES = np.array([0.0, 1.0, 2.0, 3.0, np.nan, np.nan])


def rise(reference: list[float]) -> Rise:
    return Rise(FOUR, np.array([*reference, 0.0, 0.0]), SCORES, independent(FOUR))


@given(st.lists(st.integers(1, 1000), min_size=4, max_size=4), st.integers(1, 5))
def test_under_any_law_with_the_nulls_mean_or_less_the_mean_of_e_is_at_most_one(masses: list[int], size: int) -> None:
    """By counting out every sequence of `size` rows of the reference's own law, whose mean is below mu0."""
    law = np.array(masses) / sum(masses)
    found = rise([mass * 10.0 for mass in masses])
    expected = 0.0
    for sequence in product(range(4), repeat=size):
        counts = np.bincount(sequence, minlength=6).astype(float)[None]
        expected += float(np.prod(law[list(sequence)]) * np.exp(found.log_e(counts)[0, 0]))
    assert expected <= 1 + 1e-9


@given(st.lists(st.integers(0, 50), min_size=6, max_size=6))
def test_it_is_the_product_over_rows(counts: list[int]) -> None:
    found = rise([400.0, 300.0, 200.0, 100.0])
    gain = 1 / found.mu0[0]
    by_hand = [
        np.prod([(1 + bet * gain * (y - found.mu0[0])) ** c for y, c in zip(range(4), counts, strict=False)])
        for bet in BETS
    ]
    assert np.exp(found.log_e(np.array([counts], dtype=float))[0, 0]) == pytest.approx(np.mean(by_hand), rel=1e-9)


def test_the_reference_is_within_mu0_but_for_one_in_a_thousand() -> None:
    rng, law = np.random.default_rng(3), np.array([0.6, 0.3, 0.08, 0.02])
    beyond = sum(rise(rng.multinomial(500, law).tolist()).mu0[0] < law @ np.arange(4) for _ in range(2000))
    assert beyond <= 6  # 2 are allowed on average; Bernstein's bound has slack, so more than 6 would be a fault


def test_a_risen_mean_wins_and_a_fallen_one_does_not() -> None:
    found = rise([6000.0, 3000.0, 800.0, 200.0])
    risen, fallen = np.array([500.0, 300, 150, 50, 0, 0]), np.array([800.0, 200, 0, 0, 0, 0])
    log_e = found.log_e(np.stack((risen, fallen)))[:, 0]
    assert log_e[0] > np.log(1e6)
    assert log_e[1] < 0


def test_rows_without_a_score_say_nothing() -> None:
    found = rise([6000.0, 3000.0, 800.0, 200.0])
    counts = np.array([5.0, 4, 3, 2, 0, 0])
    assert found.log_e(counts[None])[0, 0] == found.log_e(np.add(counts, [0, 0, 0, 0, 70, 90])[None])[0, 0]
    assert found.mean(counts)[0] == pytest.approx(16 / 14)


def test_without_a_reference_nothing_is_ever_shown() -> None:
    assert rise([0.0, 0.0, 0.0, 1.0]).log_e(np.array([[0.0, 0, 0, 1e6, 0, 0]]))[0, 0] <= 0


@pytest.mark.parametrize("rows", [300, 3000])
def test_a_surprisal_that_was_fitted_to_its_reference_is_within_mu0(rows: int) -> None:
    """Its mean over the reference is too small by two KL; bins that few rows fall in make the most of it."""
    rng, law = np.random.default_rng(5), 1 / np.arange(1, 33) ** 1.5
    law, schema = law / law.sum(), Schema((Feature("c", categorical.Binning(tuple(map(str, range(32))))),))
    beyond = 0
    for _ in range(500):
        reference = np.array([*rng.multinomial(rows, law), 0, 0, 0], dtype=np.float64)
        found = Rise.of_surprisal(Pair(schema, reference, np.zeros(35), 0.5), independent(schema))
        beyond += float(law @ found.scores[:32]) > found.mu0[0]
    assert beyond <= 1


def test_dependent_rows_count_for_less_and_lags_beyond_what_was_seen_not_at_all() -> None:
    rng = np.random.default_rng(6)
    sessions = np.repeat(rng.choice(4, 4000, p=[0.6, 0.3, 0.08, 0.02]), 10).reshape(400, 100)
    blocks = np.stack([np.bincount(block, minlength=6) for block in sessions])
    measured = dispersion(FOUR, blocks)
    assert measured is not None
    plain, found = (Rise(FOUR, blocks.sum(axis=0).astype(float), SCORES, one) for one in (independent(FOUR), measured))
    live = np.array([[40.0, 30, 20, 10, 0, 0], [4e4, 3e4, 2e4, 1e4, 0, 0]])
    assert found.mu0[0] > plain.mu0[0]
    assert found.log_e(live)[0, 0] < plain.log_e(live)[0, 0] / 5
    assert found.log_e(live)[1, 0] == -np.inf
