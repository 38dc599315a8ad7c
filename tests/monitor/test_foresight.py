"""Looks that are passed by change nothing: all panes due at once, and each as it closes, end in the same state."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest

from driftmon import Batch, Monitor, Rule, Window, reference_of
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


def rows(count: int, chance: np.random.Generator, shift: float) -> dict[str, Any]:
    """`x` has runs of equal sign, so that it is no independent series; `c` has a category the reference never saw."""
    sign = np.repeat(chance.choice([-0.3, 0.3], -(-count // 30)), 30)[:count]
    x = chance.normal(size=count) + sign + shift
    x[chance.random(count) < 0.02] = np.nan
    names = chance.choice(["a", "b", "c", "new"], count, p=[0.5, 0.3, 0.199, 0.001]).tolist()
    return {"x": x, "c": ["a" if name == "new" and shift == 0 and count > 5000 else name for name in names]}


def monitor(windows: tuple[Window, ...]) -> Monitor:
    reference = reference_of(rows(6000, np.random.default_rng(0), 0.0))
    return Monitor(reference, windows, RULES, event_time=True)


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


def run(windows: tuple[Window, ...], some: list[Batch], at_once: int) -> tuple[list[Any], set[str]]:
    """A tick after each `at_once` batches; what is seen at the end of each BLOCK, and which rules fired."""
    one, found, changes = monitor(windows), [], list[Change]()
    for start in range(0, len(some), BLOCK):
        block = some[start : start + BLOCK]
        for low in range(0, len(block), at_once):
            for batch in block[low : low + at_once]:
                one.observe_batch(batch, None)
            last = one.tick(0)
            changes += last.changes
        found.append(seen(one, last, changes))
    return found, {change.alert.rule.name for change in changes if change.event == "firing"}


@pytest.mark.parametrize("kind", WINDOWS)
def test_the_looks_passed_by_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    windows, looks = WINDOWS[kind], list[int]()
    some = batches(7, windows[0].pane_ms)
    look = Monitor._look

    def counted(self: Monitor, at_ms: int) -> None:
        looks.append(at_ms)
        look(self, at_ms)

    monkeypatch.setattr(Monitor, "_look", counted)
    one_by_one, fired = run(windows, some, 1)
    every, looks[:] = len(looks), []
    together, _ = run(windows, some, BLOCK)
    assert together == one_by_one
    assert fired == {"Far", "Sure"}
    assert len(looks) < 0.8 * every  # from the drift on, until the alerts are over, each is made


def test_a_watch_over_something_else_is_not_foreseen() -> None:
    """What goes by more than the counts of each feature: every look is made."""
    windows = WINDOWS["minutes"]
    reference = reference_of(rows(6000, np.random.default_rng(0), 0.0))
    for rule in (replace(RULES[0], metric="ks_distance"), replace(RULES[0], metric="log_loss")):
        assert not Monitor(reference, windows, (rule,), event_time=True)._foresight.able
    assert Monitor(reference, windows, RULES, event_time=True)._foresight.able
