"""driftmon as a library: arrays and frames counted, compared with a reference, one event at a time.

Law: public names only, called as the README calls them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import driftmon
from driftmon.stats.edges import FeatureSpec
from tests.benchmarks.contenders.common import events_of
from tests.benchmarks.contenders.frames import load_frames


def regular_edges(bins: int) -> list[float]:
    """Of as many bins as wanted, the outer two open."""
    return [float(edge) for edge in np.linspace(-3.0, 3.0, bins - 1)]


def load_array(folder: Path, bins: int, regular: bool = False) -> Any:
    """A million numbers, and a monitor whose bins are quantiles of them, or regular."""
    values = np.load(folder / "normal.npy")
    spec = FeatureSpec("x", "numeric", bins=bins, edges=tuple(regular_edges(bins)) if regular else None)
    return driftmon.Monitor(driftmon.reference_of({"x": values}, [spec])), values


def count_array(state: Any) -> tuple[int, Any]:
    monitor, values = state
    before = monitor.snapshot().counts
    monitor.observe_columns({"x": values})
    return len(values), (monitor, monitor.snapshot().counts - before)


def told_array(found: Any) -> Any:
    monitor, counts = found
    binning = monitor.schema.features[0].binning
    return {"edges": list(binning.edges), "counts": counts[: binning.regular].tolist()}


def compare_frames(frames: Any) -> tuple[int, Any]:
    """Bins chosen, reference and live counted, everything evaluated."""
    reference, live = frames
    snapshot = driftmon.reference_of(reference)
    return len(reference) + len(live), (snapshot, driftmon.check(snapshot, live))


def told_features(found: Any) -> Any:
    """By feature what it takes to do it again: the bins, the counts of both, and KL(Q||P)."""
    snapshot, report = found
    pair, named = report.pairs[0], report.as_dict()["streams"]["data"]["features"]
    told = {}
    for at, feature in enumerate(snapshot.schema.features):
        bins, binning = snapshot.schema.bins(at), feature.binning
        told[feature.name] = {
            "bins": binning.as_dict().get("edges") or binning.as_dict()["categories"],
            "reference": pair.reference[bins].tolist(),
            "live": pair.live[bins].tolist(),
            "kl_qp": named[feature.name]["windows"]["all"]["kl_divergence_nats"]["q_p"],
        }
    return told


def load_batches(folder: Path, text: str, batches: int) -> Any:
    """A monitor that knows the reference, and the first batches of 1,000 live rows."""
    reference, live = load_frames(folder, text)
    parts = [live.iloc[low : low + 1000] for low in range(0, min(len(live), 1000 * batches), 1000)]
    return driftmon.reference_of(reference), parts


def compare_batches(state: Any) -> tuple[int, Any]:
    """Every divergence after every batch."""
    snapshot, parts = state
    monitor = driftmon.Monitor(snapshot)
    for number, part in enumerate(parts):
        monitor.observe_columns(part)
        report = monitor.tick(1000 * (number + 1))
    return len(parts), report


def told_divergences(report: Any) -> Any:
    names = report.schema.names
    return {name: report.value(0, at, "kl_divergence", direction="q_p") for at, name in enumerate(names)}


def load_events(folder: Path, events: int) -> Any:
    reference, _ = load_frames(folder, "object")
    return driftmon.reference_of(reference), events_of(folder, events)


def observe(state: Any) -> tuple[int, Any]:
    """Event by event; looked at once, in the end."""
    snapshot, events = state
    monitor = driftmon.Monitor(snapshot)
    for event in events:
        monitor.observe(event)
    monitor.tick(1000)
    return len(events), monitor


def observe_current(state: Any) -> tuple[int, Any]:
    """Event by event, with KL current after each of them."""
    snapshot, events = state
    monitor = driftmon.Monitor(snapshot)
    running = monitor.running
    for event in events:
        monitor.observe(event)
        running = monitor.running
    running.kl_qp()
    return len(events), monitor


def told_counts(monitor: Any) -> Any:
    return monitor.snapshot().counts.tolist()


TASKS = {
    "array": (load_array, count_array, told_array),
    "frames": (load_frames, compare_frames, told_features),
    "batches": (load_batches, compare_batches, told_divergences),
    "events": (load_events, observe, told_counts),
    "events_current": (load_events, observe_current, told_counts),
}
