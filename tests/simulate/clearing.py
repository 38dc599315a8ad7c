"""Clearing: how long after a drift's end its alert is resolved, and whether one is while the drift goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from driftmon.monitor.clearing import CLEAR_RISK
from driftmon.stats.bounds import shown_below
from driftmon.stats.columns import Floats
from driftmon.stats.noise import noise
from driftmon.stats.schema import Counts
from tests.simulate.engine import EFFECT, Seen, monitor_of, watch
from tests.simulate.looks import drawn_pair
from tests.simulate.tables import markdown
from tests.simulate.worlds import NULL, PANE, SHIFTS, drawn, mean_shift, reference, runs_schema


@dataclass(frozen=True)
class Drift:
    """A law that lasts so many panes, and what comes after it."""

    name: str
    law: Floats
    panes: int
    after: Floats = field(default_factory=lambda: NULL)


@dataclass(frozen=True)
class Cleared:
    """Of the runs of one drift: how many fired, `early` resolutions while it lasted, panes from its end to the
    resolution of each run that fired by then (inf: never), and firings more than ten panes after its end."""

    fired: int
    early: int
    waits: Floats
    again: int


def temporary() -> list[Drift]:
    """Drifts that end."""
    found = [
        Drift(f"KL {size:g}", mean_shift(size), panes) for size in (0.03, 0.1, 0.5) for panes in (10, 30, 100, 300)
    ]
    found += [Drift("missing 3 %", SHIFTS["missing 3 %"], panes) for panes in (30, 100)]
    return [*found, *(Drift("KL 0.05, then 0.005", mean_shift(0.05), panes, mean_shift(0.005)) for panes in (30, 100))]


def lasting(panes: int) -> list[Drift]:
    """Drifts that do not, at the effect of 0.02 and above."""
    found = [Drift(f"KL {size:g}", mean_shift(size), panes) for size in (0.02, 0.025, 0.03, 0.05)]
    names = ("missing 0.5 %", "two humps, same mean and sd")
    return [*found, *(Drift(name, SHIFTS[name], panes) for name in names)]


def let_pass(drifts: list[Drift], runs: int, panes_after: int, seed: int, pane: int = PANE) -> list[Cleared]:
    """Each drift from the first pane on, in so many runs."""
    rng, many = np.random.default_rng(seed), len(drifts) * runs
    during = np.repeat([drift.law for drift in drifts], runs, axis=0)
    after = np.repeat([drift.after for drift in drifts], runs, axis=0)
    ends = np.repeat([drift.panes for drift in drifts], runs)

    def panes() -> Iterator[Counts]:
        for number in range(int(ends.max()) + panes_after):
            yield drawn(rng, np.where((number < ends)[:, None], during, after), 1, pane)[0]

    seen = watch(monitor_of(runs_schema(many), reference(rng, many)), panes())
    return [cleared(seen, range(row * runs, (row + 1) * runs), drift.panes) for row, drift in enumerate(drifts)]


def cleared(seen: Seen, runs: range, end: int) -> Cleared:
    """What became of the alerts of these runs, whose drift ended before pane `end`."""
    fired = [run for run in runs if any(pane < end for pane in seen.fired[run])]
    waits = [min((pane - end + 1.0 for pane in seen.resolved[run] if pane >= end), default=np.inf) for run in fired]
    early = sum(pane < end for run in runs for pane in seen.resolved[run])
    again = sum(pane >= end + 10 for run in runs for pane in seen.fired[run])
    return Cleared(len(waits), early, np.array(waits), again)


def false_clear_rate(p: Floats, q: Floats, observations: int, n: int, runs: int, seed: int = 12) -> float:
    """The share of looks that call a drift over which is still as large as the effect, KL(Q||P) = EFFECT."""
    pair = drawn_pair(np.random.default_rng(seed), p, n, q, observations, runs)
    below = shown_below(EFFECT, pair, noise(pair), np.full(runs, 2.0), 10 * CLEAR_RISK)
    return float(below.mean())


def clearing_table(runs: int, panes: int) -> str:
    """Drifts that end, then drifts that do not."""
    rows = []
    ended = temporary()
    for drift, found in zip(ended, let_pass(ended, runs, 200, seed=13), strict=True):
        middle, most = (f"{value:g}" for value in (np.median(found.waits), found.waits.max(initial=0)))
        shown = (middle, most) if found.fired else ("-", "-")
        rows.append(
            [drift.name, f"{drift.panes}", f"{found.fired} of {runs}", f"{found.early}", *shown, f"{found.again}"]
        )
    endless = lasting(panes)
    for drift, found in zip(endless, let_pass(endless, runs, 0, seed=14), strict=True):
        rows.append([drift.name, f"{drift.panes}, lasting", f"{found.fired} of {runs}", f"{found.early}", "", "", ""])
    head = [
        "drift",
        "panes",
        "fired",
        "resolved while it lasted",
        "resolved after, median panes",
        "most",
        "fired again",
    ]
    return markdown(head, rows)
