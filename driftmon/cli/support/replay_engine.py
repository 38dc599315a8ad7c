"""Engine: the stream of `run`, driven by recorded batches and by no clock but the data's.

Law: an observer changes nothing: cut at every pane or not, the same records make the same counts and alerts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftmon.daemon.promises import family
from driftmon.daemon.settings import Config, StreamSettings
from driftmon.daemon.streams import Stream
from driftmon.monitor.arrival import arrive
from driftmon.monitor.batch import Batch, Times
from driftmon.monitor.panes import finest_pane_ms
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Rule
from driftmon.monitor.snapshot import Snapshot
from driftmon.monitor.warmup import part

DAY_MS = 86_400_000


@dataclass
class Tally:
    """What became of the records; times are those of the rows counted: one late stray does not stretch the days."""

    counted: int = 0
    late: int = 0
    rejected: int = 0
    from_ms: int | None = None
    to_ms: int | None = None

    @property
    def records(self) -> int:
        return self.counted + self.late + self.rejected

    @property
    def days(self) -> float:
        """How long the data lasts, at least a minute."""
        first, last = self.from_ms or 0, self.to_ms or 0
        return max(last - first, 60_000) / DAY_MS


class Replay:
    """One stream over recorded batches: `observe` them in order, then `finish`."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.tally = Tally()
        self._mark = Watermark.of(stream.settings)

    def observe(self, batch: Batch) -> Report:
        """Count a batch and evaluate what it closed; the report has all changes, and the values of the last pane."""
        self.count(batch)
        return self.tick()

    def observe_by_pane(self, batch: Batch) -> Iterator[Report]:
        """The same with a report for every pane that closes, for those who draw a line through them."""
        for piece in self._mark.pieces(batch):
            self.count(piece)
            yield self.tick()

    def finish(self) -> Report:
        """The end of the input closes the last panes."""
        return self.stream.finish(self._mark.now_ms)

    def tick(self) -> Report:
        """Evaluate what is due; it may wait for several batches, since panes close by the records' times."""
        return self.stream.tick(self._mark.now_ms)

    def count(self, batch: Batch) -> None:
        """Count a batch, to be evaluated later."""
        receipt, tally = self.stream.count(batch, None), self.tally
        tally.counted += receipt.counted
        tally.late += receipt.late
        tally.rejected += sum(receipt.rejected.values())
        if batch.rows and batch.times_ms is not None:
            timely = batch.times_ms[self._mark.timely(batch.times_ms)]
            if len(timely):
                first, last = int(timely.min()), int(timely.max())
                tally.from_ms = first if tally.from_ms is None else min(tally.from_ms, first)
                tally.to_ms = last if tally.to_ms is None else max(tally.to_ms, last)
            self._mark.advance(batch.times_ms)


class Watermark:
    """The largest time so far less the lateness, and where it enters a new pane."""

    def __init__(self, lateness_ms: int, pane_ms: int) -> None:
        self._lateness_ms, self._pane_ms = lateness_ms, pane_ms
        self._mark_ms: int | None = None

    @classmethod
    def of(cls, settings: StreamSettings) -> Watermark:
        """That of a stream before its first record."""
        return cls(settings.time.lateness_ms if settings.time else 0, finest_pane_ms(settings.windows))

    @property
    def now_ms(self) -> int:
        return self._mark_ms or 0

    def timely(self, times_ms: Times) -> NDArray[np.bool_]:
        """bool[rows]: those whose pane has not closed when they come, by the rule of the monitor."""
        return arrive(times_ms, None, self._mark_ms, self._lateness_ms, self._pane_ms).kept

    def advance(self, times_ms: Times) -> None:
        last = int(times_ms.max()) - self._lateness_ms
        self._mark_ms = last if self._mark_ms is None else max(self._mark_ms, last)

    def pieces(self, batch: Batch) -> Iterator[Batch]:
        """The batch cut after each row that closes a pane."""
        if batch.times_ms is None or not batch.rows:
            yield batch
            return
        marks = np.maximum.accumulate(batch.times_ms - self._lateness_ms)
        before_ms = int(marks[0]) if self._mark_ms is None else self._mark_ms
        panes = np.maximum(marks, before_ms) // self._pane_ms
        low = 0
        for high in (np.flatnonzero(np.diff(panes, prepend=before_ms // self._pane_ms)) + 1).tolist():
            yield part(batch, low, high)
            low = high
        if low < batch.rows:
            yield part(batch, low, batch.rows)


def stream_for(
    config: Config, name: str, rules: Sequence[Rule], reference: Snapshot | None, instead: bool = False
) -> Stream:
    """A stream of the configuration as `run` builds it, with these rules; `instead`: each instead of the others, so
    that none takes from the budget of another."""
    together = [[rule] for rule in rules] if instead else [rules]
    shared = max((family(some, config.streams.values()) for some in together), default=1)
    return Stream(config.streams[name], rules, config.limits, reference, shared)
