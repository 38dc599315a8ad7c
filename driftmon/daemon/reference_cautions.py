"""What cannot be promised of a reference that moves with time, or is mixed of hours.

Law: a calibrated rule's budget is a promise only against a reference that does not follow the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from driftmon.daemon.settings import StreamSettings
from driftmon.monitor.panes import PANES, span
from driftmon.monitor.slots import COUNT, label
from driftmon.monitor.snapshot import Snapshot

PER_BIN: Final = 50  # observations of an hour per bin; a rule of thumb, not simulated
MOVES: Final[Mapping[str, str]] = {
    "trailing": "follows the stream, so a slow drift is never seen and",
    "stream": "is live itself, so",
}


def doubts(stream: StreamSettings, reference: Snapshot | None, calibrated: bool) -> Iterator[tuple[str, str, str]]:
    """(key below `reference`, fault, cure) of each; `calibrated`: some calibrated rule watches the stream."""
    wanted = stream.reference
    if calibrated and wanted.type in MOVES:
        fault = f"a {wanted.type} reference {MOVES[wanted.type]} false_alarms of calibrated rules is not promised on it"
        yield "type", fault, "use file, warmup or seasonal for a budget that holds"
    longest = max(stream.windows, key=lambda window: window.pane_ms)
    if wanted.type == "trailing" and wanted.lag_ms < longest.pane_ms * PANES:
        fault = (
            f"{span(wanted.lag_ms)} is shorter than window {longest.name}, so live data is part of its own reference"
        )
        yield "lag", fault, f"use {span(longest.pane_ms * PANES)} or more"
    if reference is not None and reference.slots_by is not None and wanted.slots is not None:
        yield from _thin(reference)


def _thin(reference: Snapshot) -> Iterator[tuple[str, str, str]]:
    """The hour with the fewest observations for its bins; those the reference never saw are compared with all of it."""
    schema, by = reference.schema, reference.slots_by
    assert by is not None
    empty = COUNT[by] - len(reference.slots)
    if empty:
        fault = f"{empty} of {COUNT[by]} hours are not in the reference, live data of these is held against all of it"
        yield "slots", fault, "build it from whole periods, or use hour_of_day"
    worst = min(
        (
            (float(np.min(schema.totals(counts.astype(float)) / schema.sizes)), slot)
            for slot, counts in reference.slots.items()
        ),
        default=(PER_BIN, 0),
    )
    if worst[0] < PER_BIN:
        fault = f"{label(by, worst[1])} has {worst[0]:.0f} observations a bin, fewer than {PER_BIN}"
        cure = "use hour_of_day, fewer bins" if by == "hour_of_week" else "use fewer bins"
        yield "slots", fault, f"{cure}, or build it from more data"
