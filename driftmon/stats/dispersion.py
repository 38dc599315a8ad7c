"""Dispersion: how much more than independent draws real counts vary, per coarsening and by scale.

Law: for independent rows phi is 1. Rows that come in sessions, batches, storms or seasons count for
less: n of them say as much as n / phi independent ones, and phi grows with the stretch looked at.
It is measured on blocks of the reference, doubled in size as long as MIN_BLOCKS are left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.coarsenings import Coarsenings
from driftmon.stats.columns import Floats
from driftmon.stats.schema import Counts, Schema
from driftmon.stats.special import chdtri

MIN_BLOCKS: Final = 20  # fewer blocks say too little about a variance
SUSPICION: Final = 2.5  # standard errors by which an average phi must exceed 1: 3 % of independent features do
AT_ONCE: Final = 64  # blocks: what they need stays in the cache
UPPER_TAIL: Final = 0.9  # phi of a coarsening is taken at its upper 90 % limit: too small a phi cries wolf


@dataclass(frozen=True, eq=False)
class Dispersion:
    """`observations` float64[S, F]: mean per block at each scale; `blocks` int64[S, F]; `average` float64[S, F]:
    phi over all bins; `phi` float64[S, G]: upper limits per coarsening; both at least 1 and rising with scale."""

    observations: Floats
    blocks: Counts
    average: Floats
    phi: Floats
    bins: Counts  # int64[F]: the bins the reference uses

    @cached_property
    def dependent(self) -> NDArray[np.bool_]:
        """bool[F]: at some scale the feature varies more than independent rows would."""
        error = np.sqrt(2 / (np.maximum(self.blocks - 1, 1) * np.maximum(self.bins - 1, 1)))
        return np.asarray((self.average > 1 + SUSPICION * error).any(axis=0))

    @cached_property
    def ratio(self) -> Floats:
        """float64[F]: phi at the longest scale known; 1 if independent."""
        return np.where(self.dependent, self.average[-1], 1.0)

    def scale_of(self, observations: Floats) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """For float64[..., F] observations: the scale to use, and whether the reference is long enough to know it."""
        wanted = observations[..., None, :] <= self.observations * (1 + 1e-9)
        known: NDArray[np.bool_] = np.asarray(wanted.any(axis=-2))
        return np.argmax(wanted, axis=-2), known

    def worst(self, schema: Schema) -> Floats:
        """float64[S, F]: the largest phi that a mean over a feature's bins may have, 1 if its rows are independent.

        Of ordered bins the largest of a coarsening. Unordered ones may move together, which no single one shows: all
        that they vary more in one direction is the most.
        """
        found = np.ones(self.average.shape)
        np.maximum.at(found.T, Coarsenings(schema).feature, self.phi.T)
        joint = 1 + np.maximum(self.bins - 1, 0) * (self.average - 1)
        unordered = [feature.binning.positions is None for feature in schema.features]
        found = np.where(unordered, np.maximum(found, joint), found)
        return np.where(self.dependent, found, 1.0)

    def worst_at(self, schema: Schema, observations: Floats) -> Floats:
        """float64[..., F]: the same of so many observations; beyond the longest scale that of the longest."""
        return self.at_scale(self.worst(schema), observations)

    def average_at(self, observations: Floats) -> Floats:
        """float64[..., F]: phi of so many observations; beyond the longest scale its phi; 1 if independent."""
        return np.where(self.dependent, self.at_scale(self.average, observations), 1.0)

    def at_scale(self, phi: Floats, observations: Floats) -> Floats:
        """float64[..., F]: of a phi by scale, float64[S, F], that of so many observations."""
        scale, known = self.scale_of(observations)
        scale = np.where(known, scale, len(self.observations) - 1)
        return np.take_along_axis(phi, scale.reshape(-1, scale.shape[-1]), axis=0).reshape(scale.shape)


def independent(schema: Schema) -> Dispersion:
    """What is assumed of a reference that never showed its panes."""
    features, pairs = len(schema.features), len(Coarsenings(schema).feature)
    none = np.zeros((1, features), dtype=np.int64)
    return Dispersion(np.zeros((1, features)), none, np.ones((1, features)), np.ones((1, pairs)), schema.sizes)


def dispersion(
    schema: Schema, blocks: Counts | Floats, expected: Floats | None = None, fitted: float = 0.0
) -> Dispersion | None:
    """From counts of consecutive blocks, [J, width]; None where there are fewer than MIN_BLOCKS.

    `expected` float64[J, width] is what a known season gives each block, else all are held against the mean of all;
    `fitted` is the share of the blocks' freedom that went into the season, one period out of all.

    phi_g = mean over blocks of (y - N p)² / (N p (1-p)), y the first count of coarsening g, times (J-1) / chi2_.1(J-1).

    >>> from driftmon.stats.divergences import Pair
    >>> steady = np.tile(Pair.of(p=[5, 5], q=[1, 1]).reference.astype(np.int64), (20, 1))
    >>> dispersion(Pair.of(p=[5, 5], q=[1, 1]).schema, steady).average.tolist()
    [[1.0]]
    """
    scales, total = [], blocks.sum(axis=0)
    while len(blocks) >= MIN_BLOCKS:
        scales.append(_scale(schema, blocks, expected, fitted))
        blocks = _doubled(blocks)
        expected = None if expected is None else _doubled(expected)
    if not scales:
        return None
    observations, counts, average, phi = (np.array(part) for part in zip(*scales, strict=True))
    return Dispersion(observations, counts, _rising(average), _rising(phi), used_bins(schema, total))


def _doubled(blocks: NDArray[Any]) -> NDArray[Any]:
    even = len(blocks) // 2 * 2
    return np.asarray(blocks[:even].reshape(even // 2, 2, -1).sum(axis=1))


def _rising(phi: Floats) -> Floats:
    return np.maximum.accumulate(np.maximum(phi, 1.0))


def used_bins(schema: Schema, counts: Counts) -> Counts:
    """int64[F]: how many bins of each feature are not empty."""
    return np.add.reduceat((counts > 0).astype(np.int64), schema.starts)


def _scale(
    schema: Schema, blocks: Counts | Floats, expected: Floats | None, fitted: float
) -> tuple[Floats, Counts, Floats, Floats]:
    pairs = Coarsenings(schema)
    totals = np.add.reduceat(blocks, schema.starts, axis=1).astype(np.float64)
    filled = (totals > 0).sum(axis=0)
    first, of_pair = _sums(pairs, blocks, totals)
    share = np.divide(first, of_pair, out=np.zeros(first.shape), where=of_pair > 0)
    free = np.maximum((filled - 1) * (1 - fitted), 1)
    squares = np.zeros(share.shape)
    for low in range(0, len(blocks), AT_ONCE):
        at = slice(low, low + AT_ONCE)
        season = None if expected is None else expected[at]
        # One after the other from the first block on, as numpy sums rows.
        squares = np.concatenate((squares[None], _squares(pairs, blocks[at], totals[at], share, season))).sum(axis=0)
    upper = np.where(filled > 1, free / chdtri(free, UPPER_TAIL), 1.0)
    phi = squares / free[pairs.feature] * upper[pairs.feature]
    # Σ_k (c - Np)² / (Np) over the bins of a feature is Σ_k (1 - p_k) times the singles' squares above.
    singles = slice(0, pairs.singles)
    inside = np.add.reduceat(squares[singles] * (1 - share[singles]), schema.starts)
    used = used_bins(schema, blocks.sum(axis=0))
    average = np.divide(inside, free * (used - 1), out=np.ones(len(used)), where=used > 1)
    per_block = np.divide(totals.sum(axis=0), filled, out=np.zeros(len(filled)), where=filled > 0)
    return per_block, filled, average, phi


def _sums(pairs: Coarsenings, blocks: Counts | Floats, totals: Floats) -> tuple[Counts | Floats, Floats]:
    """float64[G] twice, over all blocks: the first part of each coarsening, and all of it."""
    if (
        np.issubdtype(blocks.dtype, np.integer) or (blocks == np.rint(blocks)).all()
    ):  # sums of whole numbers are exact in any order
        return pairs.first(blocks.sum(axis=0)), totals.sum(axis=0)[pairs.feature]
    return pairs.first(blocks).sum(axis=0), totals[:, pairs.feature].sum(axis=0)


def _squares(
    pairs: Coarsenings, blocks: Counts | Floats, totals: Floats, share: Floats, expected: Floats | None
) -> Floats:
    """float64[J, G] of a few blocks: (y - N p)² / (N p (1-p))."""
    first, of_pair = pairs.first(blocks).astype(np.float64, copy=False), totals[:, pairs.feature]
    if expected is None:
        mean = of_pair * share
        chance = mean * (1 - share)
    else:
        mean = pairs.first(expected)
        chance = mean * (1 - np.divide(mean, of_pair, out=np.ones(mean.shape), where=of_pair > 0))
    first -= mean
    first *= first
    with np.errstate(divide="ignore", invalid="ignore"):
        first /= chance
    first[chance <= 0] = 0.0
    return first


def _by_feature(schema: Schema) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of all coarsenings, those of a feature together and in their order; and how many each feature has."""
    feature = Coarsenings(schema).feature
    return np.argsort(feature, kind="stable"), np.bincount(feature, minlength=len(schema.features))


def as_dict(schema: Schema, found: Dispersion, by: str) -> dict[str, Any]:
    """What a snapshot keeps; `by` says what the blocks were, "time" or "rows"."""
    order, many = _by_feature(schema)
    ends = np.cumsum(many).tolist()
    scales = []
    for scale in range(len(found.observations)):
        features, phi = {}, found.phi[scale, order].tolist()
        for index, name in enumerate(schema.names):
            features[name] = {
                "observations": float(found.observations[scale, index]),
                "blocks": int(found.blocks[scale, index]),
                "average": float(found.average[scale, index]),
                "phi": phi[ends[index] - int(many[index]) : ends[index]],
            }
        scales.append(features)
    return {"by": by, "bins": found.bins.tolist(), "scales": scales}


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Of two references that are added: the larger phi at each scale that both know; nothing where one knows none.

    Their blocks are gone, so the blocks of both together cannot be measured any more; the larger phi errs on the
    side of fewer alarms.

    >>> a, b = ({"x": {"observations": 9.0, "blocks": 20, "average": phi, "phi": [phi, 2.0]}} for phi in (1.0, 3.0))
    >>> both = merged({"by": "rows", "bins": [2], "scales": [a]}, {"by": "rows", "bins": [2], "scales": [b]})
    >>> both["scales"][0]["x"]["average"], both["scales"][0]["x"]["phi"]
    (3.0, [3.0, 2.0])
    """
    if not one or not other or one["by"] != other["by"]:
        return {}
    pairs = zip(one["scales"], other["scales"], strict=False)
    scales = [{name: _larger(here[name], there[name]) for name in here} for here, there in pairs]
    bins = [max(both) for both in zip(one["bins"], other["bins"], strict=True)]
    return {"by": one["by"], "bins": bins, "scales": scales}


def _larger(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "observations": min(one["observations"], other["observations"]),
        "blocks": min(one["blocks"], other["blocks"]),
        "average": max(one["average"], other["average"]),
        "phi": [max(both) for both in zip(one["phi"], other["phi"], strict=True)],
    }


def from_dict(schema: Schema, tree: Mapping[str, Any]) -> Dispersion | None:
    """The inverse; None where a snapshot keeps none. ValueError where it does not fit the schema."""
    if not tree:
        return None
    order, many = _by_feature(schema)
    try:
        scales = [[scale[name] for name in schema.names] for scale in tree["scales"]]
        phi = np.ones((len(scales), len(order)))
        for row, entries in enumerate(scales):
            if [len(entry["phi"]) for entry in entries] != many.tolist():
                raise ValueError("another number of bins")
            phi[row, order] = [*chain.from_iterable(entry["phi"] for entry in entries)]
        keys = ("observations", "blocks", "average")
        parts = [np.array([[entry[key] for entry in entries] for entries in scales]) for key in keys]
    except (KeyError, TypeError, ValueError) as fault:
        raise ValueError(f"the dispersion does not fit the features ({fault!r}); build the reference again") from fault
    return Dispersion(parts[0], parts[1], parts[2], phi, np.array(tree["bins"], dtype=np.int64))
