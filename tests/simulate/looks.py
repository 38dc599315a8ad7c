"""Looks: one look at a time. How often noise alone passes its floor, how often a bound misses the truth.

Law: nominal levels are what a user reads off, so they are held against draws from a known truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import rel_entr

from driftmon.stats.binnings import numeric
from driftmon.stats.bounds import bounds
from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair
from driftmon.stats.noise import noise, raw_kl
from tests.simulate.tables import markdown, percent
from tests.simulate.worlds import runs_schema

KNOWN = 10**12  # reference observations: P is known
PSEUDOCOUNT = 0.5


def uniform(size: int) -> Floats:
    return np.full(size, 1 / size)


def zipf(size: int) -> Floats:
    weights = np.arange(1.0, size + 1) ** -1.5
    return np.asarray(weights / weights.sum())


def geometric(size: int) -> Floats:
    weights = np.exp2(-np.arange(size, dtype=np.float64))
    return np.asarray(weights / weights.sum())


LAWS = {"uniform": uniform, "zipf 1.5": zipf, "geometric": geometric}


def pair_of(reference: Floats, live: Floats) -> Pair:
    """One feature per run: counts float64[runs, K] of regular bins; invalid and missing stay empty."""
    runs, size = live.shape
    schema = runs_schema(runs, numeric.Binning(tuple(float(edge) for edge in range(1, size))))
    padding = ((0, 0), (0, int(schema.sizes[0]) - size))
    p_counts, q_counts = (np.pad(np.broadcast_to(side, live.shape), padding).ravel() for side in (reference, live))
    return Pair(schema, p_counts, q_counts, PSEUDOCOUNT)


def drawn_pair(rng: np.random.Generator, p: Floats, n: int, q: Floats, observations: int, runs: int) -> Pair:
    """Live draws from Q against a reference of n draws from P, or against P itself where n is KNOWN."""
    reference = p[None, :] * n if n == KNOWN else rng.multinomial(n, p, size=runs)
    return pair_of(np.asarray(reference, dtype=np.float64), rng.multinomial(observations, q, size=runs).astype(float))


def floor_rate(law: str, size: int, observations: int, n: int, runs: int, seed: int = 1) -> float:
    """The share of looks without drift whose KL lies above its 99 % noise floor."""
    p = LAWS[law](size)
    pair = drawn_pair(np.random.default_rng(seed), p, n, p, observations, runs)
    return float((raw_kl(pair) > noise(pair).floor_nats).mean())


def tilted(p: Floats, wanted: float, rng: np.random.Generator) -> Floats:
    """A Q in a random direction from P with this KL(Q||P)."""
    direction, low, high = rng.normal(size=len(p)), 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        q = p * np.exp(middle * direction)
        q /= q.sum()
        low, high = (middle, high) if rel_entr(q, p).sum() < wanted else (low, middle)
    return np.asarray(q)


@dataclass(frozen=True)
class Miss:
    """Shares of looks whose bound at 95 % lies on the wrong side of the truth."""

    lower: float
    upper: float


def coverage(law: str, size: int, wanted: float, observations: int, n: int, runs: int, seed: int = 2) -> Miss:
    """Both one-sided bounds at 95 % against the true KL(Q||P)."""
    rng, p = np.random.default_rng(seed), LAWS[law](size)
    q = tilted(p, wanted, rng) if wanted else p
    pair = drawn_pair(rng, p, n, q, observations, runs)
    low, high = bounds(pair, noise(pair), pair.live_total, np.ones(runs), level=0.95)
    truth = float(rel_entr(q, p).sum())
    return Miss(float((low > truth).mean()), float((high < truth).mean()))


def floor_table(runs: int) -> str:
    """False alarms per look at nominal 1 %."""
    rows = []
    for law, size in (("uniform", 10), ("uniform", 64), ("uniform", 256), ("zipf 1.5", 64), ("zipf 1.5", 256)):
        for observations in (50, 200, 1000, 10_000, 100_000):
            if observations < size / 4:
                continue
            rates = [floor_rate(law, size, observations, n, runs) for n in (KNOWN, 500, 20_000)]
            rows.append([f"{law}, K = {size}", f"{observations:,}", *map(percent, rates)])
    for observations in (50, 200, 1000, 10_000, 100_000):
        rates = [floor_rate("geometric", 32, observations, n, runs) for n in (KNOWN, 500, 20_000)]
        rows.append(["geometric, K = 32", f"{observations:,}", *map(percent, rates)])
    return markdown(["P", "N", "P known", "n = 500", "n = 20,000"], rows)


def coverage_table(runs: int) -> str:
    """How often the bounds at 95 % miss, at most 5 % each if all is well."""
    rows = []
    for law, size in (("uniform", 16), ("uniform", 64), ("zipf 1.5", 16), ("zipf 1.5", 64)):
        for observations in (1000, 10_000, 100_000):
            for wanted in (0.0, 0.02, 0.1, 0.5):
                miss = coverage(law, size, wanted, observations, 20_000, runs)
                truth = f"{wanted:g}"
                rows.append(
                    [f"{law}, K = {size}", f"{observations:,}", truth, percent(miss.lower), percent(miss.upper)]
                )
    return markdown(["P", "N", "true KL", "lower > truth", "upper < truth"], rows)
