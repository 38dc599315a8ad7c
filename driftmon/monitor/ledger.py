"""Ledger: everything of a stream that adds, and nothing else: panes, totals, counts of the unreadable.

Law: `ledger.merge(other.snapshot())` equals having counted both streams in one ledger, bit for bit.
Counts of panes that may still change wait in `open_panes`; once a pane has closed it enters every
ring, so that no window ever holds a record from after the instant it is looked at. `excess` of thinned rows
(panes.py) adds beside the counts, pane by pane.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.batch import Batch, Times
from driftmon.monitor.panes import Ring, View, Window, finest_pane_ms
from driftmon.monitor.snapshot import Snapshot
from driftmon.monitor.tallies import state_of, sums_of
from driftmon.stats.evidence import PANES as LONGEST_LAG
from driftmon.stats.matrix import Together
from driftmon.stats.schema import Counts, Schema

EVIDENCE: Final = "evidence"  # the name of the ring kept for evidence; no window may have it


class Ledger:
    """Counts by pane of every window, since the beginning by bin, and by (feature, reason) of what was unreadable."""

    def __init__(
        self,
        schema: Schema,
        windows: Sequence[Window],
        evidence_pane_ms: int | None = None,
        history: tuple[Window, int] | None = None,
    ) -> None:
        self.schema = schema
        self.first_ms: int | None = None
        self.pane_ms = finest_pane_ms(tuple(windows))
        tallies = len(schema.tally_names)
        self.rings = [Ring(window, schema.width, tallies=tallies) for window in windows]
        self.evidence: Ring | None = None
        if evidence_pane_ms is not None:
            self.evidence = Ring(Window(EVIDENCE, evidence_pane_ms), schema.width, LONGEST_LAG + 1, tallies)
        self.history = None if history is None else Ring(history[0], schema.width, history[1], tallies)
        self.open_panes: dict[int, Counts] = {}
        self.open_excess: dict[int, Counts] = {}
        self.watermark_ms: int | None = None
        self._total = np.zeros(schema.state_width, dtype=np.int64)
        self.lifetime_excess: Counts | None = None
        self.invalid: dict[tuple[str, str], int] = {}
        self.last_ms = np.zeros(len(schema.features), dtype=np.int64)
        self._skips = bool(schema.skips.any())

    def add(self, pane: int, counts: Counts, excess: Counts | None = None) -> None:
        """Counts of one finest pane that is still open: state vectors, as all panes are."""
        self.open_panes[pane] = _plus(self.open_panes.get(pane), counts)
        self._total = self._total + counts
        if excess is not None:
            self.open_excess[pane] = _plus(self.open_excess.get(pane), excess)
            self.lifetime_excess = _plus(self.lifetime_excess, excess)

    @property
    def state(self) -> Counts:
        """int64[state_width] since the beginning: another array after each addition."""
        return self._total

    @property
    def lifetime(self) -> Counts:
        """int64[width] since the beginning."""
        return self._total[: self.schema.width]

    def note(self, batch: Batch, kept: NDArray[np.bool_] | None, came_ms: int | Times) -> None:
        """What counts do not say of the rows kept: why values were unreadable, when a feature was last there.

        `came_ms`: when they came, or when each did. `kept` None: all rows.
        """
        if not (batch.rows if kept is None else kept.any()):
            return
        came = came_ms if batch.times_ms is None else batch.times_ms if kept is None else batch.times_ms[kept]
        oldest_ms = came if isinstance(came, int) else int(came.min())
        self.first_ms = oldest_ms if self.first_ms is None else min(self.first_ms, oldest_ms)
        columns = batch.columns
        for name, column in (columns.beside if isinstance(columns, Together) else columns).items():
            for reason, rows in column.invalid.items():
                times = (
                    len(rows) if kept is None else int(kept[np.asarray(rows, dtype=np.int64)].sum())
                ) * batch.weight
                if times:
                    self.invalid[(name, reason)] = self.invalid.get((name, reason), 0) + times
        if isinstance(columns, Together) and kept is None and isinstance(came_ms, int):
            self._note_keys(columns, batch.rows, came_ms)
        else:
            self._note_seen(batch, kept, came_ms)

    def _note_seen(self, batch: Batch, kept: NDArray[np.bool_] | None, came_ms: int | Times) -> None:
        """The newest row kept of each feature that is there, or need not be."""
        place, skips = self.schema.place, self.schema.skips
        came = np.broadcast_to(np.asarray(came_ms, dtype=np.int64), (batch.rows,))
        seen, seen_ms = ~skips, np.full(len(skips), came[-1 if kept is None else np.flatnonzero(kept)[-1]])
        some, alike = bool(skips.any()), isinstance(came_ms, int) and kept is None
        columns = batch.columns
        for name, column in () if isinstance(columns, Together) and not some else columns.items():
            if (some or len(column.uncounted)) and (index := place.get(name)) is not None:
                without = [rows for rows in (column.absent if skips[index] else (), column.uncounted) if len(rows)]
                seen[index] = sum(map(len, without)) < batch.rows
                if not alike and without and seen[index]:
                    there = np.ones(batch.rows, dtype=np.bool_) if kept is None else kept.copy()
                    for rows in without:
                        there[np.asarray(rows, dtype=np.int64)] = False
                    newest = np.flatnonzero(there)[-1:]
                    seen[index] = len(newest) > 0
                    seen_ms[index] = came[newest[0]] if len(newest) else 0
        self.last_ms[seen] = seen_ms[seen]

    def _note_keys(self, together: Together, rows: int, came_ms: int) -> None:
        """The same of rows that all came then, where a row counts if it has the key."""
        if not self._skips:
            self.last_ms.fill(came_ms)
            return
        place, skips = self.schema.place, self.schema.skips
        seen = ~skips
        for name, column in together.beside.items():
            if (index := place.get(name)) is not None and skips[index]:
                seen[index] = len(column.absent) < rows
        known = [(place[name], at) for name, at in together.fields.place.items() if name in place]
        if need_not := [one for one in known if skips[one[0]]]:
            index_of, at = zip(*need_not, strict=True)
            seen[list(index_of)] = together.absent(at) < rows
        self.last_ms[seen] = came_ms

    def fold(self, end_ms: int | None) -> None:
        """Close the open panes that end by `end_ms` (None: all): they enter the rings, oldest first."""
        for pane in sorted(self.open_panes):
            if end_ms is None or (pane + 1) * self.pane_ms <= end_ms:
                counts, excess = self.open_panes.pop(pane), self.open_excess.pop(pane, None)
                for ring in self._all_rings():
                    ring.add(ring.window.pane_of(pane * self.pane_ms), counts, excess)

    def ends_ms(self, after_ms: int) -> list[int]:
        """The ends after `after_ms` that the watermark passed: of the oldest open pane, of the newest of evidence."""
        ends = [] if not self.open_panes else [(min(self.open_panes) + 1) * self.pane_ms]
        if self.evidence is not None and self.evidence.panes:
            ends.append((max(self.evidence.panes) + 1) * self.evidence.window.pane_ms)
        return [end_ms for end_ms in ends if self.watermark_ms is not None and after_ms < end_ms <= self.watermark_ms]

    def _all_rings(self) -> list[Ring]:
        return [*self.rings, *(ring for ring in (self.evidence, self.history) if ring is not None)]

    @property
    def newest_ms(self) -> int:
        """Where the newest pane begins that has records; 0 before there are any."""
        finest = min(self.rings, key=lambda ring: ring.window.pane_ms)
        return max([*finest.panes, *self.open_panes], default=0) * self.pane_ms

    def views(self, inside_ms: int) -> list[View]:
        """Every window as of the pane that `inside_ms` lies in."""
        return [ring.view(ring.window.pane_of(inside_ms)) for ring in self.rings]

    def first_window(self) -> Counts:
        """int64[width]: the panes of the first window, the open ones included, whatever their weight."""
        held = [*self.rings[0].panes.values(), *self.open_panes.values()]
        return sum(held, start=np.zeros(self.schema.state_width, dtype=np.int64))[: self.schema.width]

    def snapshot(self) -> Snapshot:
        """All of it, as a file."""
        rings = {ring.window: dict(ring.panes) for ring in self._all_rings()}
        excess = None
        if self.lifetime_excess is not None:
            panes = {ring.window: dict(ring.excess) for ring in self._all_rings()}
            excess = Snapshot(self.schema, self.lifetime_excess[: self.schema.width], panes, dict(self.open_excess))
        return Snapshot(
            self.schema,
            self.lifetime.copy(),
            rings,
            dict(self.open_panes),
            self.watermark_ms,
            dict(self.invalid),
            sums=sums_of(self.schema, self._total),
            first_ms=self.first_ms,
            excess=excess,
        )

    def merge(self, snapshot: Snapshot) -> None:
        """Add another ledger's counts; SnapshotError, and nothing changes, where schema or windows differ."""
        merged = self.snapshot().merge(snapshot)
        for ring in self._all_rings():
            beside = {} if snapshot.excess is None else snapshot.excess.rings.get(ring.window, {})
            for pane, counts in sorted(snapshot.rings.get(ring.window, {}).items()):
                ring.add(pane, counts, beside.get(pane))
        self._total, self.open_panes = state_of(self.schema, merged.counts, merged.sums), dict(merged.open_panes)
        self.watermark_ms, self.invalid = merged.watermark_ms, dict(merged.invalid)
        self.first_ms = merged.first_ms
        if merged.excess is not None:
            self.lifetime_excess = state_of(self.schema, merged.excess.counts, {})
            self.open_excess = dict(merged.excess.open_panes)


def _plus(held: Counts | None, counts: Counts) -> Counts:
    return counts if held is None else held + counts
