"""Pump: the one thread that owns the monitors: take what waits, count it, tell the senders, tick.

Law: a block is answered after it was counted, and everything that was taken together is counted
before the first answer goes out; that is where the keeper commits. Nothing here awaits, so nothing interleaves.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from itertools import chain
from typing import Final, TypeAlias

from driftmon.daemon.ahead import Ahead, Reader
from driftmon.daemon.clock import Clock, passing_s
from driftmon.daemon.groups import Group, Item, grouped
from driftmon.daemon.keeping import Forgetful, Keeper, Outcome
from driftmon.daemon.mailbox import Mailbox, Question
from driftmon.daemon.overload import PUSHED, Octaves, Thinning, ratios
from driftmon.daemon.streams import Stream
from driftmon.daemon.telemetry import Telemetry
from driftmon.monitor.report import Report
from driftmon.sources.base import Ack, Block, Settled

Deliver: TypeAlias = Callable[[Ack, Settled | Exception], None]
Publish: TypeAlias = Callable[[Mapping[str, Report]], None]

NONE: Final[Mapping[int, Ahead]] = {}

log: Final = logging.getLogger("driftmon.pump")
STEPPED: Final = "the wall clock was set by %+.1f s; records are counted by a clock that is now %+.1f s from it"


class UnknownStream(LookupError):  # noqa: N818
    """The stream was removed by a reload after the block was accepted."""


class Pump:
    """`deliver` brings an answer back to the event loop, `publish` the reports of streams that ticked.

    `told`: all answers of a turn are delivered.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        telemetry: Telemetry,
        deliver: Deliver,
        publish: Publish,
        keeper: Keeper | None = None,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        self._keeper = keeper or Forgetful()
        self._mailbox = mailbox
        self._telemetry = telemetry
        self._deliver, self._told = deliver, told
        self._publish = publish
        self._streams: Mapping[str, Stream] = {}
        self._due_s: dict[str, float] = {}
        self._clock, self._octaves, self._thinning = Clock(), Octaves(), Thinning()

    @property
    def streams(self) -> Mapping[str, Stream]:
        """For the pump's thread, and for others once it has ended."""
        return self._streams

    def swap(self, streams: Mapping[str, Stream]) -> None:
        """Go on with other streams, at once; each ticks in this turn, so its report is there."""
        self._streams = streams
        self._due_s = {}

    def run(self) -> None:
        """Until the mailbox is closed and empty; then each stream ticks and is written a last time."""
        self.start_clock()
        while (items := self._mailbox.take(self._rest_s(passing_s()))) is not None:
            ahead = Reader(self._streams, self._let_small_ones_pass).read(items)
            together = grouped(items, self._streams)
            self.turn(chain(together, self._newcomers()), now_ms(), passing_s(), ahead)
        self._due_s = {}
        self.turn([], now_ms(), passing_s())
        self._keeper.finish(self._streams, self._clock.read(now_ms(), passing_s()))

    def start_clock(self) -> None:
        """Not before what an earlier process counted."""
        self._clock = Clock(max((stream.newest_ms for stream in self._streams.values()), default=0))

    def clock_at(self, wall_ms: int, at_s: float) -> int:
        """What the next turn will count by, if it comes at this time."""
        return copy(self._clock).read(wall_ms, at_s)

    def _newcomers(self) -> Iterator[Item]:
        """Small requests that came while those of this turn were counted: one commit is for all of them."""
        yield from grouped(self._mailbox.take_quick(), self._streams)

    def _let_small_ones_pass(self) -> None:
        """Nothing of the large request is counted yet, so theirs is a turn like any other."""
        if items := self._mailbox.take_quick():
            self.turn(grouped(items, self._streams), now_ms(), passing_s())

    def turn(self, items: Iterable[Item], at_ms: int, at_s: float, ahead: Mapping[int, Ahead] = NONE) -> None:
        """One round: `at_ms` is the wall clock, for the records; `at_s` the monotonic one, for the ticks."""
        wall_ms, at_ms = at_ms, self._read_clock(at_ms, at_s)
        octave = self._octaves.step(self._mailbox.taken_at, at_s)
        self._telemetry.sampled(ratios(self._streams, octave))
        outcomes: list[Outcome] = []
        for item in items:
            if isinstance(item, Question):
                _answer(item)
            elif isinstance(item, Group):
                outcomes += self._observe_group(item, at_ms, wall_ms, octave)
            else:
                outcomes.append((item, self._observe(item, at_ms, wall_ms, octave, ahead.get(id(item)))))
        for block, outcome in self._keeper.settle(self._streams, outcomes, at_ms):
            self._deliver(block.ack, outcome)
        self._told()
        due = self._due(at_s)
        self._keeper.ticking({name: self._streams[name] for name in due})
        reports = {name: report for name in due if (report := self._tick(name, at_ms)) is not None}
        self._keeper.ticked(self._streams, reports.values(), at_ms, at_s)
        if reports:
            self._publish(reports)

    def _read_clock(self, wall_ms: int, at_s: float) -> int:
        steps, at_ms = self._clock.steps, self._clock.read(wall_ms, at_s)
        if self._clock.steps > steps:
            log.warning(STEPPED, self._clock.last_step_ms / 1000, self._clock.offset_ms / 1000)
        self._telemetry.clock_steps, self._telemetry.clock_offset_s = self._clock.steps, self._clock.offset_ms / 1000
        return at_ms

    def _observe(self, block: Block, at_ms: int, wall_ms: int, octave: int, ahead: Ahead | None) -> Settled | Exception:
        stream = self._streams.get(block.stream)
        if stream is None:
            return UnknownStream(block.stream)
        started_s = time.perf_counter()
        try:
            # Which event times lie in the future, the later clock says: a wrong one must not refuse sound records.
            now_ms = at_ms if stream.settings.time is None else max(at_ms, wall_ms)
            if stream.samples and block.source in PUSHED:
                outcome = self._thinning.observe(stream, block, octave, now_ms)
            elif ahead is not None and ahead.stream is stream:  # no reload since
                started_s -= ahead.took_s
                outcome = stream.observe(block, now_ms, ahead.batches)
            else:
                outcome = stream.observe(block, now_ms)
        except Exception as fault:
            # One block that trips a bug must not stop the others: its sender is told, and so is the operator.
            log.exception("stream %s: a block from %s could not be counted", block.stream, block.origin)
            return fault
        self._telemetry.ingest.observe(time.perf_counter() - started_s)
        self._telemetry.settled(block, outcome, at_ms)
        return outcome

    def _observe_group(self, group: Group, at_ms: int, wall_ms: int, octave: int) -> list[Outcome]:
        """Each of its blocks, if it is still good for this stream, in the time of one."""
        stream, started_s = group.stream, time.perf_counter()
        if self._streams.get(stream.settings.name) is stream:  # else there was a reload
            try:
                stream.count(group.batch, at_ms)
            except Exception:  # nothing is counted; whose block it was will be told
                log.exception(
                    "stream %s: %d blocks could not be counted as one", stream.settings.name, len(group.blocks)
                )
            else:
                took_s = group.took_s + time.perf_counter() - started_s
                return self._settled(group, took_s / len(group.blocks), at_ms)
        return [(block, self._observe(block, at_ms, wall_ms, octave, None)) for block in group.blocks]

    def _settled(self, group: Group, each_s: float, at_ms: int) -> list[Outcome]:
        outcomes = [(block, Settled(records)) for block, records in zip(group.blocks, group.records, strict=True)]
        for block, outcome in outcomes:
            self._telemetry.ingest.observe(each_s)
            self._telemetry.settled(block, outcome, at_ms)
        return [*outcomes]

    def _due(self, at_s: float) -> list[str]:
        names = [name for name in self._streams if self._due_s.get(name, at_s) <= at_s]
        for name in names:
            self._due_s[name] = at_s + self._streams[name].settings.tick_ms / 1000
        return names

    def _tick(self, name: str, at_ms: int) -> Report | None:
        started_s = time.perf_counter()
        try:
            report = self._streams[name].tick(at_ms)
        except Exception:
            log.exception("stream %s: the tick failed; its last report stays", name)
            return None
        self._telemetry.tick.observe(time.perf_counter() - started_s)
        return report

    def _rest_s(self, at_s: float) -> float:
        due_s = min((self._due_s.get(name, at_s) for name in self._streams), default=at_s + 1.0)
        return max(0.0, min(due_s - at_s, self._keeper.rest_s(at_s)))


def now_ms() -> int:
    """The wall clock, ms since the epoch."""
    return time.time_ns() // 1_000_000


def _answer(question: Question) -> None:
    if not question.answer.set_running_or_notify_cancel():
        return
    try:
        question.answer.set_result(question.run())
    except BaseException as fault:
        question.answer.set_exception(fault)
