"""Families: many features under one budget, a tenth of them drifting, all of them leaning on a common factor."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from driftmon.stats.columns import Floats
from driftmon.stats.schema import Counts
from tests.simulate import others
from tests.simulate.engine import PANE_MS, monitor_of, watch
from tests.simulate.tables import markdown, percent
from tests.simulate.worlds import NULL, WIDTH, counted, drawn, reference, runs_schema

BUDGET = 1000.0
ROWS = 50  # observations in a pane
SHIFT = 0.35
CALM, DRIFT = 60, 60  # panes


@dataclass(frozen=True)
class Family:
    """`false`: features that alarmed without drift, in control or later; `waits` of those that drifted, in panes."""

    false: int
    waits: Floats


def panes_of(rng: np.random.Generator, features: int, drifting: int) -> Counts:
    """CALM + DRIFT panes of features with correlation 0.5; the first `drifting` shift after CALM."""
    rows = (CALM + DRIFT) * ROWS
    common = rng.normal(size=rows)
    counts = []
    for first in range(0, features, 100):
        many = min(100, features - first)
        values = np.sqrt(0.5) * (common + rng.normal(size=(many, rows)))
        values[: max(drifting - first, 0), CALM * ROWS :] += SHIFT
        counts.append(counted(values, ROWS))
    return np.concatenate(counts, axis=1)


def family(features: int, seed: int) -> tuple[Family, others.Looks]:
    """driftmon's alarms, and which features chi-square per look would have flagged in each look of the calm."""
    rng, drifting = np.random.default_rng(seed), features // 10
    counts, p_counts = panes_of(rng, features, drifting), reference(rng, features)
    seen = watch(monitor_of(runs_schema(features), p_counts, budget=BUDGET), counts, shared=True)
    early, late = seen.alarmed(CALM), seen.alarmed(CALM + DRIFT)
    naive = others.chi_square(others.windows(counts[:CALM], WIDTH), p_counts.reshape(features, WIDTH).astype(float))
    return Family(int((early[:drifting]).sum() + late[drifting:].sum()), seen.delay(CALM)[:drifting]), naive


def family_table(streams: int, large: int) -> str:
    """False alarms and delay for 100 and 1,000 features, and chi-square per look beside it."""
    rows = []
    for features, repeats in ((100, streams), (1000, large)):
        found = [family(features, seed) for seed in range(repeats)]
        waits = np.concatenate([one.waits for one, _ in found])
        late = np.median(waits)
        naive = float(np.mean([flags.any(axis=0).mean() for _, flags in found]))
        false = f"{sum(one.false for one, _ in found)} in {repeats} streams"
        rows.append(
            [f"{features:,}", false, f"{late:g} panes", percent(float(np.isfinite(waits).mean())), percent(naive)]
        )
    head = [
        "features",
        "false alarms",
        "median delay",
        "found",
        f"chi-square: features flagged within {CALM} calm panes",
    ]
    return markdown(head, rows)


def cost_text(features: int = 1000, panes: int = 40) -> str:
    """Milliseconds of one tick that closes an evidence pane: median while calm, and while every tenth alert fires."""
    rng = np.random.default_rng(11)
    monitor, law = monitor_of(runs_schema(features), reference(rng, features)), np.tile(NULL, (features, 1))
    shifted = law.copy()
    shifted[: features // 10, 0], shifted[: features // 10, 1] = NULL[0] + 0.05, NULL[1] - 0.05
    spent: list[list[float]] = [[], []]
    for pane in range(2 * panes):
        monitor._ledger.add(pane, drawn(rng, law if pane < panes else shifted, 1)[0])
        began = time.perf_counter()
        monitor.tick((pane + 1) * PANE_MS)
        spent[pane // panes].append(time.perf_counter() - began)
    between = time.perf_counter()
    monitor.tick(2 * panes * PANE_MS + 10_000)
    between = time.perf_counter() - between
    calm, firing = (1000 * float(np.median(times[panes // 2 :])) for times in spent)
    return (
        f"{features:,} features x {WIDTH} bins, one core: a pane's close with evidence {calm:.0f} ms "
        f"({firing:.0f} ms while {features // 10} alerts fire), a tick between panes {1000 * between:.0f} ms."
    )
