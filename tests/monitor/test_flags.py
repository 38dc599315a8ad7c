"""River's detectors over a stream's series: the same flags however rows are cut, and an alert that lasts and ends."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from driftmon.daemon.detectors import BINARY, MODULES, made
from driftmon.daemon.feature_shapes import LogLoss
from driftmon.monitor.batch import Batch
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.references import reference_of
from driftmon.monitor.rules import Change, Detector, Rule
from driftmon.monitor.scoring import scored
from driftmon.monitor.watch import Watch
from driftmon.stats.columns import Column, column_of

MINUTE = 60_000
STEP_MS = 2_000
WINDOW = Window.sliding("w", 60 * MINUTE)


def rule(**about: Any) -> Rule:
    detector = Detector("ADWIN", kinds=("numeric",), **about)
    return Rule("Changed", detector.of, 0.0, features="x", detector=detector)


def monitor(*rules: Rule, event_time: bool = True) -> Monitor:
    rng = np.random.default_rng(1)
    reference = reference_of({"x": rng.normal(0, 1, 2000), "c": rng.choice(["a", "b"], 2000).tolist()})
    return Monitor(reference, [WINDOW], rules, event_time=event_time, lateness_ms=MINUTE, make_detector=made)


def rows(count: int, change: int) -> tuple[list[Any], np.ndarray[Any, np.dtype[np.int64]]]:
    """Numbers whose mean moves at row `change`, a tenth of them missing or text; times a little out of order."""
    rng = np.random.default_rng(2)
    values: list[Any] = (rng.normal(0, 1, count) + 3.0 * (np.arange(count) >= change)).tolist()
    values[::20] = [None] * len(values[::20])
    values[7::20] = ["?"] * len(values[7::20])
    return values, np.arange(count) * STEP_MS + rng.integers(0, 100_000, count)


def changes(cuts: Sequence[int], one: Monitor, values: list[Any], times: Any) -> list[tuple[str, int, float]]:
    found: list[Change] = []
    edges = [0, *cuts, len(values)]
    for low, high in pairwise(edges):
        batch = Batch(high - low, {"x": column_of("numeric", values[low:high])}, times[low:high])
        one.observe_batch(batch, None)
        found += one.tick(0).changes
    found += one.finish(0).changes
    return [(change.event, change.at_ms, change.alert.value) for change in found]


def test_the_same_alerts_however_rows_are_cut_and_they_end_after_the_hold() -> None:
    values, times = rows(1200, 500)
    wanted = changes([], monitor(rule(hold_ms=10 * MINUTE)), values, times)
    assert [event for event, _, _ in wanted] == ["firing", "resolved"]
    (_, fired, mean), (_, resolved, _) = wanted
    assert 500 * STEP_MS <= fired <= 600 * STEP_MS + 3 * MINUTE
    assert 10 * MINUTE <= resolved - fired <= 11 * MINUTE
    assert -0.5 < mean < 3
    for cuts in ([1, 2, 3, 499, 500, 501, 540], range(150, 1200, 150)):
        assert changes([*cuts], monitor(rule(hold_ms=10 * MINUTE)), values, times) == wanted


def test_by_arrival_a_flag_holds_for_a_window_and_a_clock_set_back_hides_none() -> None:
    one = monitor(rule(), event_time=False)
    values, _ = rows(2300, 2000)
    one.observe_batch(Batch(2300, {"x": column_of("numeric", values)}), 10_000_000)
    (change,) = one.tick(9_000_000).changes
    assert (change.event, change.at_ms) == ("firing", 9_000_000)
    assert one.tick(9_000_000 + 60 * MINUTE - 1).changes == ()
    assert [change.event for change in one.tick(9_000_000 + 60 * MINUTE).changes] == ["resolved"]


def test_surprisal_is_minus_log_p_of_every_row_and_needs_no_number() -> None:
    seen: list[float] = []

    class Noting:
        drift_detected = False

        def update(self, x: float) -> None:
            seen.append(x)

    reference = reference_of({"c": ["a"] * 30 + ["b"] * 10})
    watched = Rule("R", "surprisal", 0.0, detector=Detector("ADWIN", of="surprisal"))
    one = Monitor(reference, [WINDOW], [watched], make_detector=lambda detector: Noting())
    one.observe_batch(Batch(4, {"c": column_of("categorical", ["a", "b", None, "new"])}), 0)
    counts = dict(zip(reference.schema.features[0].binning.labels(), reference.counts.tolist(), strict=True))
    total, bins = 40, len(counts)
    p = {label: (count + 0.5) / (total + 0.5 * bins) for label, count in counts.items()}
    assert seen == pytest.approx([-np.log(p[label]) for label in ("a", "b", "missing", "unseen")])


def test_what_moves_has_no_surprisal_and_a_detector_wants_a_maker() -> None:
    with pytest.raises(ValueError, match="rule Changed has a detector: give make"):
        Monitor(reference_of({"x": [1, 2, 3]}), [WINDOW], [rule()])


@pytest.mark.parametrize("name", MODULES)
def test_a_detector_fed_what_is_kept_flags_where_the_one_that_never_stopped_does(name: str) -> None:
    """Also one that has flagged before, for each begins anew by itself then."""
    rng = np.random.default_rng(3)
    if name in BINARY:
        values = (rng.random(1200) < np.repeat([0.05, 0.6, 0.05, 0.6], 300)).astype(float)
    else:
        values = rng.normal(np.repeat([0.0, 4.0, 0.0, 4.0], 300), 1)
    if name == "KSWIN":  # 0.7 ms a value
        values = values[200:500]
    params: dict[str, float] = {"KSWIN": {"alpha": 1e-4}, "PageHinkley": {"threshold": 20.0}}.get(name, {})
    detector, rows = Detector(name, params, memory=1500), np.arange(len(values))
    whole = Watch(detector, made, None)
    whole.take(values, rows)
    assert whole.flags
    for cut in (len(values) // 3, len(values) * 2 // 3):
        first, second = Watch(detector, made, None), Watch(detector, made, None)
        first.take(values[:cut], rows[:cut])
        kept = first.kept()
        second.restore(type(kept)(kept.meaning, kept.values, kept.flags))
        second.take(values[cut:], rows[cut:])
        assert second.flags == whole.flags


def test_of_a_longer_stretch_the_memory_is_kept() -> None:
    one = Watch(Detector("ADWIN", memory=100), made, None)
    for _ in range(5):
        one.take(np.zeros(90), np.zeros(90, dtype=np.int64))
        lacking = one.unwritten()
        assert lacking is not None
        assert len(lacking[1]) <= 100
        one.written(whole=False)
        assert one.unwritten() is None
    assert len(one.kept().values) == 100


def test_errors_and_losses_of_predictions_are_series_too() -> None:
    """DDM hears of each wrong prediction, ADWIN of each loss; a row without a label is neither right nor wrong."""
    rng = np.random.default_rng(5)
    p = rng.beta(8, 2, 3000)
    worse = np.arange(3000) >= 2000
    label = rng.random(3000) < np.where(worse, 0.2, p)
    spec = LogLoss(label="y", probability="p", edges=(0.1, 0.3, 0.7, 1.5)).spec("outcome")
    reference = reference_of({"p": [0.5, 0.5], "y": ["1", "0"]}, [spec])
    assert spec.outcome is not None
    watched: dict[Any, str] = {"error": "DDM", "log_loss": "ADWIN"}
    detectors: dict[str, Any] = {of: Detector(name, of=of, kinds=("log_loss",)) for of, name in watched.items()}
    rules = [Rule(of, of, 0.0, detector=detector) for of, detector in detectors.items()]
    one = Monitor(reference, [WINDOW], rules, event_time=True, make_detector=made)
    labels: list[Any] = [str(int(was)) if at % 7 else None for at, was in enumerate(label.tolist())]
    read = scored(spec.outcome, [Column(p)], Column(labels))
    one.observe_batch(Batch(3000, {"outcome": read}, np.arange(3000) * STEP_MS), None)
    changes = [(change.alert.rule.name, change.at_ms // STEP_MS) for change in one.finish(0).changes]
    assert {name for name, _ in changes} == set(watched)
    assert all(2000 <= row <= 2400 for _, row in changes)
    wrong = (p > 0.5) != label
    there = np.array([one is not None for one in labels])
    by_hand = made(detectors["error"])
    seen = [row for row in np.flatnonzero(there).tolist() if _flags(by_hand, float(wrong[row]))]
    assert one.flags.watches["error", "outcome"].flags[-1][0] == seen[0] * STEP_MS


def _flags(detector: Any, value: float) -> bool:
    detector.update(value)
    return bool(detector.drift_detected)
