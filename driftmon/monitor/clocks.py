"""Clocks: what a monitor knows of time and what does not add: kept over a restart beside its counts.

Law: per feature, in the order of the schema; a feature that is new begins at nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.columns import Floats
from driftmon.stats.schema import Counts

Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True)
class Clocks:
    """`last_ms`: when each feature was last there; `evaluated_ms` and `drift_ms`: the pair of a burn rate.

    `surprisal_nats` is the sum over the rows in `counted`, where P moves. `start_ms`: since when silence is
    measured, `looked_ms`: the last evaluation.
    """

    last_ms: Counts
    evaluated_ms: Counts
    drift_ms: Counts
    surprisal_nats: Floats
    counted: Counts
    start_ms: int | None = None
    looked_ms: int | None = None

    def of(self, names: Sequence[str], wanted: Sequence[str], counted: Counts) -> Clocks:
        """For the features `wanted`, of which `counted` has the counts, where these are for `names`.

        >>> one = Clocks(np.array([5]), np.array([6]), np.array([7]), np.array([0.5]), np.array([1]))
        >>> one.of(["a"], ["b", "a"], np.array([0, 1])).last_ms.tolist()
        [0, 5]
        """
        at = {name: index for index, name in enumerate(names)}

        def moved(values: NDArray[Number]) -> NDArray[Number]:
            result = np.zeros(len(wanted), dtype=values.dtype)
            for index, name in enumerate(wanted):
                if name in at:
                    result[index] = values[at[name]]
            return result

        return Clocks(
            moved(self.last_ms),
            moved(self.evaluated_ms),
            moved(self.drift_ms),
            moved(self.surprisal_nats),
            counted,
            self.start_ms,
            self.looked_ms,
        )
