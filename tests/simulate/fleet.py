"""Fleet: many pods that share one reference, each weighing its own evidence, under one budget for all of them.

Law: the mean over pods of R is an e-detector, so flags by e-d-BH on the means come on average no sooner than after A
panes for the whole fleet; every daemon's own budget together raises as many false alarms as there are pods.
The rows are independent; the pods are not: the error of their common reference is in all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from driftmon.render.rule_fleet import MANY
from driftmon.stats.binnings import numeric
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import independent
from driftmon.stats.evidence import Tolerance, lags, weighed
from driftmon.stats.multiplicity import flagged
from driftmon.stats.schema import Feature, Schema
from tests.simulate.tables import markdown
from tests.simulate.worlds import NULL, mean_shift, runs_schema

PANE = 100  # observations in a pane of one pod
EFFECT = 0.02


def evidence_of(
    rng: np.random.Generator, features: int, panes: int, laws: Iterator[Floats], law: Floats = NULL, n: int = 20_000
) -> Floats:
    """float64[panes, pods, features]: ln R at each close, of one pod for each law float64[features, K] drawn from.

    All compare with one reference of n draws from `law`.
    """
    schema = runs_schema(features) if len(law) == len(NULL) else _schema(features, len(law))
    counts = rng.multinomial(n, law, size=features).reshape(-1).astype(float)
    p = (counts + 0.5) / (n + 0.5 * len(law))
    tolerance = Tolerance(schema, counts, p, EFFECT, independent(schema))
    return np.array([_of_pod(rng, tolerance, pod, panes) for pod in laws]).transpose(1, 0, 2)


def _schema(features: int, size: int) -> Schema:
    """Features of fewer bins: of the first one, its edges."""
    few = numeric.Binning(tuple(float(edge) for edge in range(size - 3)))
    return Schema(tuple(Feature(f"run{index}", few) for index in range(features)))


def _of_pod(rng: np.random.Generator, tolerance: Tolerance, laws: Floats, panes: int) -> Floats:
    """float64[panes, features]: all closes at once, a lag at a time."""
    counts = rng.multinomial(PANE, laws, size=(panes, len(laws))).reshape(panes, -1)
    total = np.concatenate((np.zeros((1, counts.shape[1])), counts.cumsum(axis=0, dtype=float)))
    ends, starts = np.arange(1, panes + 1), lags()[lags() <= panes]
    found = np.full((len(starts), panes, len(laws)), -np.inf)
    for row, lag in enumerate(starts.tolist()):
        found[row, lag - 1 :] = tolerance.log_e(total[ends[lag - 1 :]] - total[ends[lag - 1 :] - lag])
    joined = found.reshape(len(starts), -1)
    return weighed(joined, starts, np.isfinite(joined)).log_r.reshape(panes, len(laws))


def mean_of(log_r: Floats) -> Floats:
    """float64[panes, features]: ln of the mean over pods of R, as the recording rule has it."""
    return np.asarray(logsumexp(log_r, axis=1) - math.log(log_r.shape[1]))


def by_rule(log_r: Floats, log_a: float) -> NDArray[np.bool_]:
    """bool[features]: the recording rule's flags: e-d-BH over the k that it tries."""
    needed = [log_a + math.log(len(log_r) / k) for k in MANY]
    enough = [level for k, level in zip(MANY, needed, strict=True) if (log_r >= level).sum() >= k]
    return np.asarray(log_r >= enough[0]) if enough else np.zeros(len(log_r), dtype=np.bool_)


def fleet_alarms(log_r: Floats, budget: float) -> NDArray[np.bool_]:
    """bool[panes, features]: flags of the fleet's rule."""
    return np.array([by_rule(one, math.log(budget)) for one in mean_of(log_r)])


def own_alarms(log_r: Floats, budget: float) -> NDArray[np.bool_]:
    """bool[panes, pods]: daemons that flag some feature, each under a budget of its own."""
    log_a, features = math.log(budget), log_r.shape[2]
    return np.array([[flagged(pod, log_a, features).any() for pod in pane] for pane in log_r])


def first(flags: NDArray[np.bool_]) -> float:
    """Panes to the first True of bool[panes], inf where there is none."""
    return float(flags.argmax() + 1) if flags.any() else math.inf


def few_bins(size: int) -> Floats:
    """So many bins: regular ones of unequal mass, and two for what never happens."""
    masses = np.arange(1.0, size - 1)
    return np.concatenate((masses / masses.sum(), [0.0, 0.0]))


def false_alarm_table(pods: int, features: int, panes: int, budgets: tuple[float, ...], law: Floats) -> str:
    """Without drift: alarms of the fleet's rule, and daemons that would have alarmed by themselves."""
    rng = np.random.default_rng(8)
    log_r = evidence_of(rng, features, panes, (np.tile(law, (features, 1)) for _ in range(pods)), law)
    rows = []
    for budget in budgets:
        own, fleet = own_alarms(log_r, budget).any(axis=0).sum(), fleet_alarms(log_r, budget).any(axis=1).sum()
        rows.append([f"{budget:,.0f}", f"{panes / budget:.2g}", f"{fleet}", f"{own}", f"{pods * panes / budget:,.0f}"])
    largest = float(np.exp(mean_of(log_r)).mean(axis=1).max())
    text = markdown(
        ["A, panes", "promised at most", "panes with a fleet alarm", "pods with one", "promised at most"], rows
    )
    return f"{text}\n\nLargest mean of R over pods and features in {panes} panes: {largest:.3g} (at most {panes})."


def delay_table(pods: int, features: int, panes: int, budget: float) -> str:
    """Panes to the fleet's first flag of the shifted feature: in all pods, in a tenth, in one; and of one pod alone."""
    rows = []
    for kl in (0.005, 0.02, 0.1):
        cells = []
        for shifted in (pods, max(pods // 10, 1), 1):
            rng = np.random.default_rng(9)
            worlds = [_laws(features, kl if pod < shifted else 0.0) for pod in range(pods)]
            log_r = evidence_of(rng, features, panes, iter(worlds))
            cells.append(_told(first(fleet_alarms(log_r, budget)[:, 0])))
            if shifted == pods:
                alone = [first(fleet_alarms(log_r[:, pod : pod + 1], budget)[:, 0]) for pod in range(min(pods, 40))]
        rows.append([f"{kl:g}", *cells, _told(float(np.median(alone)))])
    return markdown(["KL of the shift", "in all pods", "in a tenth", "in one pod", "a daemon alone, median"], rows)


def _laws(features: int, kl: float) -> Floats:
    laws = np.tile(NULL, (features, 1))
    if kl:
        laws[0] = mean_shift(kl)
    return laws


def _told(panes: float) -> str:
    return f"{panes:g}" if math.isfinite(panes) else "-"
