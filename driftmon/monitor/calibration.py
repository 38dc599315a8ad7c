"""Calibration: one calibrated rule on one stream, from pane counts to verdicts.

Law: an alarm needs evidence (R over all features within the budget, e-d-BH) and effect (the debiased KL of
the segment since drift began, or by how much its mean has risen). It ends when clearing.py or risen.py says so;
what has been cleared is spent and never counts as evidence again.
A pane without observations says nothing: it neither raises nor ends an alarm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from driftmon.monitor import clearing, risen
from driftmon.monitor.clearing import Segments
from driftmon.monitor.lagged import Lagged
from driftmon.monitor.panes import Ring, Window, finest_pane_ms
from driftmon.monitor.references import Reference
from driftmon.monitor.rules import Calibrated, Rule, Verdict
from driftmon.stats.bounds import bounds
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.divergences import Pair
from driftmon.stats.evidence import CAP_LOG10, Evidence, Tolerance, lags, weighed
from driftmon.stats.multiplicity import flagged
from driftmon.stats.noise import debiased, noise
from driftmon.stats.rises import Rise
from driftmon.stats.schema import Schema

BOUND_LEVEL: Final = 0.99


class Finding(Struct, frozen=True, eq=False):
    """What one evidence pane's close showed, per feature.

    `log_r` ln R; `lag` panes since drift began, if it did; `flagged` evidence within the budget; `size` and
    `lower` the debiased KL of that segment and its 99 % lower bound; `pairs` its counts; `verdicts` what
    follows for an alert that fires (`clear` counts then) or not, where the newest pane was `heard` of.
    Of a rule about a mean `size` and `lower` are by how much it rose, and `before` the reference's mean, else NaN.
    """

    closed_pane: int
    log_r: Floats
    lag: NDArray[np.int64]
    flagged: NDArray[np.bool_]
    size: Floats
    lower: Floats
    before: Floats
    pair: Pair
    clear: NDArray[np.bool_]
    heard: NDArray[np.bool_]

    @property
    def log10(self) -> Floats:
        """log10 R, capped: what is exported."""
        return np.asarray(np.minimum(self.log_r / np.log(10), CAP_LOG10))

    def verdicts(self, effect: float, firing: NDArray[np.bool_]) -> NDArray[np.int8]:
        """int8[F]: BREACH by evidence and effect; CLEAR only matters to what fires, and then comes first."""
        breach = self.flagged & (self.size >= effect)
        clear = np.where(firing, self.clear, ~breach)
        said = np.where(clear, Verdict.CLEAR, np.where(breach, Verdict.BREACH, Verdict.BETWEEN))
        return np.where(self.heard, said, Verdict.UNKNOWN).astype(np.int8)


class Calibration:
    """Weighs evidence at each close of an evidence pane. `family` counts the features that share the budget.

    `watched` bool[F]: the features the rule is about; the others can neither alarm nor help others to.
    """

    def __init__(
        self,
        calibrated: Calibrated,
        schema: Schema,
        reference: Pair,
        dispersion: Dispersion,
        pane_ms: int,
        family: int,
        watched: NDArray[np.bool_],
    ) -> None:
        self.effect = calibrated.effect
        self.mean = calibrated.mean
        self.pane_ms = pane_ms
        self.family = family
        self.watched = watched
        self.log_a = math.log(max(calibrated.budget_ms / pane_ms, 1.0))
        self.spent_pane = np.full(len(schema.features), np.iinfo(np.int64).min // 2, dtype=np.int64)
        self.finding: Finding | None = None
        self._pseudocount = reference.pseudocount
        self._lags = lags()
        weigher: Tolerance | Rise = (
            risen.rise_of(calibrated.mean, reference, dispersion)
            if calibrated.mean
            else Tolerance(schema, reference.reference, reference.p, calibrated.effect, dispersion)
        )
        self._against: Lagged[Tolerance | Rise] = Lagged(weigher, len(self._lags))

    @property
    def weigher(self) -> Tolerance | Rise:
        """What the reference fixes; where each lag has its own, that of the longest."""
        return self._against.longest

    def compare_with(self, reference: Reference, ring: Ring, closed_pane: int) -> None:
        """Before a look: ask a reference that moves for its counts as of this pane's close."""
        references = reference.of_lags(ring, closed_pane, self._lags)
        self._against.compare_with(references, reference.dispersion, self._pseudocount)

    def next_pane(self, at_ms: int) -> int | None:
        """The newest pane that has closed by `at_ms`; None if it was looked at already."""
        closed_pane = at_ms // self.pane_ms - 1
        return None if self.finding is not None and self.finding.closed_pane >= closed_pane else closed_pane

    def look(self, ring: Ring, closed_pane: int, firing: NDArray[np.bool_]) -> Finding | None:
        """Weigh the panes up to `closed_pane`; None while there is none."""
        if not ring.panes or min(ring.panes) > closed_pane:
            return None
        schema, sums = self.weigher.schema, ring.sums(closed_pane, self._lags, self.weigher.schema)
        since = np.maximum(self.spent_pane + 1, min(ring.panes))
        allowed = self._lags[:, None] <= np.maximum(closed_pane - since + 1, 1)
        found = weighed(self._against.log_e(sums), self._lags, allowed)
        segment = self._segment(sums, found.lag)
        size, lower, before = self._measure(segment)
        segments = Segments(self._lags, sums, self._against.references, allowed)
        clear = self._over(segments, found, firing)
        flags = flagged(np.where(self.watched, found.log_r, -np.inf), self.log_a, self.family)
        heard = schema.totals(sums[0]) > 0
        self.finding = Finding(closed_pane, found.log_r, found.lag, flags, size, lower, before, segment, clear, heard)
        return self.finding

    @property
    def least_log_r(self) -> float:
        """With less no feature is flagged, whatever the others have."""
        return self.log_a + math.log(self.family) - math.log(len(self.watched))

    def once_in_ms(self, log_r: float) -> float:
        """Without drift, R as large as this arises in some feature of the family at most once in so long."""
        return math.exp(min(log_r - math.log(self.family), 700.0)) * self.pane_ms

    @property
    def weak(self) -> NDArray[np.bool_]:
        """bool[F]: the reference is too small: what it may be off by itself is more than half the effect."""
        found: NDArray[np.bool_] = self.watched & (self.weigher.radius > self.effect / 2)
        return found

    def floor(self, floors: Floats, seen: Floats) -> Floats:
        """float64[W, F] nats: what noise alone may reach in 99 of 100 looks: of KL it is `floors`; of a mean it goes by
        how many observations were `seen`."""
        weigher = self.weigher
        return risen.floor(weigher, seen, BOUND_LEVEL) if isinstance(weigher, Rise) else floors

    def _segment(self, sums: Floats, lag: NDArray[np.int64]) -> Pair:
        """The counts of each feature's own last `lag` panes."""
        schema = self.weigher.schema
        rows = np.repeat(np.searchsorted(self._lags, lag), schema.sizes)
        live = sums[rows, np.arange(schema.width)]
        return Pair(schema, self._against.reference_by_bin(rows), live, self._pseudocount)

    def _measure(self, pair: Pair) -> tuple[Floats, Floats, Floats]:
        """float64[F] each: size and its lower bound; of a mean also the reference's."""
        weigher = self.weigher
        if isinstance(weigher, Rise):
            rise = weigher.against(pair, weigher.dispersion)
            return risen.measure(pair, rise.scores, weigher.phi(pair.live_total)[0], BOUND_LEVEL)
        phi = weigher.dispersion.average_at(pair.live_total)
        expected = noise(pair, phi=phi)
        lower = bounds(pair, expected, pair.live_total / phi, phi, BOUND_LEVEL)[0]
        return debiased(pair, expected), lower, np.full(len(lower), np.nan)

    def _over(self, segments: Segments, found: Evidence, firing: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if isinstance(self.weigher, Rise):
            rises = [one for one in self._against.each if isinstance(one, Rise)]
            return risen.over(rises, segments, found, self.effect, firing)
        schema, dispersion = self.weigher.schema, self.weigher.dispersion
        return clearing.over(schema, segments, found, dispersion, self.effect, self._pseudocount, firing)


def calibrations_of(
    rules: Sequence[Rule],
    stream: str,
    windows: tuple[Window, ...],
    reference: Pair,
    dispersion: Dispersion,
    family: int | None,
) -> dict[int, Calibration]:
    """By rule, those that have something to weigh: a feature they watch, and panes. `family` None: they are alone."""
    found: dict[int, Calibration] = {}
    if family is None:
        family = len(reference.schema.features) * max(sum(rule.calibrated is not None for rule in rules), 1)
    finest_ms = finest_pane_ms(windows)
    for index, rule in enumerate(rules):
        if rule.calibrated is None or not finest_ms:
            continue
        watched = [
            rule.judges(feature.kind) and any(rule.watches(stream, feature.name, w.name) for w in windows)
            for feature in reference.schema.features
        ]
        if any(watched):
            pane_ms = evidence_pane_ms(finest_ms, rule.calibrated.pane_ms)
            schema, named = reference.schema, np.array(watched)
            found[index] = Calibration(rule.calibrated, schema, reference, dispersion, pane_ms, family, named)
    return found


def evidence_pane_ms(finest_pane_ms: int, wanted_ms: int | None) -> int:
    """The pane of evidence: as wanted, else the smallest multiple of the finest that is at least a minute.

    >>> evidence_pane_ms(25_000, None), evidence_pane_ms(60_000, 300_000)
    (75000, 300000)
    """
    if wanted_ms is None:
        return finest_pane_ms * -(-60_000 // finest_pane_ms)
    if wanted_ms % finest_pane_ms:
        raise ValueError(f"a pane of {wanted_ms} ms is no multiple of {finest_pane_ms} ms, the windows' shortest pane")
    return wanted_ms
