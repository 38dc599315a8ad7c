"""Dependence: rows that resemble their neighbours, and days that have an evening. Nothing has drifted in either."""

from __future__ import annotations

import numpy as np

from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import dispersion
from driftmon.stats.schema import Counts
from tests.simulate import others
from tests.simulate.engine import Seen, monitor_of, watch
from tests.simulate.tables import delay, markdown, percent
from tests.simulate.worlds import PANE, WIDTH, correlated, counted, runs_schema

RHOS = (0.0, 0.3, 0.5, 0.9, 0.97, 0.99)
HISTORY = 400  # panes of reference
DAY = 48  # panes


def watched(reference: Counts, live: Counts) -> Seen:
    """The engine with the dispersion that the reference's own panes showed."""
    schema = runs_schema(live.shape[1] // WIDTH)
    return watch(monitor_of(schema, reference.sum(axis=0), dispersion(schema, reference)), live)


def ar(rng: np.random.Generator, runs: int, rho: float, panes: int, shift: float = 0.0, at: int = 0) -> Counts:
    """HISTORY + `panes` panes of an AR(1) around 0, and around `shift` from live pane `at` on."""
    values = correlated(rng, runs, rho, (HISTORY + panes) * PANE)
    values[:, (HISTORY + at) * PANE :] += shift
    return counted(values)


def without_drift(rhos: tuple[float, ...], runs: int, panes: int, seed: int = 8) -> dict[float, tuple[int, int]]:
    """Per rho: runs that alarmed, and runs whose evidence alone passed the budget."""
    rng = np.random.default_rng(seed)
    counts = np.concatenate([ar(rng, runs, rho, panes) for rho in rhos], axis=1)
    seen = watched(counts[:HISTORY], counts[HISTORY:])
    fired = seen.alarmed(panes).reshape(len(rhos), runs).sum(axis=1)
    told = np.isfinite(seen.significant()).reshape(len(rhos), runs).sum(axis=1)
    return {rho: (int(fired[row]), int(told[row])) for row, rho in enumerate(rhos)}


def by_look(reference: Counts, live: Counts, length: int = others.WINDOW) -> dict[str, float]:
    """Per method: the share of looks that alarmed."""
    sums, p_counts = others.windows(live, WIDTH, length), reference.sum(axis=0).reshape(-1, WIDTH).astype(float)
    return {method: float(look(sums, p_counts).mean()) for method, look in others.PER_LOOK.items()}


def ar_table(runs: int, panes: int) -> str:
    """False alarms and delays on AR(1), against looks that take rows for independent."""
    quiet, rows = without_drift(RHOS, runs, panes), []
    for rho in RHOS:
        rng = np.random.default_rng(9)
        counts = ar(rng, max(runs // 2, 2), rho, panes)
        naive = by_look(counts[:HISTORY], counts[HISTORY:])
        found = []
        for shift in (0.4, 1.0):
            moved = ar(rng, max(runs // 2, 2), rho, panes, shift)
            found.append(delay(watched(moved[:HISTORY], moved[HISTORY:]).delay(), PANE))
        alarms = f"{quiet[rho][0]} of {runs} ({quiet[rho][1]} significant)"
        rows.append([f"{rho:g}", alarms, *found, *(percent(naive[method]) for method in others.PER_LOOK)])
    looks = [f"{method}: looks" for method in others.PER_LOOK]
    return markdown(["rho", f"driftmon: alarms in {panes} panes", "+0.4 sd found after", "+1 sd after", *looks], rows)


def seasonal(rng: np.random.Generator, runs: int, days: int) -> Counts:
    """Panes of a normal whose mean follows the day, a sine of half a standard deviation."""
    rows = days * DAY * PANE
    mean: Floats = 0.5 * np.sin(2 * np.pi * np.arange(rows) / (DAY * PANE))
    return counted(rng.normal(size=(runs, rows)) + mean)


def daily(runs: int, days: int, seed: int = 10) -> tuple[int, dict[str, float]]:
    """(runs that alarmed, share of looks per method over a quarter of a day) against a reference of whole days."""
    counts = seasonal(np.random.default_rng(seed), runs, 2 * days)
    reference, live = counts[: days * DAY], counts[days * DAY :]
    return int(watched(reference, live).alarmed(len(live)).sum()), by_look(reference, live, DAY // 4)


def season_text(runs: int, days: int) -> str:
    fired, naive = daily(runs, days)
    rates = ", ".join(f"{method} on {percent(rate)} of looks" for method, rate in naive.items())
    return (
        f"Daily sine of 0.5 sd, {days} days of reference, {days} live, {runs} runs: driftmon {fired} alarms; {rates}."
    )
