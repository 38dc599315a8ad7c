"""Foresight: which of the looks that are due change nothing but clocks, many of them in one computation.

Law: with it or without, the same alerts, changes, clocks and reports, bit for bit. A look is quiet if no alert is held,
no threshold is passed (the very values, by the very code, of several looks side by side) and a bound says that the
evidence is too little for any alarm. A replay of a year has half a million looks, and nearly all are quiet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from driftmon.monitor.assessment import Assessment
from driftmon.monitor.calibration import Calibration
from driftmon.monitor.judgement import rule_values, verdicts_of
from driftmon.monitor.ledger import Ledger
from driftmon.monitor.panes import Ring, Window
from driftmon.monitor.quantities import index_of, of_counts
from driftmon.monitor.rules import Rule, Verdict
from driftmon.monitor.tallies import NAMES as SCORES
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.divergences import Pair
from driftmon.stats.evidence import Tolerance, lags
from driftmon.stats.evidence_bound import ENOUGH, EvidenceBound
from driftmon.stats.schema import Schema

FEWEST: Final = 2  # looks worth foreseeing
MOST: Final = 128
MOST_BINS: Final = 65_536  # of all windows' looks side by side: what they hold stays at some megabytes
MOST_FEATURES: Final = 256  # with more, looks side by side are no faster than one after the other
LOOKS_AT_ONCE: Final = 16  # of evidence: what they need stays in the cache
MARGIN_NATS: Final = 0.01
TOGETHER: Final = ("ks_distance", "wasserstein_distance", *SCORES)  # not computed feature by feature from counts alone


class Quiet(Struct, frozen=True, eq=False):
    """`ends_ms`: the looks to pass by, none if empty; bool[looks, features] of them, which were judged; and whether
    there may be `more` after them."""

    ends_ms: Sequence[int]
    judged: NDArray[np.bool_]
    more: bool = False


class Foresight:
    """Of one monitor, whose reference stands still."""

    def __init__(
        self,
        schema: Schema,
        windows: Sequence[Window],
        rules: Sequence[Rule],
        assessment: Assessment,
        dispersion: Dispersion,
    ) -> None:
        self._schema, self._windows, self._assessment, self._dispersion = schema, windows, assessment, dispersion
        self._fixed = {at: rule for at, rule in enumerate(rules) if rule.calibrated is None}
        self._wanted = {index_of(rule.metric, rule.metric_labels) for rule in self._fixed.values() if not rule.detector}
        self._wanted.add(index_of("kl_noise_floor"))
        self._bounds: dict[int, EvidenceBound] = {}
        self._stacks: dict[tuple[int, int], Pair] = {}
        side_by_side = MOST_BINS // max(schema.width * len(windows), 1)
        self._most = min(max(1 << side_by_side.bit_length() >> 1, FEWEST), MOST)  # a power of two
        self._reach, self._rest, self._pause = FEWEST, 0, 1
        self._idle = False
        weighers = [calibration.weigher for calibration in assessment.calibrations.values()]
        by_itself = all(rule.detector is None and rule.metric not in TOGETHER for rule in self._fixed.values())
        self.able = (
            by_itself and len(schema.features) <= MOST_FEATURES and all(isinstance(one, Tolerance) for one in weighers)
        )

    def quiet(self, ledger: Ledger, pairs: Sequence[Pair], after_ms: int) -> Quiet:
        """The first looks that are due and quiet; never the last that is due, whose numbers are reported."""
        nothing = Quiet((), np.zeros((0, len(self._schema.features)), dtype=np.bool_))
        if self._rest or self._assessment.held:
            self._rest = max(self._rest - 1, 0)
            return nothing
        due = _due(ledger, after_ms, self._reach + 1)[:-1]
        if len(due) < FEWEST:
            if self._idle:  # twice in a row: no replay, nor will one look soon follow another
                self._stacks.clear()
            self._idle = True
            return nothing
        self._idle = False
        if ledger.open_excess or any(ring.excess for ring in (*ledger.rings, ledger.evidence) if ring is not None):
            return nothing
        ends_ms = [end_ms for end_ms, _ in due]
        loud, judged = self._by_threshold(ledger, pairs, due)
        if not loud[:FEWEST].any():
            for index, calibration in self._assessment.calibrations.items():
                loud |= self._by_evidence(index, calibration, ledger, due)
        count = int(loud.argmax()) if loud.any() else len(due)
        if count < len(due):  # many in a row that are not quiet would be foreseen in vain
            self._rest, self._pause, self._reach = self._pause, min(self._pause * 2, MOST), FEWEST
        else:
            self._pause, self._reach = 1, min(self._reach * 2, self._most)
        return Quiet(ends_ms[:count], judged[:count], count == len(due)) if count else nothing

    def _by_threshold(
        self, ledger: Ledger, pairs: Sequence[Pair], due: Sequence[tuple[int, Sequence[int]]]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """bool[looks]: some threshold is passed; bool[looks, features]: judged."""
        loud, seen, floors = np.zeros(len(due), dtype=np.bool_), [], []
        looks = 1 << (len(due) - 1).bit_length()  # a power of two, some of them nobody's: few sizes are prepared
        shape = (looks, len(self._schema.features))
        nobody = np.zeros((looks - len(due), self._schema.width))
        for at, (live, squared) in enumerate(self._live(ledger, due)):
            pair = self._stack(at, looks, pairs[at]).beside(np.concatenate((live, nobody)).ravel())
            total, weights = pair.live_total, pair.schema.totals(np.concatenate((squared, nobody)).ravel())
            kish = np.divide(total**2, weights, out=np.zeros(len(weights)), where=weights > 0)
            phi = self._dispersion.average_at(kish.reshape(shape)).ravel()
            values = of_counts(pair, kish, phi, self._wanted)
            for index, rule in self._fixed.items():
                verdicts = verdicts_of(rule, rule_values(rule, values, pair), np.minimum(total, kish)).reshape(shape)[
                    : len(due)
                ]
                loud |= ((verdicts == Verdict.BREACH) & self._assessment.watched(index, at)).any(axis=1)
            seen.append(np.minimum(total, kish).reshape(shape)[: len(due)])
            floors.append(values[index_of("kl_noise_floor")].reshape(shape)[: len(due)])
            self._stacks[at, looks] = pair.beside(pair.reference)  # keeps what was derived of the reference, no more
        return loud, ~self._assessment.insufficient(np.stack(seen, axis=1), np.stack(floors, axis=1))

    def _live(self, ledger: Ledger, due: Sequence[tuple[int, Sequence[int]]]) -> list[tuple[Floats, Floats]]:
        """Of each window float64[looks, width] twice, `counts` and `squared` of the View it will have."""
        found = []
        for ring in ledger.rings:
            if ring.window.half_life_ms is None and ring.window.pane_ms == ledger.pane_ms:
                until = np.array([ring.window.pane_of(end_ms - 1) for end_ms, _ in due])
                numbers, running = self._running(ring, ledger, due)
                counts = _between(numbers, running, until - ring.length, until)
                found.append((counts, counts))
                continue
            ahead, views = ring.twin(), []  # of a coarser pane a look sees what has closed of it, no more
            for end_ms, folded in due:
                for pane in folded:
                    ahead.add(ring.window.pane_of(pane * ledger.pane_ms), ledger.open_panes[pane])
                views.append(ahead.view(ring.window.pane_of(end_ms - 1)))
            found.append((np.array([view.counts for view in views]), np.array([view.squared for view in views])))
        return found

    def _running(
        self, ring: Ring, ledger: Ledger, due: Sequence[tuple[int, Sequence[int]]]
    ) -> tuple[NDArray[np.int64], Floats]:
        """The panes that the ring has or gets, rising, and float64[panes + 1, width]: all counts before each."""
        width = self._schema.width
        held = {pane: counts[:width] for pane, counts in ring.panes.items()}
        for opened in (pane for _, folded in due for pane in folded):
            pane, counts = ring.window.pane_of(opened * ledger.pane_ms), ledger.open_panes[opened][:width]
            held[pane] = held[pane] + counts if pane in held else counts
        numbers = sorted(held)
        running = np.zeros((len(numbers) + 1, width))
        np.cumsum([held[pane] for pane in numbers], axis=0, out=running[1:])
        return np.array(numbers), running

    def _stack(self, window: int, looks: int, pair: Pair) -> Pair:
        if (window, looks) not in self._stacks:
            schema, reference = _tiled(self._schema, looks), np.tile(pair.reference, looks)
            self._stacks[window, looks] = Pair(schema, reference, reference, pair.pseudocount)
        return self._stacks[window, looks]

    def _by_evidence(
        self, index: int, calibration: Calibration, ledger: Ledger, due: Sequence[tuple[int, Sequence[int]]]
    ) -> NDArray[np.bool_]:
        """bool[looks]: the evidence may be enough."""
        assert ledger.evidence is not None
        assert isinstance(calibration.weigher, Tolerance)
        bound = self._bounds.setdefault(index, EvidenceBound(calibration.weigher))
        window, longest = ledger.evidence.window, ledger.evidence.length
        newest = np.array([window.pane_of(folded[-1] * ledger.pane_ms) if folded else 0 for _, folded in due])
        newest = np.maximum.accumulate(np.maximum(newest, max(ledger.evidence.panes, default=0)))
        closed = np.array([end_ms // window.pane_ms - 1 for end_ms, _ in due])
        numbers, counts = self._running(ledger.evidence, ledger, due)
        running = bound.running(counts)
        first = numbers[np.searchsorted(numbers, newest - longest, side="right")]
        since = np.maximum(calibration.spent_pane + 1, first[:, None])
        span, steps = np.maximum(closed[:, None] - since + 1, 1), lags()
        least = min(calibration.least_log_r, ENOUGH) - MARGIN_NATS
        loud = np.zeros(len(due), dtype=np.bool_)
        for low in range(0, len(due), LOOKS_AT_ONCE):
            at = slice(low, low + LOOKS_AT_ONCE)
            until = np.broadcast_to(closed[at, None], (len(closed[at]), len(steps)))
            after, until = (np.searchsorted(numbers, end, side="right") for end in (until - steps, until))
            log_r = bound.log_r(running, after, until, steps[:, None] <= span[at, None])
            loud[at] = (log_r[:, calibration.watched] >= least).any(axis=1)
        return loud


def _between(numbers: NDArray[np.int64], running: Floats, after: NDArray[np.int64], until: NDArray[np.int64]) -> Floats:
    """The counts of the panes after one number and up to another; integers, so a difference of sums is exact."""
    ends, starts = (np.searchsorted(numbers, bound, side="right") for bound in (until, after))
    return np.asarray(running[ends] - running[starts])


def _due(ledger: Ledger, after_ms: int, most: int) -> list[tuple[int, Sequence[int]]]:
    """The next looks, if no alert waits for one, as Ledger.ends_ms has them; and which open panes close at each."""
    panes, evidence, found = sorted(ledger.open_panes), ledger.evidence, list[tuple[int, Sequence[int]]]()
    watermark_ms, at, end_ms = ledger.watermark_ms or 0, 0, after_ms
    weighed_ms = (max(evidence.panes) + 1) * evidence.window.pane_ms if evidence is not None and evidence.panes else 0
    while len(found) < most:
        ends = [weighed_ms] if at == len(panes) else [weighed_ms, (panes[at] + 1) * ledger.pane_ms]
        end_ms = min((end for end in ends if end_ms < end <= watermark_ms), default=0)
        if not end_ms:
            break
        began = at
        while at < len(panes) and (panes[at] + 1) * ledger.pane_ms <= end_ms:
            at += 1
        if at > began and evidence is not None:
            newest = evidence.window.pane_of(panes[at - 1] * ledger.pane_ms)
            weighed_ms = max(weighed_ms, (newest + 1) * evidence.window.pane_ms)
        found.append((end_ms, panes[began:at]))
    return found


@lru_cache(maxsize=8)  # all sizes of one schema; more would outlive a reload
def _tiled(schema: Schema, looks: int) -> Schema:
    """The features of several looks side by side."""
    named = (replace(one, name=f"{look}/{one.name}") for look in range(looks) for one in schema.features)
    return Schema(tuple(named))
