"""Promotion: the live window of a snapshot, or of many pods' snapshots added, becomes a reference.

Law: its counts are those of the window's panes and nothing else; what the window showed of its own dispersion goes
with it, because a reference of dependent rows is worth less than it looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Final

import numpy as np

from driftmon.monitor.ledger import EVIDENCE
from driftmon.monitor.panes import PANES, Window, finest_pane_ms, span
from driftmon.monitor.references import TRAILING
from driftmon.monitor.snapshot import Snapshot, SnapshotError
from driftmon.monitor.tallies import sums_of
from driftmon.stats import dispersion
from driftmon.stats.schema import Counts

NO_WINDOWS: Final = frozenset({EVIDENCE, TRAILING})


def promoted(snapshots: Sequence[Snapshot], window: str | None = None, source: str = "live") -> Snapshot:
    """A reference of the newest panes of a window, by default the longest; of several pods the sum.

    SnapshotError where the snapshots do not add, there is no such window, or it is empty.
    """
    total = reduce(Snapshot.merge, snapshots)
    chosen = window_of(total, window)
    panes = _newest(chosen, _panes(total, chosen))
    state = sum(panes.values(), start=np.zeros(total.schema.state_width, dtype=np.int64))
    counts = state[: total.schema.width]
    if not counts.any():
        raise SnapshotError(f"window {chosen.name} is empty: nothing was counted in it; wait for records")
    if total.excess is not None and panes.keys() & _newest(chosen, _panes(total.excess, chosen)).keys():
        cure = "choose another window, or wait until they have left it"
        raise SnapshotError(f"window {chosen.name} has records that were thinned (overload: sample); {cure}")
    blocks = np.array([panes[pane][: total.schema.width] for pane in sorted(panes)])
    found = dispersion.dispersion(total.schema, blocks)
    span_ms = (min(panes) * chosen.pane_ms, (max(panes) + 1) * chosen.pane_ms)
    provenance = {
        "records": int(total.schema.totals(counts.astype(np.float64)).max()),
        "sources": [f"window {chosen.name} of {source}"],
        **({"from_ms": span_ms[0], "to_ms": span_ms[1]} if chosen.pane_ms else {}),
    }
    kept = {} if found is None else dispersion.as_dict(total.schema, found, "time")
    return Snapshot(total.schema, counts, provenance=provenance, sums=sums_of(total.schema, state), dispersion=kept)


def window_of(snapshot: Snapshot, name: str | None) -> Window:
    """The window asked for, or the longest; one with a half-life holds weights, not counts."""
    windows = {one.name: one for one in snapshot.rings if one.name not in NO_WINDOWS and one.half_life_ms is None}
    told = ", ".join(f"{one.name} ({span(one.pane_ms * PANES)})" for one in windows.values()) or "none"
    if name is not None and name not in windows:
        raise SnapshotError(f"there is no window {name} with a length; there are: {told}")
    if not windows:
        raise SnapshotError("the snapshot has no window with a length; take it from a daemon that has one")
    return windows[name] if name is not None else max(windows.values(), key=lambda one: one.pane_ms)


def _panes(snapshot: Snapshot, window: Window) -> dict[int, Counts]:
    """The window's panes, those still open among them."""
    panes = dict(snapshot.rings[window])
    finest_ms = finest_pane_ms(tuple(one for one in snapshot.rings if one.name not in NO_WINDOWS))
    for pane, counts in snapshot.open_panes.items():
        at = window.pane_of(pane * finest_ms)
        panes[at] = panes[at] + counts if at in panes else counts
    return panes


def _newest(window: Window, panes: dict[int, Counts]) -> dict[int, Counts]:
    """The last PANES of them: a pod that has been silent still holds older ones."""
    newest = max(panes, default=0)
    return {pane: counts for pane, counts in panes.items() if not window.pane_ms or pane > newest - PANES}
