"""Timeline: the numbers of every look at recorded data, thinned until they fit a page, and the worst moments.

Law: a point is one evaluation as it was, that of the largest debiased KL in its stretch of time; memory is
bounded however long the data lasts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftmon.monitor.quantities import index_of
from driftmon.monitor.report import Report
from driftmon.monitor.rules import State
from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair, kl_qp

POINTS: Final = 480  # half a page's width in pixels; between half of it and all of it are kept
DRAWN: Final = ("kl_divergence_debiased", "kl_noise_floor", "kl_divergence_lower_bound", "kl_divergence_upper_bound")


@dataclass(frozen=True, slots=True)
class Line:
    """One feature in one window: points at rising times, each stands for the `step_ms` that follow; NaN: no value."""

    window: str
    step_ms: int
    times_ms: Sequence[int]
    debiased: Sequence[float]
    floor: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]


@dataclass(frozen=True, slots=True)
class Bars:
    """P against Q of one feature, bin by bin, in one window at one moment; contributions are terms of KL(Q||P)."""

    window: str
    at_ms: int
    firing: bool
    observations: float
    debiased: float
    labels: Sequence[str]
    reference: Sequence[float]
    live: Sequence[float]
    contributions_nats: Sequence[float]


class Timeline:
    """Give it every report; ask for lines and bars at the end."""

    def __init__(self, points: int = POINTS) -> None:
        self._points = points
        self._step_ms = 60_000
        self._held: dict[int, Floats] = {}  # by stretch: float64[W, len(DRAWN), F]
        self._rows = [index_of(name) for name in DRAWN]
        self._worst: dict[int, Bars] = {}
        self._last: Report | None = None

    def add(self, report: Report) -> None:
        """A report of an evaluation; those of a stream that still gathers its reference say nothing."""
        if not report.windows:
            return
        self._last = report
        self._keep(report.now_ms // self._step_ms, report.values[:, self._rows])
        while len(self._held) > self._points:
            self._step_ms *= 2
            held, self._held = self._held, {}
            for stretch, values in held.items():
                self._keep(stretch // 2, values)
        self._remember(report)

    def _keep(self, stretch: int, values: Floats) -> None:
        held = self._held.get(stretch)
        if held is not None:
            larger = np.nan_to_num(values[:, :1], nan=-math.inf) >= np.nan_to_num(held[:, :1], nan=-math.inf)
            values = np.where(larger, values, held)
        self._held[stretch] = values

    def _remember(self, report: Report) -> None:
        """The worst moment of each feature that an alert of its own is firing for."""
        names, windows = report.schema.names, [window.name for window in report.windows]
        for alert in report.alerts:
            if alert.state is not State.FIRING:
                continue
            for name in alert.features or (alert.feature,):
                feature, window = names.index(name), windows.index(alert.window)
                value = float(report.values[window, self._rows[0], feature])
                worst = self._worst.get(feature)
                if math.isfinite(value) and (worst is None or value > worst.debiased):
                    self._worst[feature] = bars(report, window, feature, True)

    @property
    def names(self) -> Sequence[str]:
        return () if self._last is None else self._last.schema.names

    @property
    def kinds(self) -> Mapping[str, str]:
        return {} if self._last is None else {one.name: one.kind for one in self._last.schema.features}

    def lines(self, feature: int) -> list[Line]:
        """One a window."""
        if self._last is None:
            return []
        stretches = sorted(self._held)
        values = np.array([self._held[stretch][:, :, feature] for stretch in stretches])
        times_ms = [stretch * self._step_ms for stretch in stretches]
        return [
            Line(window.name, self._step_ms, times_ms, *(values[:, at, row].tolist() for row in range(len(DRAWN))))
            for at, window in enumerate(self._last.windows)
        ]

    def bars(self, feature: int) -> Bars | None:
        """At the worst moment of an alert, else at the end."""
        if self._last is None:
            return None
        return self._worst.get(feature) or bars(self._last, 0, feature, False)


def bars(report: Report, window: int, feature: int, firing: bool) -> Bars:
    """P and Q of a report, unsmoothed as people count them."""
    pair: Pair = report.pairs[window]
    at = report.schema.bins(feature)
    return Bars(
        report.windows[window].name,
        report.now_ms,
        firing,
        float(pair.live_total[feature]),
        report.value(window, feature, DRAWN[0]),
        report.schema.features[feature].binning.labels(),
        pair.p_raw[at].tolist(),
        pair.q_raw[at].tolist(),
        kl_qp(pair)[at].tolist(),
    )
