"""References that move: the stream's own past, and another stream's present."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from driftmon.monitor.batch import Batch
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Ring, Window
from driftmon.monitor.quantities import index_of
from driftmon.monitor.references import OtherStream, Trailing, reference_of
from driftmon.monitor.report import Report, Status
from driftmon.monitor.rules import Calibrated, Rule
from driftmon.monitor.snapshot import Snapshot
from driftmon.stats.columns import Column
from driftmon.stats.edges import FeatureSpec

MINUTE, HOUR = 60_000, 3_600_000
WINDOW = Window.sliding("fast", HOUR)
BINS = reference_of({"x": np.random.default_rng(1).normal(size=4000)})
RULE = Rule("Drift", "kl_divergence_debiased", 0.1, min_observations=50)
BY_EVIDENCE = Rule("Evidence", "kl_divergence_debiased", 0.02, calibrated=Calibrated(0.02, 30 * 24 * HOUR))


def rows(minute: int, count: int = 40, shift: float = 0.0, seed: int = 0) -> Batch:
    """Rows of one minute, the same for the same minute."""
    values = np.random.default_rng((seed, minute)).normal(loc=shift, size=count)
    return Batch(count, {"x": Column(values)}, np.full(count, minute * MINUTE, dtype=np.int64))


def run(monitor: Monitor, first: int, last: int, shift: float = 0.0) -> Report:
    for minute in range(first, last):
        monitor.observe_batch(rows(minute, shift=shift), minute * MINUTE)
        report = monitor.tick(minute * MINUTE)
    return report


def naive(first: int, last: int) -> NDArray[np.int64]:
    """Counts of the minutes from first to last, last excluded."""
    codes = [BINS.schema.codes(rows(minute).columns, 40) for minute in range(first, last)]
    return BINS.schema.count(np.concatenate(codes, axis=1))


@pytest.mark.parametrize("event_time", [False, True])
def test_p_is_the_panes_that_ended_a_lag_ago(event_time: bool) -> None:
    source = Trailing(BINS, length_ms=2 * HOUR, lag_ms=HOUR)
    monitor = Monitor(source, (WINDOW,), event_time=event_time)
    report = run(monitor, 0, 241)
    assert report.pairs[0].reference.tolist() == naive(60, 180).tolist()  # panes of 2 minutes
    assert report.pairs[0].reference.tolist() == run(monitor, 241, 242).pairs[0].reference.tolist()
    assert run(monitor, 242, 243).pairs[0].reference.tolist() == naive(62, 182).tolist()


def test_nothing_is_judged_until_the_stream_is_old_enough() -> None:
    monitor = Monitor(Trailing(BINS, HOUR, HOUR), (WINDOW,), (RULE, BY_EVIDENCE))
    young = run(monitor, 0, 119, shift=3.0)
    assert (young.statuses["x"], young.alerts) == (Status.WARMING_UP, ())
    assert np.isnan(young.value(0, 0, "kl_divergence", direction="q_p"))
    old = run(monitor, 119, 122, shift=3.0)
    assert old.statuses["x"] is not Status.WARMING_UP
    assert old.value(0, 0, "kl_divergence", direction="q_p") < 0.1


def test_a_file_serves_until_then() -> None:
    monitor = Monitor(Trailing(BINS, HOUR, HOUR, until_then=BINS), (WINDOW,), (RULE,))
    young = run(monitor, 0, 100, shift=3.0)
    assert young.pairs[0].reference.tolist() == BINS.counts.tolist()
    assert [alert.state.name for alert in young.alerts] == ["FIRING"]
    assert run(monitor, 100, 130, shift=3.0).alerts == ()  # it has forgotten that it was ever otherwise


def test_a_sudden_change_is_seen_and_forgotten() -> None:
    monitor = Monitor(Trailing(BINS, 2 * HOUR, HOUR), (WINDOW,), (RULE, BY_EVIDENCE))
    assert run(monitor, 0, 300).alerts == ()
    fired = {alert.rule.name for alert in run(monitor, 300, 340, shift=1.0).alerts}
    assert fired == {"Drift", "Evidence"}
    assert "Drift" not in {alert.rule.name for alert in run(monitor, 340, 560, shift=1.0).alerts}


def test_its_overdispersion_is_that_of_its_own_panes() -> None:
    source = Trailing(BINS, HOUR, HOUR)
    monitor = Monitor(source, (WINDOW,))
    for minute in range(130):
        monitor.observe_batch(rows(minute, shift=2.0 * (minute % 2)), minute * MINUTE)
        monitor.tick(minute * MINUTE)
    assert source.dispersion.dependent.all()
    assert float(source.dispersion.average[0, 0]) > 2


def test_a_restart_has_the_same_past() -> None:
    one = Monitor(Trailing(BINS, HOUR, 2 * HOUR), (WINDOW,))
    run(one, 0, 200)
    two = Monitor(Trailing(BINS, HOUR, 2 * HOUR), (WINDOW,))
    two.merge(Snapshot.from_bytes(one.snapshot().to_bytes()))
    np.testing.assert_array_equal(run(two, 200, 201).values, run(one, 200, 201).values)


def test_a_length_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="a trailing reference of 90m does not fit; make it a multiple of 1h"):
        Monitor(Trailing(BINS, 90 * MINUTE, HOUR), (WINDOW,))


def test_the_sum_of_surprisal_only_grows_and_each_row_counts_once() -> None:
    monitor = Monitor(Trailing(BINS, HOUR, HOUR, until_then=BINS), (WINDOW,))
    seen = []
    for minute in range(200):
        report = run(monitor, minute, minute + 1)
        assert report.lifetime is not None
        seen.append(float(report.lifetime.surprisal_nats[0]))
    assert (np.diff(seen) > 0).all()
    p = (BINS.counts + 0.5) / (BINS.counts.sum() + 0.5 * len(BINS.counts))
    assert seen[50] == pytest.approx(float((naive(0, 51) * -np.log(p)).sum()))


def test_no_surprisal_is_plain_zero() -> None:
    """-0.0 in a counter reads like a sum that fell."""
    snapshot = reference_of({"x": [0.0, 1.0, 2.0] * 20}, [FeatureSpec("x", "numeric")])
    report = Monitor(snapshot).tick(1_000)
    assert report.lifetime is not None
    assert report.lifetime.surprisal_nats.tolist() == [0.0]
    assert not np.signbit(report.lifetime.surprisal_nats).any()


def test_what_is_current_after_an_observation_goes_by_the_newest_reference() -> None:
    monitor = Monitor(Trailing(BINS, HOUR, HOUR), (WINDOW,))
    report = run(monitor, 0, 150)
    running = monitor.running.kl_qp()
    assert float(running[0]) == pytest.approx(report.value(0, 0, "kl_divergence", direction="q_p"), abs=1e-9)


def pair_of_streams(rules: tuple[Rule, ...] = (RULE,)) -> tuple[Monitor, Monitor]:
    champion = Monitor(BINS, (WINDOW,), stream="champion")
    return champion, Monitor(OtherStream(BINS.schema, "champion", lambda: champion), (WINDOW,), rules, stream="canary")


def both(champion: Monitor, canary: Monitor, minutes: range, shift: float) -> Report:
    for minute in minutes:
        champion.observe_batch(rows(minute, shift=5.0), minute * MINUTE)
        canary.observe_batch(rows(minute, 20, shift=5.0 + shift, seed=9), minute * MINUTE)
        champion.tick(minute * MINUTE)
        report = canary.tick(minute * MINUTE)
    return report


def test_a_canary_is_held_against_its_champion_wherever_both_have_gone() -> None:
    champion, canary = pair_of_streams((RULE, BY_EVIDENCE))
    same = both(champion, canary, range(90), 0.0)
    assert same.pairs[0].reference.tolist() == champion.tick(89 * MINUTE).pairs[0].live.tolist()
    assert (same.alerts, same.reference_source) == ((), "stream champion")
    other = both(champion, canary, range(90, 150), -2.0)
    assert {alert.rule.name for alert in other.alerts} == {"Drift", "Evidence"}


def test_a_champion_that_is_silent_leaves_nothing_to_compare_with() -> None:
    champion, canary = pair_of_streams()
    both(champion, canary, range(30), 0.0)
    report = run(canary, 120, 130)
    assert np.isnan(report.value(0, 0, "kl_divergence", direction="q_p"))
    assert champion.live_counts("fast", 29 * MINUTE).sum() == 30 * 40  # and it has not moved on for being asked


def test_without_a_champion_the_canary_is_warming_up() -> None:
    canary = Monitor(OtherStream(BINS.schema, "champion", lambda: None), (WINDOW,), (BY_EVIDENCE,))
    assert run(canary, 0, 30).statuses["x"] is Status.WARMING_UP


def test_other_windows_are_refused() -> None:
    champion, _ = pair_of_streams()
    with pytest.raises(ValueError, match="its windows are not those of stream champion"):
        Monitor(OtherStream(BINS.schema, "champion", lambda: champion), (Window.sliding("slow", HOUR),))


def test_a_decayed_window_is_worth_what_its_weights_are() -> None:
    window = Window.decayed("d", 6 * MINUTE)
    champion = Monitor(BINS, (window,))
    canary = Monitor(OtherStream(BINS.schema, "champion", lambda: champion), (window,))
    report = both(champion, canary, range(70), 0.0)
    worth = champion.tick(69 * MINUTE).values[0, index_of("effective_observations")]
    np.testing.assert_allclose(report.pairs[0].reference_total, worth, rtol=1e-12)


panes = st.lists(st.tuples(st.integers(0, 150), st.integers(1, 9)), max_size=30)


@settings(deadline=None)
@given(panes, st.integers(0, 160), st.sampled_from([None, 6 * MINUTE]))
def test_a_look_from_outside_sees_what_a_view_would_and_moves_nothing(
    added: list[tuple[int, int]], at: int, half_life_ms: int | None
) -> None:
    window = replace(WINDOW, half_life_ms=half_life_ms)
    ring = Ring(window, width=1)
    for pane, count in sorted(added):
        ring.add(pane, np.array([count]))
    held = dict(ring.panes)
    seen = ring.as_of(at)
    assert ring.panes == held
    if not held or at >= max(held):
        view = ring.view(at)
        np.testing.assert_allclose((seen.counts, seen.squared), (view.counts, view.squared), rtol=1e-12)


def test_bins_come_with_the_snapshot_only() -> None:
    """The first rows choose a trailing reference's bins; they are no part of P."""
    first = reference_of({"x": [1.0, 2.0, 3.0]}, [FeatureSpec("x", "numeric", bins=2)])
    assert not Trailing(first, HOUR, 0).snapshot.counts.any()
