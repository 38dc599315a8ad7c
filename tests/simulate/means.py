"""Means: how long the alarm on a mean log loss runs without a rise, and how soon it finds one, against ADWIN.

Law: the losses are those of a calibrated binary classifier, binned as a reference would bin them; ADWIN sees each loss
as it is, at a delta whose false alarms without a rise are as rare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import ndtr

from driftmon.monitor.clearing import Segments
from driftmon.monitor.risen import over
from driftmon.stats.binnings import numeric
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import dispersion, independent
from driftmon.stats.evidence import lags, weighed
from driftmon.stats.rises import Rise, middles
from driftmon.stats.schema import Counts, Feature, Schema
from tests.simulate.concept import flags
from tests.simulate.tables import markdown
from tests.simulate.worlds import correlated

N: Final = 20_000  # rows of the reference
PANE: Final = 100
BUDGET: Final = 10_000.0
SHORT: Final = 30.0  # a budget small enough to be spent within a simulation
BINS: Final = 24


@dataclass(frozen=True)
class Losses:
    """Rows of a chain with correlation `rho`, whose probabilities are off by `shift` in the logit: 0 is calibrated."""

    rho: float = 0.0
    shift: float = 0.0

    def draw(self, rng: np.random.Generator, runs: int, rows: int) -> Floats:
        """float64[runs, rows]: -ln p(label). Both what the model says and whether it is right go by chains."""
        said, right = correlated(rng, runs, self.rho, rows), ndtr(correlated(rng, runs, self.rho, rows))
        logit = 1.5 * said
        told = 1 / (1 + np.exp(-logit))
        label = right < 1 / (1 + np.exp(-(logit + self.shift * -np.sign(logit))))
        return np.asarray(-np.log(np.where(label, told, 1 - told)))


def mean_loss(shift: float) -> float:
    """Of many rows."""
    return float(Losses(shift=shift).draw(np.random.default_rng(9), 1, 1_000_000).mean())


def shift_of(rise: float) -> float:
    """The shift in the logit that raises the mean loss by so much."""
    low, high, base = 0.0, 4.0, mean_loss(0.0)
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_loss(middle) - base < rise else (low, middle)
    return (low + high) / 2


def built(losses: Floats) -> tuple[Rise, Callable[[Floats], Counts]]:
    """A bet on the mean of these losses, one run, and what counts others in panes: float64[runs, rows] -> [panes]."""
    edges = np.unique(np.quantile(losses, np.linspace(0, 1, BINS + 1)[1:-1]))
    schema = Schema((Feature("loss", numeric.Binning(tuple(edges.tolist()))),))

    def panes(rows: Floats) -> Counts:
        codes = schema.features[0].binning.codes(rows.ravel()).reshape(-1, PANE)
        offset = codes + np.arange(len(codes))[:, None] * schema.width
        return np.bincount(offset.ravel(), minlength=len(codes) * schema.width).reshape(len(codes), schema.width)

    blocks = panes(losses)
    found = dispersion(schema, blocks) or independent(schema)
    return Rise(schema, blocks.sum(axis=0).astype(float), middles(schema), found), panes


def evidence(rise: Rise, panes: Counts) -> Floats:
    """float64[panes]: ln R at each close."""
    total = np.concatenate((np.zeros((1, panes.shape[1])), np.cumsum(panes, axis=0)))
    closes, at = np.arange(1, len(total)), lags()
    sums = total[closes][:, None] - total[np.maximum(closes[:, None] - at, 0)]
    log_e = rise.log_e(sums.reshape(-1, panes.shape[1])).reshape(len(closes), len(at))
    return weighed(log_e.T, at, (at <= closes[:, None]).T).log_r


def alarms(law: Losses, reference: Losses, runs: int, panes: int, seed: int, budget: float = BUDGET) -> Floats:
    """float64[runs]: rows to the first R >= A, inf where there is none; each run has a reference of its own."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(runs):
        rise, counted = built(reference.draw(rng, 1, N)[0])
        over_budget = evidence(rise, counted(law.draw(rng, 1, panes * PANE))) >= np.log(budget)
        found.append((over_budget.argmax() + 1.0) * PANE if over_budget.any() else np.inf)
    return np.array(found)


def adwin(law: Losses, runs: int, rows: int, seed: int, delta: float, before: int = N) -> tuple[Floats, int]:
    """float64[runs]: rows to ADWIN's first flag after `before` calibrated ones, inf: none; and false flags in those."""
    from river import drift  # noqa: PLC0415 - not a dependency of driftmon, only of this comparison

    make: Callable[..., Any] = drift.ADWIN
    rng, found, false = np.random.default_rng(seed), [], 0
    for _ in range(runs):
        values = np.concatenate((Losses(law.rho).draw(rng, 1, before)[0], law.draw(rng, 1, rows)[0]))
        seen = flagged_at(make(delta=delta), values)
        false += sum(flag < before for flag in seen)
        found.append(min((flag - before + 1.0 for flag in seen if flag >= before), default=np.inf))
    return np.array(found), false


def flagged_at(detector: Any, values: Floats) -> list[int]:
    return list(flags(detector, values.tolist()))


def false_clears(shift: float, effect: float, looks: int, seed: int, panes: int = 12) -> float:
    """The share of looks that call a rise over which is still as large as the effect and lasts."""
    rng = np.random.default_rng(seed)
    rise, counted = built(Losses().draw(rng, 1, N)[0])
    law, at = Losses(shift=shift), lags(panes)
    cleared = 0
    for _ in range(looks):
        total = np.cumsum(counted(law.draw(rng, 1, panes * PANE))[::-1], axis=0)[at - 1].astype(float)
        allowed = np.ones((len(at), 1), dtype=np.bool_)
        found = weighed(rise.log_e(total), at, allowed)
        found = type(found)(
            np.full(1, 50.0), np.full(1, panes)
        )  # it began with the first of these panes, and is certain
        segments = Segments(at, total, np.broadcast_to(rise.reference, total.shape), allowed)
        cleared += int(over([rise] * len(at), segments, found, effect, np.ones(1, dtype=np.bool_))[0])
    return cleared / looks


def table(runs: int, panes: int, length_runs: int) -> str:
    """Run length without a rise, then delays."""
    rows = []
    for rho in (0.0, 0.5, 0.9):
        law = Losses(rho)
        found = alarms(law, law, length_runs, panes, seed=21, budget=SHORT)
        alarmed = int(np.isfinite(found).sum())
        looked = float(np.minimum(found, panes * PANE).sum() / PANE)
        mean = f"{looked / alarmed:,.0f}" if alarmed else f"over {looked:,.0f}"
        rows.append([f"{rho:g}", f"{SHORT:,.0f}", f"{alarmed} of {length_runs}", mean])
    first = markdown(["AR(1) rho", "A", f"alarmed in {panes} panes", "panes a false alarm"], rows)
    rows = []
    for rise in (0.05, 0.1, 0.2):
        shift = shift_of(rise)
        ours = alarms(Losses(shift=shift), Losses(), runs, 150, seed=22)
        cells = [f"{np.median(ours):,.0f}"]
        for delta in (1e-5, 1e-6):
            theirs, false = adwin(Losses(shift=shift), max(runs // 2, 1), 15_000, 23, delta)
            cells.append(f"{np.median(theirs):,.0f} ({false} false)")
        rows.append([f"+{rise:g}", *cells])
    second = markdown(["rise, nats", "driftmon, rows", "ADWIN 1e-5", "ADWIN 1e-6"], rows)
    clears = false_clears(shift_of(0.05), 0.05, 5_000, 24)
    text = f"A rise of .05 that lasts is called over in {clears:.2%} of looks, over 8 lags each."
    return f"{first}\n\n{second}\n\n{text}"
