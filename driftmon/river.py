"""River: drift detectors for river pipelines, by driftmon's own evidence (needs river).

Law: without drift, and with independent values, a detector flags on average no sooner than after `run_length` of
them, however often it is asked; what it flags is an effect worth telling, not just a significant one.

The first `warm_up` values after the start or a flag are the reference; then evidence is weighed once per `pane`.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final

import numpy as np
from river.base import DriftAndWarningDetector

from driftmon.stats.binnings import numeric
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import independent
from driftmon.stats.divergences import Pair
from driftmon.stats.edges import numeric_edges
from driftmon.stats.evidence import PANES, Tolerance, lags, weighed
from driftmon.stats.losses import multiclass
from driftmon.stats.noise import debiased, noise
from driftmon.stats.rises import Rise, lower_edges
from driftmon.stats.schema import Counts, Feature, Schema

PSEUDOCOUNT: Final = 0.5
LAGS: Final = lags()
LOG_WARNING: Final = math.log(100)  # a warning needs a hundredth of the evidence


class _Distribution:
    """A bet that the distribution has left the reference's; the size of a drift is its KL(Q||P), debiased."""

    def __init__(self, schema: Schema, reference: Floats, effect: float) -> None:
        self._schema, self._reference = schema, reference
        p = self._pair(np.zeros(schema.width)).p
        self.log_e = Tolerance(schema, reference, p, effect, independent(schema)).log_e

    def size(self, segment: Floats) -> float:
        pair = self._pair(segment)
        return float(debiased(pair, noise(pair))[0])

    def _pair(self, live: Floats) -> Pair:
        return Pair(self._schema, self._reference, live, PSEUDOCOUNT)


class _Mean:
    """A bet that the mean has risen above the reference's; the size is by how much."""

    def __init__(self, schema: Schema, reference: Floats, effect: float) -> None:
        self._rise = Rise(schema, reference, lower_edges(schema), independent(schema))
        self._before = self._rise.mean(reference)
        self.log_e = self._rise.log_e

    def size(self, segment: Floats) -> float:
        return float((self._rise.mean(segment) - self._before)[0])


class _Weighing:
    """A reference, and the panes that followed it: values in, a verdict per pane out."""

    def __init__(self, values: list[float], detector: _Detector) -> None:
        edges = numeric_edges(np.array(values), detector.bins, "quantile_tails")
        self._schema = Schema((Feature("x", numeric.Binning(edges)),))
        self._bet = detector._bet(self._schema, self._count(values).astype(np.float64), detector.effect)
        self._effect = detector.effect
        self._log_a = math.log(max(detector.run_length / detector.pane, 1.0))
        self._totals = [np.zeros(self._schema.width, dtype=np.int64)]  # of all panes up to each of the last
        self._panes = 0

    def _count(self, values: list[float]) -> Counts:
        return self._schema.count(self._schema.features[0].binning.codes(np.array(values)))

    def close(self, values: list[float]) -> tuple[bool, bool]:
        """Whether drift is shown, and whether it is suspected, with these values as the newest pane."""
        self._totals = [*self._totals[-PANES:], self._totals[-1] + self._count(values)]
        self._panes += 1
        newest = len(self._totals) - 1
        sums = np.array([self._totals[newest] - self._totals[max(newest - lag, 0)] for lag in LAGS.tolist()], float)
        found = weighed(self._bet.log_e(sums), LAGS, (self._panes >= LAGS)[:, None])
        segment = sums[np.searchsorted(LAGS, found.lag[0])]
        large, log_r = self._bet.size(segment) >= self._effect, found.log_r[0]
        return bool(large and log_r >= self._log_a), bool(large and log_r >= self._log_a - LOG_WARNING)


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
    `predict_proba_one` gives. Losses are rounded down to bins, so no bound on a loss is assumed.

    Parameters
    ----------
    effect
        The least rise of the mean loss worth a flag, in nats.
    run_length
        Predictions between two false flags, on average, at least.
    warm_up
        Predictions whose losses become the reference.
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
