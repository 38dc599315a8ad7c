"""Coarsenings: every way in which a feature's bins are seen as two, the first and the rest.

Law: KL cannot grow by merging bins, so what bounds the full histogram bounds every coarsening.
Singles (one bin against the rest) find local shifts, cuts (bins up to k against those above, ordered
features only) find shifts of location: each has one degree of freedom instead of K - 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.columns import Floats
from driftmon.stats.schema import Schema


@dataclass(frozen=True)
class Coarsenings:
    """All singles of all features, then all cuts; G in all, each a pair (first count, the feature's total)."""

    schema: Schema

    @cached_property
    def _cut_bins(self) -> NDArray[np.int64]:
        """The flat bins after which a cut is made: the regular ones of ordered features but for the last."""
        ordered = [feature.binning.positions is not None for feature in self.schema.features]
        regular = [feature.binning.regular for feature in self.schema.features]
        spans = zip(self.schema.starts.tolist(), regular, ordered, strict=True)
        found = [np.arange(start, start + count - 1) for start, count, in_order in spans if in_order]
        return np.concatenate([np.zeros(0, dtype=np.int64), *found])

    @cached_property
    def feature(self) -> NDArray[np.int64]:
        """int64[G]: the feature of each coarsening."""
        of_bin = np.repeat(np.arange(len(self.schema.features)), self.schema.sizes)
        return np.concatenate((of_bin, of_bin[self._cut_bins]))

    @cached_property
    def singles(self) -> int:
        """How many of the G are singles: one a bin."""
        return self.schema.width

    @cached_property
    def cut_starts(self) -> NDArray[np.int64]:
        """Where each ordered feature's cuts begin among the cuts."""
        of_cut = self.feature[self.singles :]
        return np.flatnonzero(np.diff(of_cut, prepend=-1))

    @cached_property
    def with_cuts(self) -> NDArray[np.bool_]:
        """bool[features]: has at least one cut."""
        found = np.zeros(len(self.schema.features), dtype=np.bool_)
        found[self.feature[self.singles :]] = True
        return found

    def first(self, per_bin: Floats) -> Floats:
        """float64[..., G]: the first part of each coarsening of something per bin, float64[..., width].

        >>> from driftmon.stats.divergences import Pair
        >>> pair = Pair.of(p=[1, 2, 4], q=[1, 1, 1], edges=[0, 10])
        >>> Coarsenings(pair.schema).first(pair.reference).tolist()      # five singles, two cuts
        [1.0, 2.0, 4.0, 0.0, 0.0, 1.0, 3.0]
        """
        running = np.cumsum(per_bin, axis=-1)
        before = np.concatenate((np.zeros((*running.shape[:-1], 1)), running), axis=-1)
        starts = self.schema.starts[self.feature[self.singles :]]
        cuts = before[..., self._cut_bins + 1] - before[..., starts]
        return np.concatenate((per_bin, cuts), axis=-1)
