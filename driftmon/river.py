"""River: drift detectors for river pipelines, by driftmon's own evidence (needs river).

Law: without drift, and with independent values, a detector flags on average no sooner than after `run_length` of
them, however often it is asked; what it flags is an effect worth telling, not just a significant one.

The first `warm_up` values after the start or a flag are the reference; then evidence is weighed once per `pane`. Of a
mean the reference grows: values since the lag in question are held against all that came before them. That keeps
P(a flag within t values) <= t / 2 run_length, so that the mean until one is run_length at least.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from river.base import DriftAndWarningDetector

from driftmon.stats.binnings import numeric
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import independent
from driftmon.stats.divergences import Pair
from driftmon.stats.edges import numeric_edges
from driftmon.stats.evidence import PANES, Tolerance, lags, weighed
from driftmon.stats.losses import multiclass
from driftmon.stats.noise import debiased, noise
from driftmon.stats.rises import Rise, middles, moments
from driftmon.stats.schema import Counts, Feature, Schema

PSEUDOCOUNT: Final = 0.5
LAGS: Final = lags()
LOG_WARNING: Final = math.log(100)  # a warning needs a hundredth of the evidence


class _Distribution:
    """A bet that the distribution has left the warm-up's; the size of a drift is its KL(Q||P), debiased."""

    margin: ClassVar[float] = 1.0

    def __init__(self, schema: Schema, reference: Floats, effect: float) -> None:
        self._schema, self._reference, self._effect = schema, reference, effect
        self._tolerance = Tolerance(
            schema, reference, self._pair(np.zeros(schema.width)).p, effect, independent(schema)
        )

    def log_r(self, sums: Floats, _before: Floats, allowed: NDArray[np.bool_], least: float) -> float:
        """ln R, -inf if the drift is smaller than the effect or R too small; of the lags' counts, float64[L, width]."""
        found = weighed(self._tolerance.log_e(sums), LAGS, allowed[:, None])
        if found.log_r[0] < least:  # how large the drift is takes as long again
            return -math.inf
        pair = self._pair(sums[np.searchsorted(LAGS, found.lag[0])])
        return float(found.log_r[0]) if debiased(pair, noise(pair))[0] >= self._effect else -math.inf

    def _pair(self, live: Floats) -> Pair:
        return Pair(self._schema, self._reference, live, PSEUDOCOUNT)


class _Mean:
    """A bet that the mean has risen above that of all values before the lag."""

    margin: ClassVar[float] = 2.0

    def __init__(self, schema: Schema, _reference: Floats, effect: float) -> None:
        self._schema, self._scores, self._effect = schema, middles(schema), effect

    def log_r(self, sums: Floats, before: Floats, allowed: NDArray[np.bool_], _least: float) -> float:
        """ln R of the lags since which the mean has risen by the effect or more, each as a feature of one look."""
        now, then = moments(self._schema, np.stack((sums, before)), self._scores)[0]
        large = np.flatnonzero(allowed & ((now - then)[:, 0] >= self._effect))
        if not len(large):
            return -math.inf
        schema = Schema(tuple(replace(self._schema.features[0], name=str(lag)) for lag in large.tolist()))
        rise = Rise(schema, before[large].ravel(), np.tile(self._scores, len(large)), independent(schema))
        return float(np.logaddexp.reduce(rise.log_e(sums[large].reshape(1, -1))[0]))


class _Weighing:
    """A reference, and the panes that followed it: values in, a verdict per pane out."""

    def __init__(self, values: list[float], detector: _Detector) -> None:
        edges = numeric_edges(np.array(values), detector.bins, "quantile_tails")
        self._schema = Schema((Feature("x", numeric.Binning(edges)),))
        first = self._count(values)
        self._bet = detector._bet(self._schema, first.astype(np.float64), detector.effect)
        self._log_a = math.log(max(self._bet.margin * detector.run_length / detector.pane, 1.0))
        self._totals = [first]  # of the reference and all panes up to each of the last
        self._panes = 0

    def _count(self, values: list[float]) -> Counts:
        return self._schema.count(self._schema.features[0].binning.codes(np.array(values)))

    def close(self, values: list[float]) -> tuple[bool, bool]:
        """Whether drift is shown, and whether it is suspected, with these values as the newest pane."""
        self._totals = [*self._totals[-PANES:], self._totals[-1] + self._count(values)]
        self._panes += 1
        totals = np.array(self._totals, float)
        before = totals[np.maximum(len(totals) - 1 - LAGS, 0)]
        sums = totals[-1] - before
        log_r = self._bet.log_r(sums, before, self._panes >= LAGS, self._log_a - LOG_WARNING)
        return log_r >= self._log_a, log_r >= self._log_a - LOG_WARNING


class _Detector(DriftAndWarningDetector):
    """What both detectors share: gather a reference, then weigh pane by pane; a flag begins it anew."""

    _bet: ClassVar[type[_Distribution | _Mean]]

    def __init__(self, effect: float, run_length: int, warm_up: int, pane: int, bins: int) -> None:
        super().__init__()
        self.effect = effect
        self.run_length = run_length
        self.warm_up = warm_up
        self.pane = pane
        self.bins = bins
        self._reset()

    def _reset(self) -> None:
        super()._reset()
        self._waiting: list[float] = []
        self._weighing: _Weighing | None = None

    def update(self, x: float) -> None:
        """Take a value; then `drift_detected` says whether it showed drift. NaN: a missing value."""
        if self.drift_detected:
            self._reset()
        self._waiting.append(float(x))
        if len(self._waiting) < (self.warm_up if self._weighing is None else self.pane):
            return
        values, self._waiting = self._waiting, []
        if self._weighing is None:
            self._weighing = _Weighing(values, self)
        else:
            self._drift_detected, self._warning_detected = self._weighing.close(values)


class KLDriftDetector(_Detector):
    r"""Flags when the distribution of a number has left its reference's by KL(Q||P) of `effect` nats or more.

    Unlike detectors of the mean it sees changes of scale and shape, new gaps and second humps.

    Parameters
    ----------
    effect
        The least KL(Q||P) worth a flag, in nats: 0.02 small, 0.1 medium, 0.3 large.
    run_length
        Values between two false flags, on average, at least.
    warm_up
        Values that become the reference; too few of them can certify no small effect.
    pane
        Values per look.
    bins
        Bins of the histogram, chosen from the reference.

    Examples
    --------
    >>> from river import datasets, drift
    >>> from driftmon.river import KLDriftDetector
    >>> detectors = {"KL": KLDriftDetector(), "mean": drift.ADWIN()}
    >>> for row, (x, _) in enumerate(datasets.Bananas()):
    ...     value = x["1"] if row < 3500 else 1.5 * x["1"]      # another gain: the mean stays where it was, at 0
    ...     for name, detector in detectors.items():
    ...         detector.update(value)
    ...         if detector.drift_detected:
    ...             print(name, row)
    KL 3549

    """

    _bet = _Distribution

    def __init__(
        self, effect: float = 0.1, run_length: int = 1_000_000, warm_up: int = 2000, pane: int = 50, bins: int = 16
    ) -> None:
        super().__init__(effect, run_length, warm_up, pane, bins)


class LogLossDriftDetector(_Detector):
    r"""Flags when the mean log loss of a classifier has risen by `effect` nats or more.

    `update` takes the loss of one prediction, -ln p(label); `update_from` a label and the probabilities river's
    `predict_proba_one` gives. Losses are rounded to the middles of bins, so no bound on a loss is assumed. A rise is
    above all predictions before it: the longer nothing has risen, the smaller a rise is seen.

    Parameters
    ----------
    effect
        The least rise of the mean loss worth a flag, in nats.
    run_length
        Predictions between two false flags, on average, at least.
    warm_up
        Predictions whose losses choose the bins and begin the reference.
    pane
        Predictions per look.
    bins
        Bins of the losses, chosen from the reference.

    Examples
    --------
    >>> from river import datasets, linear_model, preprocessing
    >>> from driftmon.river import LogLossDriftDetector
    >>> model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    >>> detector = LogLossDriftDetector(warm_up=500)
    >>> flags = []
    >>> for row, (x, y) in enumerate(datasets.Phishing()):
    ...     if row >= 900:
    ...         y = not y                                    # the labels change their meaning
    ...     detector.update_from(y, model.predict_proba_one(x))
    ...     if detector.drift_detected:
    ...         flags.append(row)
    ...     if row < 900:
    ...         model.learn_one(x, y)
    >>> flags[0]
    949

    """

    _bet = _Mean

    def __init__(
        self, effect: float = 0.05, run_length: int = 1_000_000, warm_up: int = 1000, pane: int = 50, bins: int = 32
    ) -> None:
        super().__init__(effect, run_length, warm_up, pane, bins)

    def update_from(self, y_true: Any, y_pred: dict[Any, float]) -> None:
        """Take a label and the probabilities predicted for it; a label without one had probability 0."""
        probabilities = y_pred if y_true in y_pred else {**y_pred, y_true: 0.0}
        label = np.array([list(probabilities).index(y_true)])
        self.update(float(multiclass(np.array([list(probabilities.values())]), label).loss[0]))
