"""Carry: what a reload keeps: the counts of features and windows that mean the same before and after.

Law: a bin's count is carried only if its feature would give every value the same code; anything else
starts at zero, and nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from driftmon.monitor.clocks import Clocks
from driftmon.monitor.ledger import EVIDENCE
from driftmon.monitor.panes import Window, finest_pane_ms
from driftmon.monitor.snapshot import Snapshot
from driftmon.monitor.tallies import names_of
from driftmon.stats.schema import Counts, Schema


def carried(old: Snapshot, empty: Snapshot) -> Snapshot:
    """`old` in the schema and with the windows of `empty`, the snapshot of the monitor it is to be merged into."""
    schema, windows = empty.schema, tuple(empty.rings)
    pairs = _same_bins(old.schema, schema)
    kept = {name for name in schema.names if _same(old.schema, schema, name)}

    whole = [
        *pairs,
        *((schema.tallies(at), old.schema.tallies(then)) for at, then in _same_features(old.schema, schema)),
    ]

    def moved(panes: Mapping[int, Counts]) -> dict[int, Counts]:
        return {pane: _moved(counts, whole, schema.state_width) for pane, counts in panes.items()}

    return replace(
        old,
        schema=schema,
        counts=_moved(old.counts, pairs, schema.width),
        rings={window: moved(old.rings.get(window, {})) for window in windows},
        open_panes=_repaned(moved(old.open_panes), tuple(old.rings), windows),
        invalid={key: times for key, times in old.invalid.items() if key[0] in kept},
        sums={key: old.sums.get(key, 0) for key, name in names_of(schema).items() if name in kept},
        excess=None if old.excess is None else carried(old.excess, empty),
    )


def spent_panes(
    spent: Mapping[str, Mapping[str, int]], old: Snapshot, empty: Snapshot, fresh: Mapping[str, Sequence[int]]
) -> dict[str, list[int]]:
    """Per calibrated rule, after which pane each feature's evidence begins; `fresh` is where it does without a past.

    A feature that changed has counted nothing in the panes there are: they are no start of its own.
    """
    ring = next((window for window in empty.rings if window.name == EVIDENCE), None)
    if ring is None or not old.rings.get(ring):
        return {}
    newest, names = max(old.rings[ring]), empty.schema.names
    kept = [_same(old.schema, empty.schema, name) for name in names]
    return {
        rule: [
            spent.get(rule, {}).get(name, pane) if same else newest
            for name, pane, same in zip(names, panes, kept, strict=True)
        ]
        for rule, panes in fresh.items()
    }


def carried_clocks(old: Clocks, schema: Schema, new: Schema) -> Clocks:
    """When a feature was last there, and its seconds, are those of its name, whatever became of its bins."""
    return old.of(schema.names, new.names, _moved(old.counted, _same_bins(schema, new), new.width))


def _moved(counts: Counts, pairs: Sequence[tuple[slice, slice]], width: int) -> Counts:
    result = np.zeros(width, dtype=np.int64)
    for ours, theirs in pairs:
        result[ours] = counts[theirs]
    return result


def _same_bins(old: Schema, new: Schema) -> list[tuple[slice, slice]]:
    return [(new.bins(at), old.bins(then)) for at, then in _same_features(old, new)]


def _same_features(old: Schema, new: Schema) -> list[tuple[int, int]]:
    return [(at, old.names.index(name)) for at, name in enumerate(new.names) if _same(old, new, name)]


def _same(old: Schema, new: Schema, name: str) -> bool:
    if name not in old.names:
        return False
    return old.features[old.names.index(name)].as_dict() == new.features[new.names.index(name)].as_dict()


def _repaned(panes: Mapping[int, Counts], old: tuple[Window, ...], new: tuple[Window, ...]) -> dict[int, Counts]:
    """Open panes by another finest pane; each goes where its start lies."""
    old_ms, new_ms = finest_pane_ms(old), finest_pane_ms(new)
    result: dict[int, Counts] = {}
    for pane, counts in panes.items():
        at = pane * old_ms // new_ms if new_ms else 0
        result[at] = result[at] + counts if at in result else counts
    return result
