"""Evidence of a risen mean: nobody wins a fair game, and who plays an unfair one does."""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import factorial, log, log1p

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon.stats.binnings import categorical, numeric
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import dispersion, independent
from driftmon.stats.divergences import Pair
from driftmon.stats.rises import BETS, Rise
from driftmon.stats.schema import Feature, Schema

FOUR = Schema((Feature("loss", numeric.Binning((1.0, 2.0, 3.0))),))
YS = [0.5, 1.5, 2.5, 3.5]
SCORES = np.array([*YS, np.nan, np.nan])


def rise(reference: list[float]) -> Rise:
    return Rise(FOUR, np.array([*reference, 0.0, 0.0]), SCORES, independent(FOUR))


def rises(references: Floats) -> Rise:
    """One for each row, as features of one schema."""
    schema = Schema(tuple(Feature(str(row), FOUR.features[0].binning) for row in range(len(references))))
    return Rise(schema, references.ravel(), np.tile(SCORES, len(references)), independent(schema))


def outcomes(law: Floats, rows: int) -> tuple[Floats, Floats]:
    """All counts that `rows` draws may give, float64[cases, 6], and their chances."""
    every = [np.bincount(picks, minlength=6) for picks in combinations_with_replacement(range(4), rows)]
    chances = [
        factorial(rows) * np.prod([p**k / factorial(k) for p, k in zip(law, one, strict=False)]) for one in every
    ]
    return np.array(every, dtype=float), np.array(chances)


def both_means(masses: list[list[int]]) -> tuple[Floats, Floats]:
    """Two laws of four bins, that of the lower mean first."""
    low, high = sorted((np.array(law) / sum(law) for law in masses), key=lambda law: float(law @ YS))
    return low, high


four = st.lists(st.integers(1, 1000), min_size=4, max_size=4)


@settings(max_examples=20)
@given(st.lists(four, min_size=2, max_size=2), st.integers(1, 5), st.booleans())
def test_without_a_rise_the_mean_of_e_over_reference_and_live_rows_is_at_most_one(
    masses: list[list[int]], rows: int, same: bool
) -> None:
    """By counting out every reference of 5 rows and every `rows` live ones, of a law as high or of a lower one."""
    low, high = both_means(masses)
    references, chances = outcomes(high, 5)
    live, live_chances = outcomes(high if same else low, rows)
    found = np.exp(rises(references).log_e(np.tile(live, len(references))))
    assert live_chances @ found @ chances <= 1 + 1e-9


def games(reference: list[float], counts: list[int], mean: float) -> tuple[float, float]:
    """ln E_P and ln E_Q at this mean, by hand."""
    doubt = [
        sum(c * log1p(bet * (mean - y) / (3.5 - mean)) for y, c in zip(YS, reference, strict=True)) for bet in BETS
    ]
    won = [sum(c * log1p(bet * (y - mean) / (mean - 0.5)) for y, c in zip(YS, counts[:4], strict=True)) for bet in BETS]
    doubted = float(np.logaddexp.reduce(doubt)) - log(len(BETS))
    return float(np.logaddexp(doubted, 0.0)) - log(2), float(np.logaddexp.reduce(won)) - log(len(BETS))


@given(st.lists(st.integers(0, 50), min_size=6, max_size=6), st.floats(0.51, 3.49))
def test_it_is_never_more_than_both_games_won_at_any_mean(counts: list[int], mean: float) -> None:
    reference = [400.0, 300.0, 200.0, 100.0]
    doubt, won = games(reference, counts, mean)
    assert rise(reference).log_e(np.array([counts], dtype=float))[0, 0] <= doubt + won + 1e-9


@given(st.lists(st.integers(0, 50), min_size=6, max_size=6))
def test_it_is_the_least_product_over_the_steps(counts: list[int]) -> None:
    reference = [400.0, 300.0, 200.0, 100.0]
    found = rise(reference)
    by_step = [games(reference, counts, float(step)) for step in found.steps[:, 0]]
    doubts, wons = [-log(2), *(doubt for doubt, _ in by_step)], [*(won for _, won in by_step), -log(len(BETS))]
    by_hand = min(doubt + won for doubt, won in zip(doubts, wons, strict=True))
    assert found.log_e(np.array([counts], dtype=float))[0, 0] == pytest.approx(by_hand, rel=1e-6, abs=1e-6)


def test_a_larger_reference_lets_a_small_rise_be_seen() -> None:
    """By 0.04, a twentieth of a standard deviation: lost in 2,000 rows of reference, plain in 200,000."""
    live = 10_000 * np.array([[0.59, 0.29, 0.09, 0.03, 0, 0]])
    small, large = (rise([0.6 * n, 0.3 * n, 0.08 * n, 0.02 * n]).log_e(live)[0, 0] for n in (2000, 200_000))
    assert small < 2
    assert large > np.log(1000)


def test_the_reference_is_within_mu0_but_for_one_in_a_thousand() -> None:
    rng, law = np.random.default_rng(3), np.array([0.6, 0.3, 0.08, 0.02])
    references = np.pad(rng.multinomial(500, law, size=2000), ((0, 0), (0, 2))).astype(float)
    beyond = (rises(references).mu0 < law @ YS).sum()
    assert beyond <= 6  # 2 are allowed on average; the bet has slack, so more than 6 would be a fault


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
    assert found.mean(counts)[0] == pytest.approx(16 / 14 + 0.5)


def test_without_a_reference_nothing_is_ever_shown() -> None:
    assert rise([0.0, 0.0, 0.0, 1.0]).log_e(np.array([[0.0, 0, 0, 1e6, 0, 0]]))[0, 0] <= 0


@pytest.mark.parametrize("rows", [300, 3000])
def test_a_surprisal_that_was_fitted_to_its_reference_is_within_mu0(rows: int) -> None:
    """Its mean over the reference is too small by two KL; bins that few rows fall in make the most of it."""
    rng, law = np.random.default_rng(5), 1 / np.arange(1, 33) ** 1.5
    law, binning = law / law.sum(), categorical.Binning(tuple(map(str, range(32))))
    schema = Schema(tuple(Feature(str(run), binning) for run in range(500)))
    references = np.pad(rng.multinomial(rows, law, size=500), ((0, 0), (0, 3))).astype(float)
    found = Rise.of_surprisal(Pair(schema, references.ravel(), np.zeros(schema.width), 0.5), independent(schema))
    truth = found.scores.reshape(500, 35)[:, :32] @ law
    assert (truth > found.mu0).sum() <= 1


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
