"""Watching: from a stream's settings to what counts its rows: a monitor, or what comes before there can be one.

Law: nothing is guessed of a reference: it is counted before, gathered from the stream, or asked of another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from driftmon.daemon.detectors import made
from driftmon.daemon.settings import StreamSettings
from driftmon.monitor.batch import Batch, Receipt
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.references import Fixed, OtherStream, Reference, Trailing
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Rule
from driftmon.monitor.seasonal import Seasonal
from driftmon.monitor.snapshot import Snapshot
from driftmon.monitor.warmup import WarmUp, instability, warming_report, whatever_comes
from driftmon.stats.binnings import log_loss
from driftmon.stats.schema import Feature, Schema

Other: TypeAlias = Callable[[], Monitor | None]


class Waiting:
    """A stream whose reference is another that has no bins yet. Its rows are read and dropped: nothing can bin them."""

    reference: Snapshot | None = None
    rest: Batch | None = None

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings

    def observe_batch(self, batch: Batch, now_ms: int | None) -> Receipt:
        return Receipt(batch.rows, rejected=batch.rejected)

    def tick(self, now_ms: int) -> Report:
        return warming_report(self._settings.name, self._settings.features, now_ms, None)


def beginning(settings: StreamSettings) -> WarmUp | Waiting:
    """What a stream without a reference at hand starts with."""
    wanted = settings.reference
    if wanted.observations is None:
        return Waiting(settings)
    judge = instability if wanted.type == "warmup" else whatever_comes
    return WarmUp(settings.name, settings.features, wanted.observations, wanted.slots, judge)


def watching(
    settings: StreamSettings, rules: Sequence[Rule], family: int | None, reference: Snapshot, other: Other
) -> Monitor:
    """The monitor of a stream; `reference` has the bins, and P where that is fixed; `other` the stream it names."""
    return Monitor(
        _yielding(settings, reference, other),
        settings.windows,
        rules,
        stream=settings.name,
        pseudocount=settings.pseudocount,
        event_time=settings.time is not None,
        lateness_ms=settings.time.lateness_ms if settings.time else 0,
        stale_after_ms=settings.stale_after_ms,
        family=family,
        make_detector=made,
    )


def _yielding(settings: StreamSettings, reference: Snapshot, other: Other) -> Reference:
    wanted = settings.reference
    match wanted.type:
        case "seasonal":
            return Seasonal(reference)
        case "trailing":
            until_then = None if wanted.path is None else reference
            return Trailing(reference, wanted.length_ms, wanted.lag_ms, until_then)
        case "stream":
            return OtherStream(reference.schema, wanted.stream, other)
        case "file" | "warmup":
            return Fixed(reference)


def bins_of(other: Monitor, settings: StreamSettings) -> Snapshot:
    """Another stream's bins for this stream's records, which may have them in other fields. No counts."""
    by_name = {feature.name: feature for feature in other.schema.features}
    features = []
    for spec in settings.features:
        binning = by_name[spec.name].binning
        if isinstance(binning, log_loss.Binning) and spec.outcome is not None:
            binning = replace(binning, outcome=spec.outcome)
        features.append(Feature(spec.name, binning, spec.field, spec.absent))
    schema = Schema(tuple(features))
    return Snapshot(schema, np.zeros(schema.width, dtype=np.int64))
