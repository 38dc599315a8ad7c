"""Monitor: batches in, reports out. The only mutable object below the daemon; it has one owner.

Law: what it reports is a function of the counts in closed panes and of the times it was given.
Cutting the same records into other batches changes nothing: lateness is decided record by record,
and a pane is evaluated once, when the watermark has passed its end and nothing can enter it any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from driftmon.monitor.arrival import Arrival, arrive
from driftmon.monitor.assessment import Assessment
from driftmon.monitor.batch import Batch, Receipt
from driftmon.monitor.calibration import calibrations_of
from driftmon.monitor.clocks import Clocks
from driftmon.monitor.counting import count
from driftmon.monitor.current import Current
from driftmon.monitor.events import Events, plain, whole_ms
from driftmon.monitor.flags import Flags
from driftmon.monitor.foresight import Foresight
from driftmon.monitor.ledger import Ledger
from driftmon.monitor.live_dispersion import LiveDispersion
from driftmon.monitor.panes import Window, worth
from driftmon.monitor.quantities import QUANTITIES, evaluate, index_of
from driftmon.monitor.references import Fixed, Reference
from driftmon.monitor.report import Lifetime, Report
from driftmon.monitor.rules import Alert, Rule, deadline_ms
from driftmon.monitor.scoring import typed_columns
from driftmon.monitor.snapshot import Snapshot, SnapshotError
from driftmon.monitor.status import Stopwatch, statuses
from driftmon.monitor.surprisal import Surprisal
from driftmon.monitor.tallies import state_of
from driftmon.monitor.watch import Make
from driftmon.stats.columns import Floats, named_columns
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.divergences import Pair
from driftmon.stats.running import Running

DEFAULT_WINDOWS: Final = (Window.sliding("fast", 3_600_000),)


class Monitor:
    """One stream's live counts against one reference: a snapshot, or what yields P anew at each look (references.py).

    `event_time`: windows and rules go by the records' own times, and a report is made at each pane
    the watermark (largest time less `lateness_ms`) closes. Otherwise they go by the `now_ms` given.

    >>> from driftmon import reference_of
    >>> monitor = Monitor(reference_of({"x": [1, 2, 3, 4] * 50}), windows=(Window.everything(),))
    >>> monitor.observe_columns({"x": [1, 2, 3, 4] * 50})
    Receipt(counted=200, late=0, rejected={})
    >>> monitor.tick(0).value(0, 0, "kl_divergence", direction="q_p")
    0.0
    """

    def __init__(
        self,
        reference: Snapshot | Reference,
        windows: Sequence[Window] = DEFAULT_WINDOWS,
        rules: Sequence[Rule] = (),
        *,
        stream: str = "data",
        pseudocount: float = 0.5,
        event_time: bool = False,
        lateness_ms: int = 0,
        stale_after_ms: int = 900_000,
        family: int | None = None,
        make_detector: Make | None = None,
    ) -> None:
        self._yields: Reference = Fixed(reference) if isinstance(reference, Snapshot) else reference
        self.reference = self._yields.snapshot
        self.schema = self.reference.schema
        self.windows, self.rules = tuple(windows), tuple(rules)
        self.stream, self.event_time = stream, event_time
        self._pseudocount = pseudocount
        self._lateness_ms = lateness_ms
        self._stale_after_ms = stale_after_ms
        self._yields.check(self.windows)
        nothing = Pair(self.schema, self.reference.counts.astype(float), np.zeros(self.schema.width), pseudocount)
        calibrations = calibrations_of(self.rules, stream, self.windows, nothing, self.dispersion, family)
        panes_ms = {calibration.pane_ms for calibration in calibrations.values()}
        if len(panes_ms) > 1:
            raise ValueError(f"stream {stream}: calibrated rules must share one pane, these have {sorted(panes_ms)} ms")
        self._ledger = Ledger(self.schema, self.windows, min(panes_ms, default=None), self._yields.history)
        self._pane_ms = self._ledger.pane_ms
        self._now_ms = 0
        self._start_ms: int | None = None
        fixed = self.reference.identity if isinstance(self._yields, Fixed) else None
        self.flags = Flags(stream, self.schema, self.windows, self.rules, event_time, fixed, make_detector)
        self._assessment = Assessment(stream, self.schema, self.windows, self.rules, calibrations, self.flags)
        self._foresight = Foresight(self.schema, self.windows, self.rules, self._assessment, self.dispersion)
        self._live_dispersion = LiveDispersion(self.schema)
        self._stopwatch = Stopwatch(len(self.schema.features), self._pane_ms)
        self._pairs: tuple[Pair, ...] = ()
        self._shape = (len(self.windows), len(QUANTITIES), len(self.schema.features))
        self._values = np.zeros(self._shape)
        self._evaluated_ms: int | None = None
        self._events, self._current = Events(self.schema), Current(self.schema, pseudocount, event_time)
        self._waiting = self._events.waiting
        self._surprisal = Surprisal(self.schema)
        self._measure(0)

    def observe_batch(self, batch: Batch, now_ms: int | None) -> Receipt:
        """Count a batch that arrived at `now_ms`; None where the data's own clock is the only one (replay).

        Late rows, whose pane has closed, and rows more than 60 s in the future are not counted.
        """
        self._take()
        self._current.changed()
        return self._count(batch, now_ms)

    def _count(self, batch: Batch, now_ms: int | None) -> Receipt:
        arrival = Arrival(batch.rows, self._ledger.watermark_ms)
        times_ms = batch.own_times_ms(self.stream) if self.event_time and batch.rows else None
        if times_ms is not None:
            arrival = arrive(times_ms, now_ms, self._ledger.watermark_ms, self._lateness_ms, self._pane_ms)
        at_ms = (arrival.watermark_ms or 0) if now_ms is None else now_ms
        count(batch, arrival, at_ms, times_ms, self._ledger, self.flags, self._pairs[0].log_p)
        self._now_ms = at_ms
        return arrival.receipt(batch)

    def observe_columns(self, columns: Any, time_ms: int | Sequence[int] | None = None) -> Receipt:
        """Count arrays, Arrow or DataFrame columns, one entry a row; columns the schema does not know are ignored."""
        named = named_columns(columns)
        rows, typed = len(next(iter(named.values()), ())), typed_columns(self.schema.features, named)
        times = None if time_ms is None else np.broadcast_to(np.asarray(time_ms, dtype=np.int64), (rows,))
        if self.event_time or times is None or not rows:
            return self.observe_batch(Batch(rows, typed, times), None if self.event_time else self._now_ms)
        return self.observe_batch(Batch(rows, typed), int(times.max()))

    def observe(self, event: Mapping[str, object], time_ms: int | None = None) -> None:
        """Count one event, soon: it waits with up to 1,023 others, so leave it unchanged from now on.

        Whatever looks at the counts takes it in first, `tick` and `running` above all; `flush` says what became of it.
        An event of ten fields costs 2 us, and 12 us where `running` is asked after each one. Where rows go by the
        time they arrive, only events of one `time_ms` wait together.
        """
        if type(event) is not dict:
            event = plain(event)
        if time_ms is None and not self.event_time:
            self._waiting.append(event)
        else:
            self._wait(event, time_ms)
        if len(self._waiting) >= self._events.room:
            self._take()

    def _wait(self, event: Mapping[str, object], time_ms: int | None) -> None:
        """An event that has a time, or should have one."""
        if time_ms is None:
            raise ValueError(f"stream {self.stream} goes by event time, this event has none: give it time_ms")
        time_ms = whole_ms(time_ms)
        try:
            if self.event_time:
                self._events.times_ms.append(time_ms)
            elif time_ms != self._now_ms:
                self._take()
        finally:  # whatever is wrong with those before it
            self._now_ms = self._now_ms if self.event_time else time_ms
            self._waiting.append(event)

    def flush(self) -> Receipt:
        """Count the events that wait; what became of all since the last time."""
        self._take()
        return self._events.settled()

    def _take(self) -> None:
        if self._waiting:
            now_ms = None if self.event_time else self._now_ms
            self._current.take(self._events, self._ledger, lambda batch: self._count(batch, now_ms))

    def tick(self, now_ms: int) -> Report:
        """Evaluate what is due and report. `now_ms` is the driver's clock; on event time it rules staleness only."""
        self._take()
        self._now_ms = now_ms
        self._ledger.last_ms = np.minimum(self._ledger.last_ms, now_ms)  # noted by a clock that was ahead
        self._start_ms = now_ms if self._start_ms is None else self._start_ms
        if self.event_time:
            while self._next_end_ms() is not None:
                self._pass_by()
                if (end_ms := self._next_end_ms()) is not None:
                    self._ledger.fold(end_ms)
                    self._look(end_ms)
        else:
            self._ledger.fold(None)
            self.flags.come_due(now_ms)
            self._look(now_ms)
        return self._report()

    def finish(self, now_ms: int) -> Report:
        """The end of the input: close what is open, so that the last panes are evaluated too."""
        self._take()
        if self.event_time and self._ledger.open_panes:
            self._ledger.watermark_ms = (max(self._ledger.open_panes) + 1) * self._pane_ms
        return self.tick(now_ms)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Pending and firing alerts."""
        return self._assessment.alerts

    @property
    def held_alerts(self) -> tuple[Alert, ...]:
        """The same and those that stand behind an alert per stream: what a restart must be given back."""
        return self._assessment.held

    @property
    def spent_panes(self) -> Mapping[str, Sequence[int]]:
        """Per calibrated rule, up to which pane each feature's evidence has been told and cleared."""
        rules = self._assessment.calibrations.items()
        return {self.rules[index].name: calibration.spent_pane.tolist() for index, calibration in rules}

    def restore_alerts(self, alerts: Sequence[Alert], spent_panes: Mapping[str, Sequence[int]] | None = None) -> None:
        """Go on with the held alerts of an earlier run, those whose rule, feature and window still exist."""
        self._assessment.restore(alerts)
        for index, calibration in self._assessment.calibrations.items():
            spent = (spent_panes or {}).get(self.rules[index].name, ())
            if len(spent) == len(calibration.spent_pane):
                calibration.spent_pane = np.array(spent, dtype=np.int64)

    @property
    def clocks(self) -> Clocks:
        """Last observations, seconds judged and in drift, surprisal: what a restart must be given back."""
        self._take()
        ledger, watch = self._ledger, self._stopwatch
        nats = np.zeros(len(self.schema.features)) if isinstance(self._yields, Fixed) else self._surprisal_nats()
        return Clocks(
            ledger.last_ms.copy(),
            watch.evaluated_ms,
            watch.drift_ms,
            nats,
            ledger.lifetime,
            self._start_ms,
            watch.at_ms,
        )

    def restore_clocks(self, clocks: Clocks) -> None:
        """Go on with those of an earlier run; call it after `merge`, with `counted` in these bins."""
        self._ledger.last_ms = clocks.last_ms.copy()
        self._stopwatch.restore(clocks.evaluated_ms, clocks.drift_ms, clocks.looked_ms)
        self._surprisal.restore(clocks.surprisal_nats, clocks.counted)
        self._start_ms = clocks.start_ms

    @property
    def newest_ms(self) -> int:
        """Where the newest pane begins that has records; 0 before there are any."""
        self._take()
        return self._ledger.newest_ms

    def snapshot(self) -> Snapshot:
        """All counts, for a file, a merge or a restart."""
        self._take()
        return self._ledger.snapshot()

    def count_snapshot(self, snapshot: Snapshot) -> None:
        """Count all observations of a snapshot as if they came now; SnapshotError where its schema differs."""
        if difference := self.schema.difference(snapshot.schema):
            raise SnapshotError(
                f"the snapshot was counted with another schema: {difference}; count it with this reference's"
            )
        self._take()
        self._current.changed()
        excess = None if snapshot.excess is None else state_of(self.schema, snapshot.excess.counts, {})
        counts = state_of(self.schema, snapshot.counts, snapshot.sums)
        self._ledger.add(self._now_ms // self._pane_ms if self._pane_ms else 0, counts, excess)

    def merge(self, snapshot: Snapshot) -> None:
        """Add another monitor's counts, or restore by adding to none; SnapshotError where schema or windows differ."""
        self._take()
        self._ledger.merge(snapshot)
        if (watermark_ms := self._ledger.watermark_ms) is not None and self._pane_ms:
            self._measure(watermark_ms // self._pane_ms * self._pane_ms - 1)
        self._current.changed()

    def _next_end_ms(self) -> int | None:
        """The end of the next pane to evaluate: one with records, or one in which a waiting alert comes due."""
        if (watermark_ms := self._ledger.watermark_ms) is None or not self._pane_ms:
            return None
        after = -1 if self._evaluated_ms is None else self._evaluated_ms
        waits = (*(due for due in map(deadline_ms, self.held_alerts) if due is not None), *self.flags.ends_ms())
        dues = (-(-due // self._pane_ms) * self._pane_ms for due in waits)
        return min([*self._ledger.ends_ms(after), *(due for due in dues if after < due <= watermark_ms)], default=None)

    def _pass_by(self) -> None:
        """The looks that are due and change nothing but clocks; never the last."""
        able = self._foresight.able and isinstance(self._yields, Fixed)
        if not able or self._evaluated_ms is None or self._compares(self._evaluated_ms + 1):
            return
        quiet = self._foresight.quiet(self._ledger, self._pairs, self._evaluated_ms)
        if quiet.ends_ms:
            self._ledger.fold(quiet.ends_ms[-1])
            self._stopwatch.pass_by(quiet.ends_ms, quiet.judged)
            self._evaluated_ms = quiet.ends_ms[-1]

    def _look(self, at_ms: int) -> None:
        """Evaluate every window as of `at_ms`; on event time that is the end of the pane just closed."""
        self._measure(at_ms - 1 if self.event_time else at_ms)
        self._move(at_ms)
        seen = self._seen
        self._assessment.look(at_ms, self._values, self._pairs, seen, self._ledger.evidence, self._ledger.first_ms or 0)
        self._compare_dispersion(at_ms)
        judged = ~self._assessment.insufficient(seen, self._values[:, index_of("kl_noise_floor")])
        self._stopwatch.advance(at_ms, judged, self._assessment.firing())
        self._evaluated_ms = at_ms
        self._current.changed()

    def _compare_dispersion(self, at_ms: int) -> None:
        """While somebody waits with notifications: how much do live panes vary, beside the reference's?"""
        if (evidence := self._ledger.evidence) is not None and self._compares(at_ms):
            self._live_dispersion.look(evidence, at_ms // evidence.window.pane_ms - 1)

    def _compares(self, at_ms: int) -> bool:
        first_ms = self._ledger.first_ms
        quiet_ms = max((rule.notify_after_ms for rule in self.rules), default=0)
        return first_ms is not None and first_ms <= at_ms <= first_ms + quiet_ms

    def _move(self, at_ms: int) -> None:
        """Evidence goes by the reference of the pane's close; a fixed one is the same ever after."""
        if self._ledger.evidence is None or isinstance(self._yields, Fixed):
            return
        for calibration in self._assessment.calibrations.values():
            if (closed_pane := calibration.next_pane(at_ms)) is not None:
                calibration.compare_with(self._yields, self._ledger.evidence, closed_pane)

    def _measure(self, inside_ms: int) -> None:
        values, pairs, seen = [], [], []
        views = self._ledger.views(inside_ms)
        self._yields.look(self._ledger, inside_ms)
        known = self._pairs or [None] * len(views)
        for view, ring, last in zip(views, self._ledger.rings, known, strict=True):
            counts = self._yields.of_window(ring, inside_ms)
            if last is not None and last.reference is counts:
                pair = last.beside(view.counts)
            else:
                pair = Pair(self.schema, counts, view.counts, self._pseudocount)
            weights = self.schema.totals(view.squared)
            kish = np.divide(pair.live_total**2, weights, out=np.zeros(len(weights)), where=weights > 0)
            values.append(evaluate(pair, kish, self.dispersion, view.tallies))
            pairs.append(pair)
            seen.append(np.minimum(pair.live_total, kish))
        self._values, self._pairs = np.array(values).reshape(self._shape), tuple(pairs)
        self._seen = np.array(seen).reshape(len(self.windows), len(self.schema.features))

    @property
    def running(self) -> Running:
        """KL, cross-entropy, entropy and PSI over the panes of the first window, all observations included."""
        return self._current.running(self._events, self._ledger, self._pairs[0].reference, self._take)

    @property
    def dispersion(self) -> Dispersion:
        """How much more than independent draws the reference's counts vary."""
        return self._yields.dispersion

    def live_counts(self, window: str, inside_ms: int) -> Floats:
        """float64[width]: a window as of `inside_ms`, in the observations that its weights stand for (Kish).

        For another stream that this one is the reference of; nothing here moves on.
        """
        self._take()
        ring = next(ring for ring in self._ledger.rings if ring.window.name == window)
        return worth(self.schema, ring.as_of(ring.window.pane_of(inside_ms)))

    def _surprisal_nats(self) -> Floats:
        """float64[F]: the sum of -ln p(x); each x under the reference of its time, where that moves."""
        if isinstance(self._yields, Fixed):
            return self.schema.totals(self._ledger.lifetime * -self._pairs[0].log_p)
        return self._surprisal.up_to(self._ledger.lifetime, self._pairs[0].log_p)

    def _report(self) -> Report:
        ledger = self._ledger
        surprisal = self._surprisal_nats()
        started_ms = 0 if self._start_ms is None else self._start_ms
        quiet = self._now_ms - np.maximum(ledger.last_ms, started_ms) > self._stale_after_ms
        lifetime = Lifetime(ledger.lifetime.copy(), surprisal, dict(ledger.invalid), ledger.last_ms.copy())
        return Report(
            self.stream,
            self._evaluated_ms if self.event_time and self._evaluated_ms else self._now_ms,
            self.schema,
            self.windows,
            self._values,
            self._pairs,
            statuses(self._assessment, self._values, self._seen, quiet, self._yields.gathering, self.schema.names),
            alerts=self.alerts,
            changes=self._assessment.take_changes(),
            rules=self.rules,
            lifetime=lifetime,
            reference=self.reference.identity,
            reference_source=", ".join(self.reference.provenance.get("sources", ())),
            reference_built_ms=self.reference.provenance.get("to_ms"),
            drift_seconds=self._stopwatch.drift_ms / 1000,
            evaluated_seconds=self._stopwatch.evaluated_ms / 1000,
            evidence_log10=self._assessment.evidence_log10(),
            overdispersion=self.dispersion.ratio,
            live_overdispersion=self._live_dispersion.ratio,
            reference_needed=self._assessment.reference_needed(self.dispersion),
        )
