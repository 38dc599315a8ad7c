"""Lagged: for each lag that evidence is weighed over, the reference it is held against.

Law: where every lag has the same reference, ln E is what one Tolerance says of all of them, bit for bit.
What a reference fixes is derived once and kept as long as the reference stays the same array.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.divergences import Pair
from driftmon.stats.evidence import Tolerance
from driftmon.stats.schema import Counts


class Lagged:
    """At first one tolerance for all lags; `compare_with` gives each lag its own reference."""

    def __init__(self, tolerance: Tolerance, lags: int) -> None:
        self._tolerances: Sequence[Tolerance] = [tolerance] * lags

    @property
    def longest(self) -> Tolerance:
        """That of the longest lag."""
        return self._tolerances[-1]

    def compare_with(self, references: Sequence[Floats], dispersion: Dispersion, pseudocount: float) -> None:
        """Go on with these references, float64[width] for each lag."""
        schema, effect = self.longest.schema, self.longest.effect
        known = {id(one.reference): one for one in self._tolerances if one.dispersion is dispersion}
        for reference in references:
            if id(reference) not in known:
                p = Pair(schema, reference, np.zeros(schema.width), pseudocount).p
                known[id(reference)] = Tolerance(schema, reference, p, effect, dispersion)
        self._tolerances = [known[id(reference)] for reference in references]

    def log_e(self, sums: Floats) -> Floats:
        """float64[L, F]: ln E of the counts float64[L, width] of each lag."""
        found, low = [], 0
        for _, run in groupby(self._tolerances, key=id):
            same = list(run)
            found.append(same[0].log_e(sums[low : low + len(same)]))
            low += len(same)
        return found[0] if len(found) == 1 else np.concatenate(found)

    def reference(self, lag: int) -> Floats:
        """float64[width]: of the lag at this position."""
        return self._tolerances[lag].reference

    @property
    def references(self) -> Floats:
        """float64[L, width]: of every lag."""
        width = len(self.longest.reference)
        if all(one is self.longest for one in self._tolerances):
            return np.broadcast_to(self.longest.reference, (len(self._tolerances), width))
        return np.stack([one.reference for one in self._tolerances])

    def reference_by_bin(self, lags: Counts) -> Floats:
        """float64[width]: where each bin goes by the lag at its own position, int64[width]."""
        if all(one is self.longest for one in self._tolerances):
            return self.longest.reference
        return np.asarray(np.stack([one.reference for one in self._tolerances])[lags, np.arange(len(lags))])
