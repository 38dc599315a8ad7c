"""History: the last evaluations of a stream, few enough to stay in memory, for the lines on a page.

Law: a history is never changed, `after(report)` is a new one, so who draws it needs no lock. A window has at
most one point per pane, the newest; 180 panes are three lengths of a sliding window. Memory is at most
POINTS x TRACKED x 4 bytes per feature and window (3.6 kB), and at most MOST_BYTES a stream: where features
are too many for that, there are fewer points.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from driftmon.monitor.panes import Window
from driftmon.monitor.quantities import index_of
from driftmon.monitor.report import Report

TRACKED: Final = (
    "kl_divergence_debiased",
    "kl_noise_floor",
    "kl_divergence_lower_bound",
    "kl_divergence_upper_bound",
    "window_observations",
)
POINTS: Final = 180
FEWEST_POINTS: Final = 12
MOST_BYTES: Final = 8 * 1024 * 1024

Tracks: TypeAlias = NDArray[np.float32]


class Track(Struct, frozen=True):
    """One window: `times_ms` int64[points], rising; `values` float32[points, len(TRACKED), features], NaN: none."""

    times_ms: NDArray[np.int64]
    values: Tracks

    def of(self, name: str, feature: int) -> list[float]:
        """One line: a value of TRACKED for one feature, point by point."""
        found: list[float] = self.values[:, TRACKED.index(name), feature].tolist()
        return found

    def after(self, at_ms: int, pane_ms: int, values: Tracks, points: int) -> Track:
        """With the values of one more look, which replace an earlier look at the same pane or at a later time."""
        start_ms = at_ms // pane_ms * pane_ms if pane_ms else at_ms
        kept = int(np.searchsorted(self.times_ms, start_ms))
        first = max(0, kept + 1 - points)
        return Track(
            np.append(self.times_ms[first:kept], at_ms), np.concatenate((self.values[first:kept], values[None]))
        )


class History(Struct, frozen=True):
    """One track per window; starts anew where the bins or the windows have changed."""

    fingerprint: str = ""
    windows: tuple[Window, ...] = ()
    tracks: tuple[Track, ...] = ()

    def after(self, report: Report) -> History:
        """The history that this report belongs to as well. A stream that gathers its reference has none."""
        if not report.schema.features:
            return self
        features, tracks = len(report.schema.features), self.tracks
        if (self.fingerprint, self.windows) != (report.schema.fingerprint, report.windows):
            nothing = Track(np.zeros(0, dtype=np.int64), np.zeros((0, len(TRACKED), features), dtype=np.float32))
            tracks = tuple(nothing for _ in report.windows)
        points = points_for(features, len(report.windows))
        rows = [index_of(name) for name in TRACKED]
        looked = report.values[:, rows].astype(np.float32)
        return History(
            report.schema.fingerprint,
            report.windows,
            tuple(
                track.after(report.now_ms, window.pane_ms, looked[at], points)
                for at, (track, window) in enumerate(zip(tracks, report.windows, strict=True))
            ),
        )

    def as_dict(self, feature: int) -> dict[str, list[dict[str, float]]]:
        """The JSON of one feature: per window its points, oldest first; what has no value is absent."""
        return {
            window.name: [_point(track, at, feature) for at in range(len(track.times_ms))]
            for window, track in zip(self.windows, self.tracks, strict=True)
        }


def points_for(features: int, windows: int) -> int:
    """How many points a stream of this size may keep per window.

    >>> points_for(100, 2), points_for(1_000, 2), points_for(10_000, 3)
    (180, 180, 13)
    """
    point_bytes = features * max(windows, 1) * len(TRACKED) * 4
    return max(FEWEST_POINTS, min(POINTS, MOST_BYTES // max(point_bytes, 1)))


def _point(track: Track, at: int, feature: int) -> dict[str, float]:
    known = {
        metric: float(value)
        for metric, value in zip(_METRICS, track.values[at, :, feature], strict=True)
        if np.isfinite(value)
    }
    return {"time_ms": int(track.times_ms[at]), **known}


_METRICS: Final = (*(f"{name}_nats" for name in TRACKED[:-1]), "observations")
