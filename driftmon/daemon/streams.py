"""Stream: a configured stream at work: blocks in, reports out, and what a reload or a restart hands on.

Law: every record of a block is counted, late, or rejected with a reason; a stream that warms up becomes a
monitor in the middle of a block without losing a row.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from driftmon.daemon.carry import carried, carried_clocks, spent_panes
from driftmon.daemon.decoders import Decoders
from driftmon.daemon.gathering import Gathering, Warming
from driftmon.daemon.promises import family
from driftmon.daemon.settings import Config, Limits, StreamSettings
from driftmon.daemon.watching import Waiting, beginning, bins_of, watching
from driftmon.formats.layout import Layout, TimeField
from driftmon.monitor.batch import Batch, Receipt
from driftmon.monitor.clocks import Clocks
from driftmon.monitor.delayed import Delayed, delayed_readings
from driftmon.monitor.flags import Place
from driftmon.monitor.label_pieces import KeptLabels
from driftmon.monitor.live_dispersion import suspicious
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Alert, Rule
from driftmon.monitor.snapshot import Snapshot
from driftmon.monitor.warmup import WarmUp
from driftmon.monitor.watch import Kept
from driftmon.sources.base import Block, Position, Settled, joined
from driftmon.stats.schema import Schema

UNSTABLE: Final = (
    "stream %s: the warm-up found its own reference unstable and begins again: %s; if that is the rhythm of a day, "
    "raise observations so that each half has whole days, or use reference: {type: seasonal}"
)

KEY_BYTES: Final = 16
OTHER_LABELS: Final = "stream %s: its losses are others now; predictions that waited for their labels are dropped"

log: Final = logging.getLogger("driftmon.streams")
SHUFFLED: Final = (
    "stream %s: live values of %s vary %.1f times as much as independent ones, those of the reference %.1f times: "
    "its rows were shuffled or too few to show it, so evidence may come too easily; build it from rows in order"
)


@dataclass(frozen=True)
class Saved:
    """What outlives a process: counts, alerts, how far the sources were read, and a reference gathered live.

    `spent`: per calibrated rule and feature, up to which pane its evidence was told and cleared.
    """

    snapshot: Snapshot
    alerts: tuple[Alert, ...] = ()
    positions: Mapping[str, Position] = field(default_factory=dict)
    reference: Snapshot | None = None
    spent: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    clocks: Clocks | None = None
    watched: Mapping[Place, Kept] = field(default_factory=dict)


class Stream:
    """Owned by the pump. `reference` None: the first records of the stream become it, or `other`, the stream it names.

    `family`: the features of all streams that share one budget of false alarms.
    """

    def __init__(
        self,
        settings: StreamSettings,
        rules: Sequence[Rule],
        limits: Limits,
        reference: Snapshot | None,
        family: int | None = None,
        other: Stream | None = None,
    ) -> None:
        self.settings = settings
        self._family = family
        self.positions: dict[str, Position] = {}
        self.gathering = Gathering()
        self._rules = tuple(rules)
        self.delayed = delayed_of(settings)
        self._bounds = limits.bounds
        self._other = other
        self._warned: set[str] = set()  # features whose live rows were said to depend on one another
        self._aligned_to: Schema | None = None
        self._monitor: Monitor | WarmUp | Waiting = beginning(settings) if reference is None else self._watch(reference)
        self._align()

    @cached_property
    def _decoders(self) -> Decoders:
        """Made when the first block comes: a struct of 1,000 fields is a part of a start that nobody waits for."""
        return Decoders(live_layout_of(self.settings), self._bounds)

    def read(self, block: Block) -> Iterator[Batch | None]:
        """Decode one block, and change nothing; None where somebody else may have a turn."""
        return self._decoders.batches(block)

    @property
    def joins(self) -> bool:
        """Whether blocks may be read and counted as one: every good record is counted, whatever came before it."""
        return self.monitor is not None and self.settings.time is None and self.delayed is None and self._other is None

    def read_clean(self, lines: bytes) -> Batch | None:
        """Decode the lines of several blocks, and change nothing; None unless each is a good record."""
        return self._decoders.clean(lines)

    def observe(self, block: Block, now_ms: int, read: Iterable[Batch | None] | None = None) -> Settled:
        """Count one block; `read` is what this stream has read of it."""
        parts = []
        for batch in self.read(block) if read is None else read:
            if batch is not None:
                receipt = self.count(batch if block.weight == 1 else replace(batch, weight=block.weight), now_ms)
                parts.append(Settled(receipt.counted, receipt.rejected, receipt.late, batch.errors))
        if block.position is not None:
            self.positions[block.origin] = block.position
        return parts[0] if len(parts) == 1 else joined(parts)

    def count(self, batch: Batch, now_ms: int | None) -> Receipt:
        """Count decoded rows; `now_ms` None where the records' own clock is the only one (replay)."""
        if self.delayed is None:
            return self._count(batch, now_ms)
        joined, labels = self.delayed.take(batch, now_ms)
        receipt = self._count(joined, now_ms)
        self.delayed.late(receipt.late_pairs)
        return replace(receipt, counted=receipt.counted + labels)

    def _count(self, batch: Batch, now_ms: int | None) -> Receipt:
        self._align()
        before = self._monitor.restarts if isinstance(self._monitor, WarmUp) else 0
        receipt = self._monitor.observe_batch(batch, now_ms)
        warm_up = self._monitor
        if isinstance(warm_up, WarmUp):
            if warm_up.restarts > before:
                log.warning(UNSTABLE, self.settings.name, warm_up.fault)
            self.gathering.note(warm_up, batch, now_ms, warm_up.restarts > before)
        if isinstance(warm_up, Monitor) or warm_up.reference is None:
            return receipt
        self._monitor = self._watch(warm_up.reference)
        self.gathering.forget()
        return receipt if warm_up.rest is None else _sum(receipt, self._monitor.observe_batch(warm_up.rest, now_ms))

    def tick(self, now_ms: int) -> Report:
        """Evaluate what is due."""
        self._align()
        report = self._with_labels(self._monitor.tick(now_ms), now_ms)
        for feature in suspicious(report.live_overdispersion, report.overdispersion):
            if (name := report.schema.names[feature]) not in self._warned:
                self._warned.add(name)
                live, reference = report.live_overdispersion[feature], report.overdispersion[feature]
                log.warning(SHUFFLED, self.settings.name, name, live, reference)
        return report

    @property
    def samples(self) -> bool:
        """Whether its records may be thinned: if configured, and never those that become its reference."""
        return self.settings.overload == "sample" and self.monitor is not None

    @property
    def monitor(self) -> Monitor | None:
        """What counts and compares; None while there is no reference."""
        return self._monitor if isinstance(self._monitor, Monitor) else None

    @property
    def newest_ms(self) -> int:
        """Where the newest pane begins that was counted by arrival; 0 where records have their own times."""
        return 0 if self.monitor is None or self.settings.time is not None else self.monitor.newest_ms

    def _align(self) -> None:
        """Take the bins of the stream that is this one's reference, when it has them and whenever they change."""
        other = None if self._other is None else self._other.monitor
        if other is None:
            return
        if other.schema is self._aligned_to:
            return
        saved, self._aligned_to = self.saved(), other.schema
        self._monitor = self._watch(bins_of(other, self.settings))
        if saved is not None:
            self.restore(saved)

    def finish(self, now_ms: int) -> Report:
        """The end of recorded input: the last panes are evaluated too."""
        last = self._monitor.finish if isinstance(self._monitor, Monitor) else self._monitor.tick
        return self._with_labels(last(now_ms), now_ms)

    def _with_labels(self, report: Report, now_ms: int) -> Report:
        if self.delayed is None:
            return report
        if self.settings.time is None:
            self.delayed.join.expire(now_ms)
        return replace(report, labels=self.delayed.join.now())

    @property
    def reference(self) -> Snapshot | None:
        """P; None while it is being gathered."""
        return self._monitor.reference

    @property
    def warm_up(self) -> WarmUp | None:
        """While the reference is gathered from the stream."""
        return self._monitor if isinstance(self._monitor, WarmUp) else None

    @property
    def kept(self) -> bool:
        """Whether the store can keep what is counted now; not the rows of one that waits for another's bins."""
        return self.monitor is not None or self.warm_up is not None

    def saved(self) -> Saved | None:
        """What the next process needs; None while the reference is being gathered."""
        if (monitor := self.monitor) is None:
            return None
        gathered = monitor.reference if self.settings.reference.observations is not None else None
        spent = {
            rule: dict(zip(monitor.schema.names, panes, strict=True)) for rule, panes in monitor.spent_panes.items()
        }
        watched = {place: watch.kept() for place, watch in monitor.flags.watches.items()}
        positions = dict(self.positions)
        return Saved(monitor.snapshot(), monitor.held_alerts, positions, gathered, spent, monitor.clocks, watched)

    def restore(self, saved: Saved | Warming) -> None:
        """Go on where an earlier process or configuration stopped; features that changed start at zero."""
        self.positions |= saved.positions
        self._align()
        if isinstance(saved, Warming):
            self._gather_on(saved)
            return
        if isinstance(self._monitor, WarmUp) and saved.reference is not None and _fits(saved.reference, self.settings):
            self._monitor = self._watch(saved.reference)
        if (monitor := self.monitor) is None:
            return
        empty = monitor.snapshot()
        monitor.merge(carried(saved.snapshot, empty))
        monitor.restore_alerts(saved.alerts, spent_panes(saved.spent, saved.snapshot, empty, monitor.spent_panes))
        monitor.flags.restore(saved.watched)
        if saved.clocks is not None:
            monitor.restore_clocks(carried_clocks(saved.clocks, saved.snapshot.schema, empty.schema))

    def _gather_on(self, saved: Warming) -> None:
        """The same rows through the same hands; the store has them, so they are not noted again."""
        for rows in saved.rows:
            if (warm_up := self.warm_up) is None:
                return
            if not warm_up.seen:
                warm_up.restarts, warm_up.fault = rows.told
            self.count(rows.batch, rows.now_ms)
        if self.warm_up is not None:
            self.gathering.forget()

    def restore_labels(self, kept: KeptLabels | None) -> None:
        """Let wait on what waited when an earlier process stopped."""
        if kept is not None and self.delayed is not None and not self.delayed.restore(kept):
            log.warning(OTHER_LABELS, self.settings.name)

    def succeed(self, old: Stream) -> None:
        """Take over from the stream of the configuration before; called between two blocks."""
        self.positions |= old.positions
        if self.delayed is not None and old.delayed is not None:
            self.delayed.succeed(old.delayed)
        warming = old.monitor is None
        same_rules = (old._rules, old._family) == (self._rules, self._family)
        if _same_counts(old, self) and (warming or same_rules) and self._other is None:
            self._monitor, self.gathering = old._monitor, old.gathering
        elif (saved := old.saved()) is not None:
            self.restore(saved)
        else:
            self.gathering.anew = True  # what the store has was gathered otherwise

    def _watch(self, reference: Snapshot) -> Monitor:
        return watching(
            self.settings,
            self._rules,
            self._family,
            reference,
            lambda: None if self._other is None else self._other.monitor,
        )


def build_streams(config: Config, references: Mapping[str, Snapshot]) -> dict[str, Stream]:
    """Every stream of a configuration; one without a reference here gathers it.

    Those whose reference is another stream come after it: the pump ticks them in this order.
    """
    shared = family(config.rules, config.streams.values())
    streams: dict[str, Stream] = {}
    for name, settings in sorted(config.streams.items(), key=lambda item: item[1].reference.type == "stream"):
        other = streams.get(settings.reference.stream)
        streams[name] = Stream(settings, config.rules, config.limits, references.get(name), shared, other)
    return streams


def layout_of(settings: StreamSettings) -> Layout:
    """What is read of each record of a stream."""
    time = settings.time
    return Layout(settings.features, None if time is None else TimeField(time.field, time.unit))


def live_layout_of(settings: StreamSettings) -> Layout:
    """What is read of a live one, or one replayed: where labels come later, what they are joined by and with."""
    whole, waits = layout_of(settings), settings.labels
    return whole if waits is None else replace(whole, features=delayed_readings(settings.features, waits))


def delayed_of(settings: StreamSettings) -> Delayed | None:
    """What joins its labels, where they come later; nobody can know which ids would get in each other's way."""
    waits = settings.labels
    return None if waits is None else Delayed(settings.features, waits, secrets.token_bytes(KEY_BYTES))


def _same_counts(old: Stream, new: Stream) -> bool:
    """Whether the monitor of one would count and compare exactly as that of the other."""
    one, other = (replace(stream.settings, sources=(), overload="block") for stream in (old, new))
    if one != other:
        return False
    if new.reference is None or old.reference is None:
        return new.reference is None
    return new.reference.identity == old.reference.identity


def _fits(reference: Snapshot, settings: StreamSettings) -> bool:
    """Whether a stored reference was gathered for these very features."""
    features = reference.schema.features
    found = [(one.name, one.kind, one.field, one.absent, one.outcome) for one in features]
    if reference.slots_by != settings.reference.slots:
        return False
    return found == [(spec.name, spec.kind, spec.field, spec.absent, spec.outcome) for spec in settings.features]


def _sum(one: Receipt, other: Receipt) -> Receipt:
    rejected = Counter(one.rejected) + Counter(other.rejected)
    return Receipt(one.counted + other.counted, one.late + other.late, dict(rejected))
