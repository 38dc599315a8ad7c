"""Boolean bins: false, true, invalid, missing; a value that is neither 0 nor 1 is invalid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from driftmon.stats.columns import Floats
from driftmon.stats.schema import Codes, Counts


@dataclass(frozen=True)
class Binning:
    """
    >>> Binning().codes(np.array([0.0, 1.0, 2.0, np.nan])).tolist()
    [0, 1, 2, 3]
    """

    kind = "boolean"
    tallies: ClassVar[tuple[str, ...]] = ()
    places = None
    positions = None
    regular = 2
    size = 4

    @property
    def cuts(self) -> tuple[Floats, Codes]:
        beyond = np.nextafter((0.0, 1.0), np.inf)
        return np.array((0.0, beyond[0], 1.0, beyond[1])), np.array((2, 0, 2, 1, 2))

    def codes(self, values: Any) -> Codes:
        array = np.asarray(values, dtype=np.float64)
        found = np.full(len(array), 2, dtype=np.int64)
        found[array == 0.0] = 0
        found[array == 1.0] = 1
        found[np.isnan(array)] = 3
        return found

    def counts(self, values: Any) -> Counts:
        array = np.asarray(values, dtype=np.float64)
        false, true, missing = (int(np.count_nonzero(found)) for found in (array == 0.0, array == 1.0, np.isnan(array)))
        return np.array((false, true, len(array) - false - true - missing, missing))

    def labels(self) -> tuple[str, ...]:
        return ("false", "true", "invalid", "missing")

    def as_dict(self) -> dict[str, Any]:
        return {"type": self.kind}
