"""Looks that are passed by change nothing: all panes due at once, and each as it closes, end in the same state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest

from driftmon import Batch, Monitor, Rule, Window, reference_of
from driftmon.monitor import foresight
from driftmon.monitor.quantities import index_of
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Calibrated, Change
from driftmon.stats.columns import column_of

RULES = (
    Rule("Far", "kl_divergence_debiased", 0.15, resolve_below=0.1, pending_for_ms=120_000, min_observations=50),
    Rule("Broken", "missing_ratio", 0.2, window="short", min_observations=50),
    Rule("Sure", "kl_divergence_debiased", 0.05, calibrated=Calibrated(0.05, 30 * 86_400_000), per="stream"),
)
WINDOWS: dict[str, tuple[Window, ...]] = {
    "minutes": (Window.sliding("short", 3_600_000), Window.decayed("faded", 360_000)),
    "evidence of three panes": (Window.sliding("short", 1_500_000),),
}
PANES, ROWS, BLOCK = 150, 12, 50
MINUTE_MS, BEGIN = 60_000, 6_000_000  # a pane, and the number of the first: a round hour
HOUR = Window.sliding("short", 3_600_000)
SCENARIOS: dict[str, tuple[Window, ...]] = {
    "coarser": (HOUR, Window.sliding("long", 36_000_000)),
    "faded": (HOUR, Window.decayed("faded", 360_000)),
    "faded and coarser": (HOUR, Window.decayed("faded", 1_800_000)),
    "since ever": (HOUR, Window.everything()),
}


def rows(count: int, chance: np.random.Generator, shift: float) -> dict[str, Any]:
    """`x` has runs of equal sign, so that it is no independent series; `c` has a category the reference never saw."""
    sign = np.repeat(chance.choice([-0.3, 0.3], -(-count // 30)), 30)[:count]
    x = chance.normal(size=count) + sign + shift
    x[chance.random(count) < 0.02] = np.nan
    names = chance.choice(["a", "b", "c", "new"], count, p=[0.5, 0.3, 0.199, 0.001]).tolist()
    return {"x": x, "c": ["a" if name == "new" and shift == 0 and count > 5000 else name for name in names]}


def monitor(windows: tuple[Window, ...], rules: Sequence[Rule] = RULES) -> Monitor:
    reference = reference_of(rows(6000, np.random.default_rng(0), 0.0))
    return Monitor(reference, windows, rules, event_time=True)


def batches(seed: int, pane_ms: int) -> list[Batch]:
    """A pane each; some stay empty, and for a while x lies elsewhere."""
    chance, found = np.random.default_rng(seed), []
    for pane in range(PANES):
        if 30 <= pane < 33 or chance.random() < 0.05:
            continue
        columns = rows(ROWS, chance, 2.5 if 60 <= pane < 80 else 0.0)
        times_ms = pane * pane_ms + np.sort(chance.integers(0, pane_ms, ROWS))
        typed = {"x": column_of("numeric", columns["x"]), "c": column_of("categorical", columns["c"])}
        found.append(Batch(ROWS, typed, times_ms.astype(np.int64)))
    return found


def seen(one: Monitor, last: Report, changes: list[Change]) -> list[Any]:
    """All that anybody could tell two monitors by; NaN equals NaN as text."""
    numbers = (last.values, last.evidence_log10, last.drift_seconds, last.evaluated_seconds)
    assert last.lifetime is not None
    told = [repr(change) for change in changes], dict(last.statuses), repr(one.held_alerts), repr(one.spent_panes)
    return [*(part.tobytes() for part in numbers), *told, repr(astuple(one.clocks)), one.snapshot().to_bytes()]


def run(one: Monitor, some: list[Batch], at_once: int) -> tuple[list[Any], set[str]]:
    """A tick after each `at_once` batches; what is seen at the end of each BLOCK, and which rules fired."""
    found, changes = [], list[Change]()
    for start in range(0, len(some), BLOCK):
        block = some[start : start + BLOCK]
        for low in range(0, len(block), at_once):
            for batch in block[low : low + at_once]:
                one.observe_batch(batch, None)
            last = one.tick(0)
            changes += last.changes
        found.append(seen(one, last, changes))
    return found, {change.alert.rule.name for change in changes if change.event == "firing"}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The times of all looks that are made, not passed by."""
    found, look = list[int](), Monitor._look

    def counted(self: Monitor, at_ms: int) -> None:
        found.append(at_ms)
        look(self, at_ms)

    monkeypatch.setattr(Monitor, "_look", counted)
    return found


@pytest.mark.parametrize("kind", WINDOWS)
def test_the_looks_passed_by_change_nothing(kind: str, looks: list[int]) -> None:
    windows = WINDOWS[kind]
    some = batches(7, windows[0].pane_ms)
    one_by_one, fired = run(monitor(windows), some, 1)
    every, looks[:] = len(looks), []
    together, _ = run(monitor(windows), some, BLOCK)
    assert together == one_by_one
    assert fired == {"Far", "Sure"}
    assert len(looks) < 0.8 * every  # from the drift on, until the alerts are over, each is made


def scenario(seed: int, windows: tuple[Window, ...]) -> tuple[list[Rule], list[Batch]]:
    """Sparse panes, a short drift, a threshold that very few looks pass, by very little; of an odd seed some rows are
    thinned, and evidence is weighed as well, in panes of five."""
    chance, some = np.random.default_rng(seed), list[Batch]()
    thinned, drift, shift = *chance.integers(10, 60, 2), chance.choice([0.0, 0.6, 1.5])
    for pane in np.flatnonzero(chance.random(70) > 0.1):
        columns = rows(ROWS, chance, shift if drift <= pane < drift + 5 else 0.0)
        typed = {"x": column_of("numeric", columns["x"]), "c": column_of("categorical", columns["c"])}
        times_ms = (BEGIN + pane) * MINUTE_MS + np.sort(chance.integers(0, MINUTE_MS, ROWS))
        weight = 4 if seed % 2 and thinned <= pane < thinned + 4 else 1
        some.append(Batch(ROWS, typed, times_ms.astype(np.int64), weight=weight))
    metric = str(chance.choice(["kl_divergence_lower_bound", "kl_divergence_debiased"]))
    scout, seen_values = monitor(windows, ()), []
    for batch in some:
        scout.observe_batch(batch, None)
        seen_values.append(np.nanmax(scout.tick(0).values[-1, index_of(metric)], initial=0.0))
    near = np.sort(seen_values[20:])[-int(chance.integers(2, 12)) :][:2].mean()
    rules = [Rule("Near", metric, float(near), window=windows[-1].name, min_observations=int(chance.integers(10, 40)))]
    if seed % 2:
        rules.append(replace(RULES[2], calibrated=Calibrated(0.05, 30 * 86_400_000, 300_000)))
    return rules, some


@pytest.mark.parametrize(("kind", "seed"), [*((kind, 2) for kind in SCENARIOS), ("faded", 1)])
def test_nor_do_they_where_values_lie_near_the_threshold(kind: str, seed: int) -> None:
    windows = SCENARIOS[kind]
    rules, some = scenario(seed, windows)
    assert run(monitor(windows, rules), some, BLOCK) == run(monitor(windows, rules), some, 1)


def fired_at(rule: Rule, windows: tuple[Window, ...], some: list[Batch]) -> list[tuple[str, int]]:
    """What changed at which minute, of a monitor that has looked twice before all else comes at once."""
    names = list(some[0].columns)
    reference = {"x": np.random.default_rng(0).normal(size=6000), "c": ["a", "b"] * 3000}
    one = Monitor(reference_of({name: reference[name] for name in names}), windows, (rule,), event_time=True)
    changes = list[Change]()
    for at, batch in enumerate(some):
        one.observe_batch(batch, None)
        if at == 2:
            changes += one.tick(0).changes
    changes += one.finish(0).changes
    return [(change.event, change.at_ms // MINUTE_MS - BEGIN) for change in changes]


def test_a_coarser_pane_is_seen_only_as_far_as_it_has_closed() -> None:
    """Ten minutes of nothing but "a", then as ever: an hour is one pane of the window, whose end makes up for it."""
    rule = Rule("Far", "kl_divergence_debiased", 0.2, window="slow", min_observations=100)
    windows, some = (HOUR, Window.sliding("slow", 60 * 3_600_000)), list[Batch]()
    for pane in range(60):
        column = column_of("categorical", ["a"] * 50 if 4 <= pane < 14 else ["a", "b"] * 25)
        some.append(Batch(50, {"c": column}, (BEGIN + pane) * MINUTE_MS + np.arange(50)))
    assert fired_at(rule, windows, some) == [("firing", 11), ("resolved", 17)]


def test_a_decayed_window_is_worth_what_its_weights_are() -> None:
    """A bound on the divergence: with fewer observations than the weights stand for it would not get as high."""
    rule = Rule("Far", "kl_divergence_lower_bound", 0.1, min_observations=20)
    chance, some = np.random.default_rng(1), list[Batch]()
    for pane in range(90):
        column = column_of("numeric", chance.normal(size=12) + (0.9 if 40 <= pane < 60 else 0.0))
        some.append(Batch(12, {"x": column}, (BEGIN + pane) * MINUTE_MS + np.arange(12)))
    changes = fired_at(rule, (Window.decayed("faded", 360_000),), some)
    assert changes == [("firing", 53), ("resolved", 55), ("firing", 57), ("resolved", 59)]


def test_while_evidence_has_thinned_rows_every_look_is_made(looks: list[int]) -> None:
    """They have left the window: were they whole rows, they would be worth more, so the bound is none."""
    one, chance, panes = monitor((HOUR,), (RULES[2],)), np.random.default_rng(3), [*range(3), *range(70, 90)]
    for pane in panes:
        columns = rows(ROWS, chance, 0.0)
        typed = {"x": column_of("numeric", columns["x"]), "c": column_of("categorical", columns["c"])}
        times_ms = (BEGIN + pane) * MINUTE_MS + np.arange(ROWS)
        one.observe_batch(Batch(ROWS, typed, times_ms, weight=2 if pane < 3 else 1), None)
        if pane == 71:
            one.tick(0)
    one.finish(0)
    assert looks == [(BEGIN + pane + 1) * MINUTE_MS for pane in panes]


def test_what_is_prepared_is_bounded_and_goes_when_one_look_is_due_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    width, some = monitor((HOUR,)).schema.width, batches(7, MINUTE_MS)
    monkeypatch.setattr(foresight, "MOST_BINS", 2 * 5 * width)  # five looks of two windows: four, a power of two
    one = monitor(WINDOWS["minutes"], RULES[:1])
    for at, batch in enumerate(some[:30]):
        one.observe_batch(batch, None)
        if at == 27:
            one.tick(0)
            assert {looks for _, looks in one._foresight._stacks} == {2, 4}
        elif at > 27:
            one.tick(0)
    assert not one._foresight._stacks


def test_a_watch_over_something_else_is_not_foreseen() -> None:
    """What goes by more than the counts of each feature: every look is made."""
    windows = WINDOWS["minutes"]
    reference = reference_of(rows(6000, np.random.default_rng(0), 0.0))
    for rule in (replace(RULES[0], metric="ks_distance"), replace(RULES[0], metric="log_loss")):
        assert not Monitor(reference, windows, (rule,), event_time=True)._foresight.able
    assert Monitor(reference, windows, RULES, event_time=True)._foresight.able
