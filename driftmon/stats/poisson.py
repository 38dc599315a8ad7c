"""Moments of a bin's share of 2N KL(q̂||p) when live and reference counts are independent Poisson variables.

Law: for well filled bins they are those of chi-square with one degree of freedom; for sparse ones they are
summed over the Poisson distribution itself, once, and looked up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, Self

import numpy as np

from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair
from driftmon.stats.special import gammaln, kl_div

SPARSEST: Final = 1e-6  # expected counts below it: at most one observation per bin matters
FULLEST: Final = 200.0  # above it the moments approach their limits as 1/l
GRID: Final = 1024  # points of the table, even in ln l: linear interpolation errs by 5e-5 of the value
PIECES: Final = 16  # of the grid, each summed no further than its own counts reach: a fifth of the time of one piece
LIMITS: Final = (1.0, 2.0, 0.0)  # of m, v and s in a well filled bin: chi-square with one degree


@cache
def _table() -> Floats:
    """float64[3, GRID]: m, v and s by summing over the Poisson distribution itself."""
    return np.concatenate([_moments(*piece) for piece in _pieces()], axis=1)


def _pieces() -> Iterator[tuple[Floats, Floats, Floats]]:
    """Of the grid: l float64[rows, 1], the counts that may occur, float64[counts], and their chances."""
    for piece in np.array_split(np.geomspace(SPARSEST, FULLEST, GRID), PIECES):
        expected, most = piece[:, None], piece[-1]
        count = np.arange(np.ceil(most + 14 * most**0.5) + 20)  # fourteen standard deviations: nothing is left above
        yield expected, count, np.exp(count * np.log(expected) - expected - gammaln(count + 1))


def _moments(expected: Floats, count: Floats, chance: Floats) -> Floats:
    share = 2 * kl_div(count, expected)
    mean = (chance * share).sum(axis=1)
    variance = (chance * (share - mean[:, None]) ** 2).sum(axis=1)
    covariance = (chance * share * (count - expected)).sum(axis=1)
    return np.stack((mean, variance, covariance))


def poisson_moments(expected: Floats) -> tuple[Floats, Floats, Floats]:
    """(m, v, s) of a bin with `expected` = l observations: of h = 2 (c ln(c/l) - c + l) with c ~ Poisson(l),
    the mean, the variance, and the covariance with c. h is the bin's share of G = 2 N KL(q̂||p).

    >>> [round(moment.item(), 3) for moment in poisson_moments(np.array(1000.0))]
    [1.0, 2.001, -0.0]
    >>> [round(moment.item(), 3) for moment in poisson_moments(np.array(1.0))]
    [1.147, 1.365, 0.095]
    """
    found = _interpolated(_table(), LIMITS, expected)
    sparse = expected < SPARSEST
    if sparse.any():  # c is 0, or 1 with probability l
        few = expected[sparse]
        log = np.log(np.maximum(few, 1e-300))
        terms = (-2 * few * log, 4 * few * (1 + log) ** 2, -2 * few * (1 + log))
        for moment, term in zip(found, terms, strict=True):
            moment[sparse] = term
    return found[0], found[1], found[2]


@lru_cache(maxsize=8)
def _reference_table(pseudocount: float) -> Floats:
    """float64[4, GRID]: the moments of `reference_moments`, each times the power of l that levels it."""
    return np.concatenate([_of_reference(*piece, pseudocount) for piece in _pieces()], axis=1)


def _of_reference(expected: Floats, count: Floats, chance: Floats, pseudocount: float) -> Floats:
    log = np.log((count + pseudocount) / expected)
    gap = (count + pseudocount) / expected - 1 - log
    centred = gap - (chance * gap).sum(axis=1)[:, None]
    terms = (log * expected, log**2 * expected, (centred * expected) ** 2, centred * (count - expected) * expected)
    return np.stack([(chance * term).sum(axis=1) for term in terms])


def reference_moments(expected: Floats, pseudocount: float) -> tuple[Floats, Floats, Floats, Floats]:
    """What the reference's own sampling does to a bin with r ~ Poisson(l), l = `expected` = n p; x = (r + a) / l:

    E ln x, E ln² x, Var(x - 1 - ln x) and Cov(x - 1 - ln x, r); for large l: (a - 1/2)/l, 1/l, 1/2l², (a - 1/2)/l.

    >>> [round(moment.item(), 4) for moment in reference_moments(np.array(1000.0), 1.5)]
    [0.001, 0.001, 0.0, 0.001]
    """
    limits = (pseudocount - 0.5, 1.0, 0.5, pseudocount - 0.5)
    found = _interpolated(_reference_table(pseudocount), limits, expected)
    level = np.maximum(expected, SPARSEST)
    return found[0] / level, found[1] / level, found[2] / level**2, found[3] / level


def two_sample_moments(pair: Pair, live: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of 2N KL(q̂||p), float64[features] each, N = `live` and n = `reference` both sampled from p.

    A bin's share is h1(c) + 2 l (x - 1) - 2 c ln x, where l = N p, h1 is poisson_moments' h, x the bin's smoothed p
    over the true one, and c and r independent. What the known sums of c and r take away is subtracted; the
    degrees of freedom, 1 + N/n, are left to the caller. With l = N p the reference's part of a sum over bins is N, or
    N², times one that stays.
    """
    starts = pair.schema.starts
    m, v, s = poisson_moments(np.repeat(live, pair.schema.sizes) * pair.p)
    known = pair.kept.get("sampled")
    if known is None or not np.array_equal(known.reference, reference):
        known = pair.kept["sampled"] = _Sampled.of(pair, reference)
    mean = np.add.reduceat(m, starts) + 2 * live * known.gap
    of_live = np.add.reduceat(v, starts) - 4 * np.add.reduceat(known.u * s, starts)
    spread = of_live + 4 * live * (known.square + live * known.gap_variance)
    with_live = np.add.reduceat(s, starts) - 2 * live * known.mean_u
    with_reference = 2 * live * known.gap_covariance
    return mean, spread - with_live**2 / live - with_reference**2 / reference


@dataclass(frozen=True, eq=False)
class _Sampled:
    """What two_sample_moments needs of a reference worth `reference` float64[features]; it stays for many looks.

    Per bin only `u` = E ln x; the others are sums over a feature's bins.
    """

    reference: Floats
    u: Floats
    mean_u: Floats  # Σ p E ln x
    square: Floats  # Σ p E ln² x
    gap: Floats  # Σ p E (x - 1 - ln x)
    gap_variance: Floats  # Σ p² Var
    gap_covariance: Floats  # Σ p Cov

    @classmethod
    def of(cls, pair: Pair, reference: Floats) -> Self:
        sizes = pair.schema.sizes
        sampled = np.repeat(reference, sizes) * pair.p
        u, square, gap_variance, gap_covariance = reference_moments(sampled, pair.pseudocount)
        shrunk = np.repeat(reference / (reference + pair.pseudocount * sizes), sizes)  # smoothing takes from full bins
        square, u = square + 2 * np.log(shrunk) * u + np.log(shrunk) ** 2, u + np.log(shrunk)
        excess = shrunk * (1 + pair.pseudocount / np.maximum(sampled, SPARSEST)) - 1  # E x - 1
        p = pair.p
        per_bin = (p * u, p * square, p * (excess - u), p * p * gap_variance, p * gap_covariance)
        return cls(reference, u, *(np.add.reduceat(part, pair.schema.starts) for part in per_bin))


def _interpolated(table: Floats, limits: Sequence[float], expected: Floats) -> list[Floats]:
    """Rows of a table over ln l; above FULLEST they approach their limits as 1/l, and nothing is looked up."""
    flat = expected.ravel()
    inside = np.flatnonzero(flat < FULLEST)
    if len(inside) == len(flat):
        rows = _looked_up(table, flat)
    else:
        near = FULLEST / np.maximum(flat, FULLEST)
        rows = [limit + (row[-1] - limit) * near for row, limit in zip(table, limits, strict=True)]
        for row, found in zip(rows, _looked_up(table, flat.take(inside)), strict=True):
            row[inside] = found
    return [row.reshape(expected.shape) for row in rows]


def _looked_up(table: Floats, expected: Floats) -> list[Floats]:
    place = np.log(np.maximum(expected, SPARSEST) / SPARSEST) * ((GRID - 1) / np.log(FULLEST / SPARSEST))
    below = np.minimum(place.astype(np.int64), GRID - 2)
    ratio = place - below
    rest, above = 1 - ratio, below + 1
    return [row.take(below) * rest + row.take(above) * ratio for row in table]
