"""The numbers of one window, as a table: what a report holds, /metrics exports and rules may name.

Law: `evaluate` is a pure function of counts; equal counts give equal numbers, live or replayed.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

import numpy as np
from msgspec import Struct

from driftmon.monitor.tallies import NAMES as SCORES
from driftmon.monitor.tallies import scores
from driftmon.stats.bounds import bounds
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.divergences import DIVERGENCES, Pair
from driftmon.stats.noise import debiased, mean_surprisal, noise
from driftmon.stats.schema import Special

RATIOS: Final[Mapping[str, Special]] = {
    "missing_ratio": "missing",
    "invalid_ratio": "invalid",
    "unseen_ratio": "unseen",
}


class Quantity(Struct, frozen=True):
    """A metric's name without `driftmon_` and unit, its unit ("" where the name says it), its own labels."""

    name: str
    unit: str = ""
    labels: Mapping[str, str] = {}

    @property
    def metric(self) -> str:
        return f"driftmon_{self.name}_{self.unit}" if self.unit else f"driftmon_{self.name}"


_plain = [Quantity(divergence.name, divergence.unit, divergence.labels) for divergence in DIVERGENCES]
QUANTITIES: Final[tuple[Quantity, ...]] = (
    *_plain[:2],
    Quantity("kl_divergence_debiased", "nats"),
    Quantity("kl_noise_floor", "nats"),
    Quantity("kl_divergence_lower_bound", "nats"),
    Quantity("kl_divergence_upper_bound", "nats"),
    *_plain[2:],
    Quantity("mean_surprisal", "nats"),
    *(Quantity(name) for name in RATIOS),
    Quantity("window_observations"),
    Quantity("effective_observations"),
    *(Quantity(name, "" if name.endswith(("_ratio", "_observations")) else "nats") for name in SCORES),
)
_INDEX: Final = {(quantity.name, *quantity.labels.values()): index for index, quantity in enumerate(QUANTITIES)}


def index_of(name: str, labels: Mapping[str, str] | None = None) -> int:
    """The row of a quantity; KeyError where there is none.

    >>> QUANTITIES[index_of("entropy", {"distribution": "live"})].metric
    'driftmon_entropy_nats'
    """
    return _INDEX[(name, *(labels or {}).values())]


EVERY: Final = frozenset(_INDEX.values())
_ROWS_OF_DIVERGENCES: Final = [(index_of(one.name, one.labels), one) for one in DIVERGENCES]
_ROWS_OF_BOUNDS: Final = {
    index_of("kl_divergence_lower_bound"): None,
    index_of("kl_divergence_upper_bound"): None,
}.keys()
_ROWS_OF_NOISE: Final = {index_of("kl_divergence_debiased"), index_of("kl_noise_floor")} | _ROWS_OF_BOUNDS


def evaluate(pair: Pair, kish: Floats, dispersion: Dispersion, tallies: Floats | None = None) -> Floats:
    """float64[D, features]: every quantity of one window, NaN where it has no meaning.

    `kish` float64[features] is how many observations the live counts stand for: N, or less where the
    window decays; `dispersion` says how much less yet, because they depend on one another. N = 0 leaves nothing but
    the counts themselves. `tallies` are those of the live counts, where features have some.
    """
    values = of_counts(pair, kish, dispersion.average_at(kish))
    if tallies is not None and len(tallies):
        of_mean = dispersion.worst_at(pair.schema, kish)
        values[index_of(SCORES[0]) : index_of(SCORES[-1]) + 1] = scores(pair.schema, pair.live, tallies, kish, of_mean)
    return values


def of_counts(pair: Pair, kish: Floats, phi: Floats, wanted: Set[int] = EVERY) -> Floats:
    """The same but for tallies, with the overdispersion `phi` float64[features]; only the rows `wanted`, others NaN."""
    values = np.full((len(QUANTITIES), len(pair.schema.features)), np.nan)
    for row, divergence in _ROWS_OF_DIVERGENCES:
        if row in wanted:
            values[row] = divergence.of(pair)
    total = pair.live_total
    if wanted & _ROWS_OF_NOISE:
        floor = noise(pair, phi=phi, kish=np.divide(kish, total, out=np.ones(len(total)), where=total > 0))
        values[index_of("kl_divergence_debiased")] = debiased(pair, floor)
        values[index_of("kl_noise_floor")] = floor.floor_nats
        if wanted & _ROWS_OF_BOUNDS:
            values[[*_ROWS_OF_BOUNDS]] = bounds(pair, floor, kish / phi, phi)
    if index_of("mean_surprisal") in wanted:
        values[index_of("mean_surprisal")] = mean_surprisal(pair)
    for name in RATIOS:
        if index_of(name) in wanted:
            values[index_of(name)] = special_share(pair.q_raw, pair, name)
    values[index_of("window_observations")] = total
    values[index_of("effective_observations")] = kish / phi
    values[index_of("missing_ratio") : index_of("window_observations"), total <= 0] = np.nan
    return values


def special_share(shares: Floats, pair: Pair, name: str) -> Floats:
    """float64[features]: the raw share of missing, invalid or unseen; NaN where a feature has no such bin."""
    at = pair.schema.special_bins(RATIOS[name])
    return np.where(at >= 0, shares[at], np.nan) if len(at) else np.zeros(0)
