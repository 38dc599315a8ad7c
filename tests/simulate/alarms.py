"""Alarms: how long without drift, how soon with it, for driftmon and for what people would run instead."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from driftmon.stats.columns import Floats
from driftmon.stats.schema import Counts
from tests.simulate import others
from tests.simulate.engine import BUDGET, Seen, monitor_of, watch
from tests.simulate.tables import delay, markdown, percent
from tests.simulate.worlds import (
    CATEGORIES,
    NULL,
    PANE,
    POPULAR,
    REFERENCE,
    SHIFTS,
    SWAP,
    SWAPPED,
    VALUES,
    drawn,
    kl,
    mean_shift,
    reference,
    runs_schema,
)

SMALL = 0.005  # a KL that is real and does not matter
MONTH = 43_200.0  # panes of a minute in the 30 days of "1/30d", the budget of the example configuration
ADWIN_BLIND = "n/a"


def panes_of(rng: np.random.Generator, before: Floats, control: int, after: Floats, panes: int) -> Iterator[Counts]:
    """So many panes of one law float64[runs, K], then of another."""
    for _ in range(control):
        yield drawn(rng, before, 1)[0]
    for _ in range(panes):
        yield drawn(rng, after, 1)[0]


def run_length(runs: int, panes: int, budget: float, n: int, seed: int = 3) -> tuple[float, int]:
    """(panes watched per run that reached R >= A, such runs) without drift; a run counts until it did.

    The effect is ignored: R alone must keep the budget. With no such run, all panes watched.
    """
    rng = np.random.default_rng(seed)
    monitor = monitor_of(runs_schema(runs), reference(rng, runs, n), budget=budget)
    law = np.tile(NULL, (runs, 1))
    first = watch(monitor, panes_of(rng, law, panes, law, 0)).significant(budget)
    reached = int(np.isfinite(first).sum())
    return float(np.minimum(first, panes).sum()) / max(reached, 1), reached


def small_effect(runs: int, panes: int, seed: int = 4) -> Seen:
    """A lasting KL of 0.005 under an effect of 0.02."""
    rng = np.random.default_rng(seed)
    law = np.tile(mean_shift(SMALL), (runs, 1))
    monitor = monitor_of(runs_schema(runs), reference(rng, runs), budget=MONTH)
    return watch(monitor, panes_of(rng, law, 0, law, panes))


def delays(runs: int, control: int, panes: int, seed: int = 5) -> Mapping[str, tuple[Floats, int]]:
    """Per shift: panes to the alarm of each run, and how many runs alarmed before the shift."""
    rng, names = np.random.default_rng(seed), list(SHIFTS)
    after = np.repeat(np.array([SHIFTS[name] for name in names]), runs, axis=0)
    before = np.tile(NULL, (len(after), 1))
    monitor = monitor_of(runs_schema(len(after)), reference(rng, len(after)))
    seen = watch(monitor, panes_of(rng, before, control, after, panes))
    waits, false = seen.delay(control).reshape(-1, runs), seen.alarmed(control).reshape(-1, runs).sum(axis=1)
    found = {name: (waits[row], int(false[row])) for row, name in enumerate(names)}
    monitor = monitor_of(runs_schema(runs, CATEGORIES), reference(rng, runs, law=POPULAR))
    steady, swapped = np.tile(POPULAR, (runs, 1)), np.tile(SWAPPED, (runs, 1))
    seen = watch(monitor, panes_of(rng, steady, control, swapped, panes))
    return found | {SWAP: (seen.delay(control), int(seen.alarmed(control).sum()))}


def delays_by_look(runs: int, control: int, panes: int, seed: int = 6) -> Mapping[str, Mapping[str, str]]:
    """Per method and shift: the delay; under "false" the shares of runs and of looks that alarmed in control."""
    rng = np.random.default_rng(seed)
    found: dict[str, dict[str, str]] = {method: {} for method in others.PER_LOOK}
    laws = {**{name: (NULL, law) for name, law in SHIFTS.items()}, SWAP: (POPULAR, SWAPPED)}
    for name, (p, q) in laws.items():
        p_counts = reference(rng, runs, law=p).reshape(runs, -1)
        live = np.array(list(panes_of(rng, np.tile(p, (runs, 1)), control, np.tile(q, (runs, 1)), panes)))
        sums = others.windows(live, len(p))
        start = control - others.WINDOW + 1  # the first look with a pane after the shift
        for method, look in others.PER_LOOK.items():
            flags = look(sums, p_counts.astype(np.float64))
            found[method][name] = delay(first_true(flags[start:]), PANE)
            if name == "mean +0.25 sd":
                runs_hit, looks_hit = flags[:start].any(axis=0).mean(), flags[:start].mean()
                found[method]["false"] = f"{percent(float(runs_hit))} of runs, {percent(float(looks_hit))} of looks"
    return found


def first_true(flags: others.Looks) -> Floats:
    """float64[runs]: how many looks to the first True of each column, inf where there is none."""
    return np.where(flags.any(axis=0), flags.argmax(axis=0) + 1.0, math.inf)


def delays_by_river(runs: int, control: int, panes: int, seed: int = 7) -> Mapping[str, Mapping[str, str]]:
    """The same for river's detectors, value by value. KSWIN is slow: it gets fewer runs and a shorter control."""
    found: dict[str, dict[str, str]] = {}
    for method, make in others.river_detectors().items():
        slow = "KSWIN" in method
        many, steady = (max(runs // 8, 1), min(control, 60)) if slow else (runs, control)
        found[method], flags = {SWAP: ADWIN_BLIND}, []
        for name, change in VALUES.items():
            rng, waits = np.random.default_rng(seed), []
            for _ in range(many):
                values = rng.normal(size=(steady + panes) * PANE)
                values[steady * PANE :] = change(rng, values[steady * PANE :])
                rows = np.array(others.river_flags(make, values))
                later = rows[rows >= steady * PANE]
                waits.append(float(later[0]) - steady * PANE + 1 if len(later) else math.inf)
                flags.append(int((rows < steady * PANE).sum()))
            found[method][name] = delay(np.array(waits), 1)
        per = np.sum(flags) / (len(flags) * steady * PANE / REFERENCE)
        found[method]["false"] = f"{percent(float((np.array(flags) > 0).mean()))} of runs, {per:.2g} in 20,000"
    return found


def comparison_table(runs: int, control: int, panes: int) -> str:
    """Delay in observations (median) and false alarms, method by method."""
    shifts = [*SHIFTS, SWAP]
    ours = delays(runs, control, panes)
    false = sum(count for _, count in ours.values())
    row = {name: delay(waits, PANE) for name, (waits, _) in ours.items()}
    methods: dict[str, Mapping[str, str]] = {
        "**driftmon**, effect 0.02": {**row, "false": f"{false} of {runs * len(ours)} runs"},
        **delays_by_look(runs, control, panes),
        **delays_by_river(max(runs // 5, 1), control, panes),
    }
    limits = {name: math.log(BUDGET) / kl(law) for name, law in SHIFTS.items()}
    limits[SWAP] = math.log(BUDGET) / kl(SWAPPED, POPULAR)
    rows = [[method, found["false"], *(found[name] for name in shifts)] for method, found in methods.items()]
    sizes = [*(kl(SHIFTS[name]) for name in SHIFTS), kl(SWAPPED, POPULAR)]
    rows.append(["*limit: ln A / KL*", "", *(f"{limits[name]:,.0f}" for name in shifts)])
    rows.append(["*KL(Q‖P), nats*", "", *(f"{size:.3f}" for size in sizes)])
    return markdown(["method", f"false alarms in {control * PANE:,} without drift", *shifts], rows)


def run_length_table(runs: int, panes: int) -> str:
    """Mean panes to R >= A without drift, R alone, against A."""
    rows = []
    for budget, n in ((30.0, REFERENCE), (30.0, 1_000_000), (100.0, 1_000_000)):
        mean, reached = run_length(runs, panes, budget, n)
        text = f"{mean:,.0f}" if reached else f"> {mean:,.0f}"
        rows.append([f"{budget:g}", f"{n:,}", text, f"{reached} of {runs} runs in {panes} panes"])
    return markdown(["A, panes", "n", "mean run length, panes", "R >= A in"], rows)


def small_effect_text(runs: int, panes: int) -> str:
    """What a lasting KL below the effect does."""
    seen = small_effect(runs, panes)
    alarms = sum(map(len, seen.fired))
    known = delay(seen.significant(MONTH), PANE)
    said = f"{alarms} alarms; significant after {known} observations"
    return f"KL {SMALL}, effect 0.02, A = {MONTH:,.0f} panes, {runs} runs x {panes:,} panes: {said}."
