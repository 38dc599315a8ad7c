"""What the alarms promise, in short: the whole of it, with more runs and tables to read, is `make simulate`.

Every number comes from a fixed seed, so a failure is a change of the code, not bad luck.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftmon.monitor.clearing import CLEAR_PANES
from driftmon.monitor.rules import Verdict
from tests.simulate import alarms, clearing, concept, dependence, families, looks, means, naming, others, placebo, words
from tests.simulate.engine import EFFECT, PANE_MS, monitor_of, watch
from tests.simulate.worlds import NULL, PANE, SHIFTS, SWAP, drawn, reference, runs_schema

KNOWN_CELLS = [
    (law, size, observations)
    for law, size in (("uniform", 10), ("uniform", 256), ("zipf 1.5", 64), ("zipf 1.5", 256), ("geometric", 32))
    for observations in (100, 10_000)
]


@pytest.mark.parametrize(("law", "size", "observations"), KNOWN_CELLS)
def test_noise_passes_its_floor_in_one_look_of_a_hundred(law: str, size: int, observations: int) -> None:
    assert 0.004 <= looks.floor_rate(law, size, observations, looks.KNOWN, runs=4000) <= 0.016


@pytest.mark.parametrize(("law", "size"), [("uniform", 10), ("uniform", 64), ("zipf 1.5", 64), ("geometric", 32)])
@pytest.mark.parametrize("observations", [64, 1000, 100_000])
def test_an_estimated_reference_makes_no_more_false_alarms(law: str, size: int, observations: int) -> None:
    """With twenty reference observations a bin or more; with fewer the status is weak_reference."""
    assert looks.floor_rate(law, size, observations, 20_000, runs=4000) <= 0.02
    assert looks.floor_rate(law, size, observations, 20 * size, runs=4000) <= 0.02


@pytest.mark.parametrize(("law", "size"), [("uniform", 16), ("zipf 1.5", 64)])
@pytest.mark.parametrize("truth", [0.0, 0.02, 0.1, 0.5])
def test_bounds_miss_the_truth_no_more_often_than_they_say(law: str, size: int, truth: float) -> None:
    for observations in (1000, 10_000, 100_000):
        miss = looks.coverage(law, size, truth, observations, 20_000, runs=4000)
        assert max(miss.lower, miss.upper) <= 0.065


@pytest.mark.parametrize("n", [20_000, 1_000_000])
def test_evidence_alone_keeps_the_budget(n: int) -> None:
    """R >= A, whatever the effect, no sooner than after A panes on average; here A is 30."""
    mean, _ = alarms.run_length(runs=50, panes=100, budget=30.0, n=n)
    assert mean >= 30


def test_a_lasting_drift_below_the_effect_raises_no_alarm() -> None:
    seen = alarms.small_effect(runs=40, panes=200)
    assert sum(map(len, seen.fired)) == 0
    assert np.isfinite(seen.significant(alarms.MONTH)).any()  # it is seen all the same


def test_delays_are_those_of_the_table() -> None:
    """Observations, one pane of 100 above the median of 300 runs: that of 16 scatters by as much."""
    found = alarms.delays(runs=16, control=20, panes=60)
    assert sum(false for _, false in found.values()) == 0
    at_most = {"mean +0.25 sd": 950, "mean +0.5 sd": 250, "sd x1.3": 700, "missing 3 %": 300, SWAP: 900}
    at_most |= {"two humps, same mean and sd": 1450, "missing 0.5 %": 4400}
    assert {
        name: float(np.median(waits)) * PANE <= at_most[name] for name, (waits, _) in found.items()
    } == dict.fromkeys(at_most, True)


def test_dependent_rows_raise_no_alarm_where_chi_square_always_does() -> None:
    rhos = (0.0, 0.5, 0.9, 0.97, 0.99)
    found = dependence.without_drift(rhos, runs=40, panes=100)
    assert {rho: alarmed for rho, (alarmed, _) in found.items()} == dict.fromkeys(rhos, 0)
    counts = dependence.ar(np.random.default_rng(1), 2, 0.97, 60)
    assert (
        dependence.by_look(counts[: dependence.HISTORY], counts[dependence.HISTORY :])["chi-square 1 % per look"] > 0.8
    )


def test_a_daily_season_that_the_reference_knows_raises_no_alarm() -> None:
    fired, naive = dependence.daily(runs=4, days=10)
    assert fired == 0
    assert naive["chi-square 1 % per look"] > 0.5


def test_a_hundred_features_share_one_budget() -> None:
    found, naive = families.family(features=100, seed=1)
    assert found.false == 0
    assert np.median(found.waits) <= 10
    assert naive.any(axis=0).mean() > 0.05


def test_shuffled_days_of_flights_raise_no_alarm_by_what_chi_square_calls_drift() -> None:
    found = placebo.placebo(shuffles=4)
    by_name = dict(zip(placebo.schema().names, found.alarmed.tolist(), strict=True))
    assert by_name == dict.fromkeys(by_name, 0)
    assert found.chi_square[0] > 0.5


@pytest.mark.parametrize("law", ["uniform", "zipf 1.5"])
@pytest.mark.parametrize("size", [2, 16, 64])
def test_a_drift_as_large_as_the_effect_is_rarely_called_over(law: str, size: int) -> None:
    """At ten times the risk that is used, 0.1 % of looks, to be countable: twice that at most."""
    p = looks.LAWS[law](size)
    q = looks.tilted(p, EFFECT, np.random.default_rng(2))
    for observations in (300, 1000, 3000):
        assert clearing.false_clear_rate(p, q, observations, 20_000, runs=5000) <= 0.002


def test_alerts_are_resolved_soon_after_the_end_and_not_before() -> None:
    drifts = [drift for drift in clearing.temporary() if drift.panes <= 30 and "KL 0.03" not in drift.name]
    for drift, found in zip(drifts, clearing.let_pass(drifts, runs=5, panes_after=90, seed=1), strict=True):
        assert found.fired == 5, drift.name
        assert found.early == 0, drift.name
        assert CLEAR_PANES <= np.median(found.waits) <= 45, drift.name
        assert found.waits.max() <= 80, drift.name
        assert found.again == 0, drift.name


def test_an_alert_does_not_flap_while_the_drift_lasts() -> None:
    drifts = clearing.lasting(150)
    found = clearing.let_pass(drifts, runs=5, panes_after=0, seed=2)
    assert {drift.name: one.early for drift, one in zip(drifts, found, strict=True)} == {
        drift.name: 0 for drift in drifts
    }
    assert sum(one.fired for one in found) >= 24


def test_silence_neither_raises_nor_resolves() -> None:
    rng = np.random.default_rng(3)
    monitor, law = monitor_of(runs_schema(1), reference(rng, 1)), SHIFTS["mean +0.5 sd"][None, :]
    drift = [drawn(rng, law, 1)[0] for _ in range(20)]
    quiet = [np.zeros_like(drift[0])] * 120  # the drift has left the window for an hour
    seen = watch(monitor, drift + quiet)
    assert len(seen.fired[0]) == 1
    assert seen.resolved[0] == []
    assert monitor.alerts[0].verdict is Verdict.BREACH


def test_the_first_alert_names_the_feature_and_the_bin() -> None:
    found = [one for one in naming.shifts(1) if one.found]
    assert len(found) >= 12
    assert sum(one.feature for one in found) >= 0.95 * len(found) - 1
    assert sum(one.bin for one in found) >= 0.9 * len(found) - 1


def test_river_is_blind_to_what_has_no_mean() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=8000)
    values[4000:] = np.where(rng.random(4000) < 0.03, np.nan, values[4000:])
    assert others.river_flags(others.river_detectors()["river ADWIN"], values) == []


def test_a_risen_mean_loss_is_found_as_soon_as_adwin_would_and_none_is_where_none_rose() -> None:
    """+.1 nats (the shift of .567 in the logit): ADWIN wants 784 to 944 rows at as rare false alarms."""
    for rho in (0.0, 0.9):
        law = means.Losses(rho)
        assert not np.isfinite(means.alarms(law, law, runs=2, panes=30, seed=1, budget=30.0)).any()
    found = means.alarms(means.Losses(shift=0.567), means.Losses(), runs=5, panes=30, seed=2)
    assert np.median(found) <= 1000


def test_words_that_come_by_topics_do_not_cry_wolf() -> None:
    """As the largest phi of a single word would."""
    budget, chain = means.SHORT, words.CHAINS["8 topics, 0.9"]
    assert words.spent(words.highest(chain, runs=10, panes=100, seed=1), budget)[0] == 0
    assert words.spent(words.highest(chain, runs=10, panes=100, seed=1, coarse=True), budget)[0] >= 5


def test_a_rise_as_large_as_the_effect_is_rarely_called_over() -> None:
    assert means.false_clears(0.301, 0.05, looks=200, seed=3) <= 0.01


def test_once_in_is_the_pane_times_the_evidence() -> None:
    """R = 1e4 over one feature of panes of a minute: at most once in ten thousand minutes."""
    monitor = monitor_of(runs_schema(1), reference(np.random.default_rng(5), 1))
    law = SHIFTS["missing 3 %"][None, :]
    rng = np.random.default_rng(6)
    seen = watch(monitor, [drawn(rng, NULL[None, :] if pane < 3 else law, 1)[0] for pane in range(10)])
    alert = seen.changes[-1].alert
    assert alert.once_in_ms == pytest.approx(10**alert.evidence_log10 * PANE_MS)
    assert math.isfinite(alert.once_in_ms)


def test_labels_that_change_their_meaning_are_noticed_at_equal_false_alarms() -> None:
    """Half a world: two runs, the settings that the whole table finds for these."""
    for method in ("**driftmon** LogLossDriftDetector", "ADWIN of the loss"):
        found = concept.waits(method, "Phishing, 15 % flipped", 2)
        assert found is not None
        assert np.isfinite(found).all(), method
        assert found.max() <= 500, method
    assert concept.rise("Phishing, 15 % flipped", 2) > 0.3
