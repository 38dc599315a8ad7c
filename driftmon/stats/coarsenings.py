"""Coarsenings: every way in which a feature's bins are seen as two, the first and the rest.

Law: KL cannot grow by merging bins, so what bounds the full histogram bounds every coarsening.
Singles (one bin against the rest) find local shifts. Of ordered features, cuts (bins up to k against those
above) find shifts of location and bands (the middle ones against the outer) shifts of scale and second
humps. Each has one degree of freedom instead of K - 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.schema import Schema


@dataclass(frozen=True, eq=False)
class Group:
    """Some of the G coarsenings, `at`: `starts` where each of the `features` (numbers) that have any begins within."""

    at: slice
    features: NDArray[np.int64]
    starts: NDArray[np.int64]


@dataclass(frozen=True)
class Coarsenings:
    """All singles of all features, then all cuts, then all bands: G pairs of a first count and the feature's total."""

    schema: Schema

    @cached_property
    def _spans(self) -> NDArray[np.int64]:
        """int64[3, ordered]: each ordered feature, its first and its last regular flat bin."""
        ordered = [feature.binning.positions is not None for feature in self.schema.features]
        at = np.flatnonzero(ordered)
        regular = np.array([self.schema.features[feature].binning.regular for feature in at], dtype=np.int64)
        firsts = self.schema.starts[at]
        return np.array([at, firsts, firsts + regular - 1], dtype=np.int64)

    @cached_property
    def _cuts(self) -> NDArray[np.int64]:
        """int64[3, cuts]: feature, first and last flat bin."""
        at, firsts, lasts = self._spans
        which, number = _runs(lasts - firsts)
        return np.array([at[which], firsts[which], firsts[which] + number])

    @cached_property
    def _bands(self) -> NDArray[np.int64]:
        """int64[3, bands]: the same; a band of one bin is a single already."""
        at, firsts, lasts = self._spans
        which, number = _runs(np.maximum((lasts - firsts + 1) // 2 - 1, 0))
        return np.array([at[which], firsts[which] + number + 1, lasts[which] - number - 1])

    @cached_property
    def feature(self) -> NDArray[np.int64]:
        """int64[G]: the feature of each coarsening."""
        singles = np.repeat(np.arange(len(self.schema.features)), self.schema.sizes)
        return np.concatenate((singles, self._cuts[0], self._bands[0]))

    @cached_property
    def singles(self) -> int:
        """How many of the G are singles: one a bin."""
        return self.schema.width

    @cached_property
    def groups(self) -> tuple[Group, Group, Group]:
        """Singles, cuts and bands."""
        ends = np.cumsum([0, self.singles, self._cuts.shape[1], self._bands.shape[1]]).tolist()
        slices = [slice(low, high) for low, high in pairwise(ends)]
        one, two, three = (Group(at, *np.unique(self.feature[at], return_index=True)) for at in slices)
        return one, two, three

    def first(self, per_bin: NDArray[Any]) -> NDArray[Any]:
        """[..., G]: the first part of each coarsening of something per bin, [..., width]; of its type.

        >>> from driftmon.stats.divergences import Pair
        >>> pair = Pair.of(p=[1, 2, 4], q=[1, 1, 1], edges=[0, 10])
        >>> Coarsenings(pair.schema).first(pair.reference).tolist()      # five singles, two cuts
        [1.0, 2.0, 4.0, 0.0, 0.0, 1.0, 3.0]
        """
        running = np.cumsum(per_bin, axis=-1)
        before = np.concatenate((np.zeros((*running.shape[:-1], 1), running.dtype), running), axis=-1)
        runs = np.concatenate((self._cuts, self._bands), axis=1)
        return np.concatenate((per_bin, before[..., runs[2] + 1] - before[..., runs[1]]), axis=-1)


def _runs(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of runs laid side by side: which run an entry is in, and its number there.

    >>> _runs(np.array([2, 0, 1]))[0].tolist(), _runs(np.array([2, 0, 1]))[1].tolist()
    ([0, 0, 2], [0, 1, 0])
    """
    which = np.repeat(np.arange(len(lengths)), lengths)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
