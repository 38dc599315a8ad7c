"""Status: one word per feature for people, and the seconds that a burn rate is made of.

Law: the first of STALE, DRIFT by a threshold, WARMING_UP, WEAK_REFERENCE, INSUFFICIENT_DATA, DRIFT by evidence,
SIGNIFICANT that applies, else OK. A stream that still gathers its reference is WARMING_UP as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.assessment import Assessment
from driftmon.monitor.quantities import index_of
from driftmon.monitor.report import Status
from driftmon.stats.columns import Floats
from driftmon.stats.schema import Counts


class Statuses:
    """By feature; the very same mapping for as long as nothing in it changes."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._codes = np.zeros(0, dtype=np.int64)
        self._named: Mapping[str, Status] = {}

    def look(
        self, assessment: Assessment, values: Floats, seen: Floats, quiet: NDArray[np.bool_], gathering: bool
    ) -> Mapping[str, Status]:
        """A status per feature; `quiet` bool[F]: not seen for too long; `gathering`: there is no P yet.

        `seen` float64[W, F]: the observations that `min_observations` is about.
        """
        codes = _codes(assessment, values, seen, quiet, gathering)
        if not np.array_equal(codes, self._codes):
            by_code = {int(status): status for status in Status}
            named = zip(self._names, codes.tolist(), strict=True)
            self._codes, self._named = codes, {name: by_code[code] for name, code in named}
        return self._named


def _codes(
    assessment: Assessment, values: Floats, seen: Floats, quiet: NDArray[np.bool_], gathering: bool
) -> NDArray[np.int64]:
    weak, significant = np.zeros(len(quiet), dtype=np.bool_), np.zeros(len(quiet), dtype=np.bool_)
    for calibration in assessment.calibrations.values():
        weak |= calibration.weak
        if calibration.finding is not None:
            significant |= calibration.finding.flagged
    insufficient = assessment.insufficient(seen, values[:, index_of("kl_noise_floor")])
    said = {
        Status.STALE: quiet,
        Status.DRIFT: assessment.firing_fixed(),
        Status.WARMING_UP: np.full(len(quiet), gathering),
        Status.WEAK_REFERENCE: weak,
        Status.INSUFFICIENT_DATA: insufficient,
    }
    evidence = {Status.DRIFT: assessment.firing(), Status.SIGNIFICANT: significant}
    codes: NDArray[np.int64] = np.select([*said.values(), *evidence.values()], [*said, *evidence], Status.OK)
    return codes


class Stopwatch:
    """Milliseconds per feature that were judged, and of these in drift: the two counters of a burn rate."""

    def __init__(self, features: int, longest_step_ms: int) -> None:
        self.drift_ms = np.zeros(features, dtype=np.int64)
        self.evaluated_ms = np.zeros(features, dtype=np.int64)
        self._longest_step_ms = longest_step_ms
        self.at_ms: int | None = None

    def advance(self, at_ms: int, judged: NDArray[np.bool_], drifting: NDArray[np.bool_]) -> None:
        """Add the time since the last look, at most one pane: silence is no evidence of health."""
        passed_ms = 0 if self.at_ms is None else min(max(at_ms - self.at_ms, 0), self._longest_step_ms)
        self.at_ms = at_ms
        self.evaluated_ms = self.evaluated_ms + np.where(judged, passed_ms, 0)
        self.drift_ms = self.drift_ms + np.where(drifting, passed_ms, 0)

    def pass_by(self, ends_ms: Sequence[int], judged: NDArray[np.bool_]) -> None:
        """Several looks in which nothing drifted, bool[looks, features]: the same as to advance at each."""
        steps_ms = np.diff(ends_ms, prepend=ends_ms[0] if self.at_ms is None else self.at_ms)
        passed_ms = np.clip(steps_ms, 0, self._longest_step_ms)
        self.evaluated_ms = self.evaluated_ms + (judged * passed_ms[:, None]).sum(axis=0)
        self.at_ms = ends_ms[-1]

    def restore(self, evaluated_ms: Counts, drift_ms: Counts, at_ms: int | None) -> None:
        """Go on from an earlier run's."""
        self.evaluated_ms, self.drift_ms, self.at_ms = evaluated_ms, drift_ms, at_ms
