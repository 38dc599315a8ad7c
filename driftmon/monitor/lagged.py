"""Lagged: for each lag that evidence is weighed over, the reference it is held against.

Law: where every lag has the same reference, ln E is what one weigher says of all of them, bit for bit.
What a reference fixes is derived once and kept as long as the reference stays the same array.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Generic, Protocol, Self, TypeVar

import numpy as np

from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.divergences import Pair
from driftmon.stats.schema import Counts, Schema


class Weigher(Protocol):
    """What one reference fixes of a bet against it: Tolerance on the divergence, Rise on a mean."""

    @property
    def schema(self) -> Schema: ...
    @property
    def reference(self) -> Floats: ...
    @property
    def dispersion(self) -> Dispersion: ...
    @property
    def radius(self) -> Floats: ...
    @property
    def worth(self) -> Floats: ...
    def against(self, pair: Pair, dispersion: Dispersion) -> Self: ...
    def log_e(self, counts: Floats) -> Floats: ...


AnyWeigher = TypeVar("AnyWeigher", bound=Weigher)


class Lagged(Generic[AnyWeigher]):
    """At first one weigher for all lags; `compare_with` gives each lag its own reference."""

    def __init__(self, weigher: AnyWeigher, lags: int) -> None:
        self._weighers: Sequence[AnyWeigher] = [weigher] * lags

    @property
    def each(self) -> Sequence[AnyWeigher]:
        """Of every lag; the very same object where the reference is the same."""
        return self._weighers

    @property
    def longest(self) -> AnyWeigher:
        """That of the longest lag."""
        return self._weighers[-1]

    def compare_with(self, references: Sequence[Floats], dispersion: Dispersion, pseudocount: float) -> None:
        """Go on with these references, float64[width] for each lag."""
        schema = self.longest.schema
        known = {id(one.reference): one for one in self._weighers if one.dispersion is dispersion}
        for reference in references:
            if id(reference) not in known:
                pair = Pair(schema, reference, np.zeros(schema.width), pseudocount)
                known[id(reference)] = self.longest.against(pair, dispersion)
        self._weighers = [known[id(reference)] for reference in references]

    def log_e(self, sums: Floats) -> Floats:
        """float64[L, F]: ln E of the counts float64[L, width] of each lag."""
        found, low = [], 0
        for _, run in groupby(self._weighers, key=id):
            same = list(run)
            found.append(same[0].log_e(sums[low : low + len(same)]))
            low += len(same)
        return found[0] if len(found) == 1 else np.concatenate(found)

    def reference(self, lag: int) -> Floats:
        """float64[width]: of the lag at this position."""
        return self._weighers[lag].reference

    @property
    def references(self) -> Floats:
        """float64[L, width]: of every lag."""
        width = len(self.longest.reference)
        if all(one is self.longest for one in self._weighers):
            return np.broadcast_to(self.longest.reference, (len(self._weighers), width))
        return np.stack([one.reference for one in self._weighers])

    def reference_by_bin(self, lags: Counts) -> Floats:
        """float64[width]: where each bin goes by the lag at its own position, int64[width]."""
        if all(one is self.longest for one in self._weighers):
            return self.longest.reference
        return np.asarray(np.stack([one.reference for one in self._weighers])[lags, np.arange(len(lags))])
