"""Flags: detectors of others over series of our features, and how long each flag of theirs is a breach.

Law: a series is a function of the rows that were counted, in the order they came, so cutting them into other batches
changes nothing and a replay flags where the live run did. A flag belongs to its row's time, and is looked at once
that has come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from driftmon.monitor.batch import Batch, Times
from driftmon.monitor.panes import PANES, Window
from driftmon.monitor.rules import Rule
from driftmon.monitor.watch import NEVER_MS, Kept, Make, Watch
from driftmon.stats.binnings.log_loss import TALLIES
from driftmon.stats.columns import Column, Floats
from driftmon.stats.schema import Codes, Schema

Place: TypeAlias = tuple[str, str]  # rule and feature
FOREVER_MS: Final = 2**62


class Flagged(Struct, frozen=True):
    """Of one rule, as of one look: `breach` bool[F], and `mean` float64[F], of the values before the newest flag."""

    breach: NDArray[np.bool_]
    mean: Floats


class Flags:
    """All detectors of a stream. `make` builds one; without rules that have any it is not needed.

    `reference`: the identity of P, which surprisal is by; None where P moves.
    """

    def __init__(
        self,
        stream: str,
        schema: Schema,
        windows: Sequence[Window],
        rules: Sequence[Rule],
        event_time: bool,
        reference: str | None,
        make: Make | None,
    ) -> None:
        self._schema, self._event_time = schema, event_time
        self._watches: dict[tuple[int, int], Watch] = {}
        self._holds_ms: dict[int, int] = {}
        self._names = {index: rule.name for index, rule in enumerate(rules)}
        for index, rule in enumerate(rules):
            watching = [window for window in windows if _watched(rule, stream, schema, [window])]
            if rule.detector is None or not watching:
                continue
            if rule.detector.of == "surprisal" and reference is None:
                raise ValueError(f"rule {rule.name}: the surprisal of a reference that moves is no series to watch")
            if make is None:
                raise ValueError(f"rule {rule.name} has a detector: give make, as driftmon.daemon.detectors.made")
            self._holds_ms[index] = _hold_ms(rule.detector.hold_ms, watching)
            for feature in _watched(rule, stream, schema, watching):
                by = reference if rule.detector.of == "surprisal" else None
                self._watches[index, feature] = Watch(rule.detector, make, by)

    @property
    def watching(self) -> bool:
        return bool(self._watches)

    def observe(self, batch: Batch, codes: Codes, kept: NDArray[np.bool_], now_ms: int | None, log_p: Floats) -> None:
        """Rows that were just counted; `now_ms` None where each has its own time. A row counts once, whatever its
        weight: rows that were left out by chance change no distribution."""
        if not self._watches or not batch.rows:
            return
        times_ms = batch.times_ms if now_ms is None else np.broadcast_to(np.int64(now_ms), (batch.rows,))
        assert times_ms is not None
        series: dict[tuple[int, str], tuple[Floats, Times]] = {}
        for (_, feature), watch in self._watches.items():
            of = watch.detector.of
            if (feature, of) not in series:
                column = batch.columns.get(self._schema.names[feature])
                values = _surprisal(codes[feature], log_p) if of == "surprisal" else _numbers(column, batch.rows)
                if of == "error":
                    values = _errors(column, values)
                there = kept & np.isfinite(values)
                series[feature, of] = (values[there], times_ms[there])
            watch.take(*series[feature, of])

    def look(self, rule: int, at_ms: int) -> Flagged:
        """What the flags of a rule say at a look; one at the end of a pane is about what came before it."""
        inside_ms = at_ms - 1 if self._event_time else at_ms
        features = len(self._schema.names)
        found = Flagged(np.zeros(features, dtype=np.bool_), np.full(features, np.nan))
        for (index, feature), watch in self._watches.items():
            if index == rule:
                at_ms, found.mean[feature] = watch.newest(inside_ms)
                found.breach[feature] = inside_ms - at_ms < self._holds_ms[index]
        return found

    def ends_ms(self) -> Iterator[int]:
        """When each breach is over."""
        for (index, _), watch in self._watches.items():
            yield from (at_ms + self._holds_ms[index] + 1 for at_ms, _ in watch.flags if at_ms > NEVER_MS)

    def come_due(self, now_ms: int) -> None:
        """Flags of a clock that was ahead are of now."""
        for watch in self._watches.values():
            watch.come_due(now_ms)

    @property
    def watches(self) -> Mapping[Place, Watch]:
        """By the names of rule and feature."""
        return {
            (self._names[rule], self._schema.names[feature]): watch for (rule, feature), watch in self._watches.items()
        }

    def restore(self, kept: Mapping[Place, Kept]) -> None:
        """Go on with those of an earlier run that watched the same in the same way."""
        for place, watch in self.watches.items():
            if place in kept:
                watch.restore(kept[place])


def _watched(rule: Rule, stream: str, schema: Schema, windows: Iterable[Window]) -> list[int]:
    by_name = ((at, feature) for at, feature in enumerate(schema.features) if rule.judges(feature.kind))
    return [at for at, one in by_name if any(rule.watches(stream, one.name, window.name) for window in windows)]


def _hold_ms(given_ms: int | None, windows: Sequence[Window]) -> int:
    if given_ms is not None:
        return given_ms
    shortest = min(windows, key=lambda window: window.pane_ms)
    return shortest.pane_ms * PANES or FOREVER_MS


def _numbers(column: Column | None, rows: int) -> Floats:
    if column is None or not isinstance(column.values, np.ndarray):
        return np.full(rows, np.nan)
    return column.values


def _errors(column: Column | None, losses: Floats) -> Floats:
    """1 where a prediction with a label was wrong, else 0."""
    if column is None or column.tallies is None:
        return np.full(len(losses), np.nan)
    return np.where(np.isfinite(losses), 1.0 - column.tallies[TALLIES.index("correct")], np.nan)


def _surprisal(codes: Codes, log_p: Floats) -> Floats:
    """Of every row, those missing or invalid too; NaN where an absent key is not counted."""
    return np.where(codes >= 0, -log_p[codes], np.nan)
