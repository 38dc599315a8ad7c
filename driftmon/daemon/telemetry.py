"""Telemetry: driftmon's own counters, as families of the one catalogue.

Law: counters only grow; they are written by the pump and read by whoever serves /metrics. Copying a dict
of tuples of str is one step of the interpreter, so neither side needs a lock.
"""

from __future__ import annotations

import platform
import resource
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from driftmon import __version__
from driftmon.daemon.vitals import Rates
from driftmon.render.catalogue import METRICS
from driftmon.render.openmetrics import Family, Histogram, Value
from driftmon.render.own import Intake, Refusal
from driftmon.sources.base import Block, Progress, Settled

MOST_REFUSALS: Final = 20
BOUNDS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


Labels = TypeVar("Labels", bound=tuple[str, ...])


class Durations:
    """Seconds by upper bound.

    >>> durations = Durations(); durations.observe(0.002); durations.observe(60.0)
    >>> durations.histogram().counts[2], durations.histogram().counts[-1], durations.histogram().total
    (1, 1, 60.002)
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._total_s = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self._total_s += seconds

    def mean(self) -> float | None:
        """Seconds; None before the first."""
        observed = sum(self._counts)
        return self._total_s / observed if observed else None

    def histogram(self) -> Histogram:
        return Histogram(BOUNDS_S, tuple(self._counts), self._total_s)


class Telemetry:
    """What was received and what became of it, by stream and source; how long it took."""

    def __init__(self) -> None:
        self._records: Counter[tuple[str, str]] = Counter()
        self._late: Counter[tuple[str, str]] = Counter()
        self._rejected: Counter[tuple[str, str, str]] = Counter()
        self._gaps: Counter[tuple[str, str]] = Counter()
        self._progress: list[tuple[str, str, Progress]] = []
        self._sampled_out: Counter[tuple[str, str]] = Counter()
        self.sampling: dict[tuple[str, str], float] = {}  # the share of records taken now, of those that may be thinned
        self.ingest = Durations()
        self.tick = Durations()
        self.commit = Durations()
        self.refusals: tuple[Refusal, ...] = ()
        self._rates = Rates()
        self.clock_steps, self.clock_offset_s = 0, 0.0

    def expect(self, stream: str, source: str) -> None:
        """Show a source at 0 before its first record, so that `increase()` sees the first one."""
        self._records[stream, source] += 0
        self._late[stream, source] += 0
        self._gaps[stream, source] += 0

    @contextmanager
    def watched(self, stream: str, source: str, progress: Progress) -> Iterator[None]:
        """What a source tells of itself, as long as it is read."""
        entry = (stream, source, progress)
        self._progress.append(entry)
        try:
            yield
        finally:
            self._progress = [one for one in self._progress if one is not entry]
            self._gaps[stream, source] += progress.gap_events

    def settled(self, block: Block, outcome: Settled, at_ms: int) -> None:
        key = (block.stream, block.source)
        self._records[key] += outcome.accepted + outcome.late + sum(outcome.rejected.values()) + outcome.sampled_out
        if outcome.sampled_out:
            self._sampled_out[key] += outcome.sampled_out
        self._late[key] += outcome.late
        for reason, records in outcome.rejected.items():
            self._rejected[*key, reason] += records
        if outcome.errors:
            newest = (Refusal(at_ms, *key, one.line, one.reason, one.message) for one in reversed(outcome.errors))
            self.refusals = (*newest, *self.refusals)[:MOST_REFUSALS]

    def sampled(self, ratios: dict[tuple[str, str], float]) -> None:
        """The share of records that is taken now, by stream and source that may be thinned."""
        for key in ratios.keys() - self.sampling.keys():
            self._sampled_out[key] += 0
        self.sampling = ratios

    def totals(self, streams: Iterable[str]) -> dict[tuple[str, str, tuple[str, ...]], int]:
        """By stream, name and the other labels, for the store; from the pump's thread."""
        wanted = set(streams)
        return {
            (labels[0], name, labels[1:]): times
            for name, counter in self._kept().items()
            for labels, times in dict(counter).items()
            if labels[0] in wanted
        }

    def restore(self, totals: Mapping[tuple[str, str, tuple[str, ...]], int]) -> None:
        """Go on where an earlier process stopped."""
        counters = self._kept()
        for (stream, name, labels), times in totals.items():
            if name in counters:
                counters[name][stream, *labels] += times

    def _kept(self) -> dict[str, Counter[Any]]:
        return {
            "records": self._records,
            "late": self._late,
            "rejected": self._rejected,
            "sampled_out": self._sampled_out,
        }

    def note_rates(self, at_s: float) -> None:
        """Once per tick, from the event loop."""
        self._rates.note(at_s, dict(self._records))

    def intake(self, at_s: float) -> list[Intake]:
        """What arrived, by stream and source, for people."""
        records, late, rejected = dict(self._records), dict(self._late), dict(self._rejected)
        rates = self._rates.per_second(records, at_s)
        refused: dict[tuple[str, str], dict[str, int]] = {}
        for (stream, source, reason), times in rejected.items():
            refused.setdefault((stream, source), {})[reason] = times
        return [
            Intake(*key, count, rates.get(key), late.get(key, 0), refused.get(key, {}))
            for key, count in sorted(records.items())
        ]

    def families(self) -> Iterator[Family]:
        yield _family("ingest_records_total", self._records)
        yield _family("ingest_records_rejected_total", self._rejected)
        yield _family("ingest_late_records_total", self._late)
        yield _family("ingest_sampled_out_records_total", self._sampled_out)
        yield Family(METRICS["driftmon_sampling_ratio"], sorted(self.sampling.items()))
        yield Family(METRICS["driftmon_clock_steps_total"], [((), float(self.clock_steps))])
        yield Family(METRICS["driftmon_clock_offset_seconds"], [((), self.clock_offset_s)])
        yield from self._of_sources()
        yield Family(METRICS["driftmon_ingest_duration_seconds"], [((), self.ingest.histogram())])
        yield Family(METRICS["driftmon_tick_duration_seconds"], [((), self.tick.histogram())])
        yield Family(METRICS["driftmon_storage_commit_duration_seconds"], [((), self.commit.histogram())])

    def _of_sources(self) -> Iterator[Family]:
        gaps, lags = Counter(self._gaps), {"records": Counter[tuple[str, str]](), "bytes": Counter[tuple[str, str]]()}
        for stream, source, progress in self._progress:
            gaps[stream, source] += progress.gap_events
            for unit, lag in (("records", progress.lag_records), ("bytes", progress.lag_bytes)):
                if lag is not None:
                    lags[unit][stream, source] += lag()
        yield _family("source_gap_events_total", gaps)
        for unit, found in lags.items():
            yield _family(f"source_lag_{unit}", found)


def gauge(name: str, value: float) -> Family:
    """One number without labels."""
    return Family(METRICS[f"driftmon_{name}"], [((), float(value))])


def resident_memory() -> Family:
    """What the kernel says the process holds in RAM now; no sample where there is no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return Family(METRICS["driftmon_resident_memory_bytes"], [])
    return gauge("resident_memory_bytes", pages * resource.getpagesize())


def build_info() -> Family:
    """Which driftmon, which Python."""
    return Family(METRICS["driftmon_build_info"], [((release(), platform.python_version()), 1.0)])


def release() -> str:
    """Which driftmon this is."""
    return __version__


def in_catalogue_order(families: Iterable[Family]) -> list[Family]:
    """Exported in one order, whoever made them; a family made by two is joined."""
    order = {name: at for at, name in enumerate(METRICS)}
    joined: dict[str, list[tuple[tuple[str, ...], Value]]] = {}
    for family in families:
        joined.setdefault(family.metric.name, []).extend(family.samples)
    return [Family(METRICS[name], joined[name]) for name in sorted(joined, key=order.__getitem__)]


def _family(name: str, counter: Counter[Labels]) -> Family:
    return Family(
        METRICS[f"driftmon_{name}"], [(labels, float(count)) for labels, count in sorted(dict(counter).items())]
    )
