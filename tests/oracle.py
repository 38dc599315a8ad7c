"""The textbook's formulas, one number at a time, in exact fractions and math.log: a second opinion on the arrays.

Law: nothing here is shared with driftmon. Shares are fractions, so only the logarithm and the last sum round.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

Shares: TypeAlias = Sequence[Fraction]
Positions: TypeAlias = Sequence[float]  # of the regular bins; empty where the bins have no order


def smooth(counts: Sequence[int], pseudocount: float) -> list[Fraction]:
    """(c + a) / (N + a K), exactly."""
    a = Fraction(pseudocount)
    return [(count + a) / (sum(counts) + a * len(counts)) for count in counts]


def cross_entropy(of: Shares, under: Shares) -> float:
    return math.fsum(-float(x) * math.log(y) for x, y in zip(of, under, strict=True) if x)


def entropy(of: Shares) -> float:
    return cross_entropy(of, of)


def kl(of: Shares, under: Shares) -> float:
    return math.fsum(float(x) * math.log(x / y) for x, y in zip(of, under, strict=True) if x)


def js(p: Shares, q: Shares) -> float:
    middle = [(x + y) / 2 for x, y in zip(p, q, strict=True)]
    return (kl(p, middle) + kl(q, middle)) / 2


def psi(p: Shares, q: Shares) -> float:
    return math.fsum(float(y - x) * math.log(y / x) for x, y in zip(p, q, strict=True) if x != y)


def hellinger(p: Shares, q: Shares) -> float:
    return math.sqrt(math.fsum((math.sqrt(x) - math.sqrt(y)) ** 2 for x, y in zip(p, q, strict=True)) / 2)


def total_variation(p: Shares, q: Shares) -> float:
    return float(sum(abs(x - y) for x, y in zip(p, q, strict=True)) / 2)


def cumulative_differences(p: Shares, q: Shares, regular: int) -> list[Fraction]:
    """F_Q - F_P at the right end of each regular bin, both renormalised to the regular bins."""
    p, q = ([share / sum(shares[:regular]) for share in shares[:regular]] for shares in (p, q))
    return [sum(q[: k + 1], Fraction(0)) - sum(p[: k + 1], Fraction(0)) for k in range(regular)]


def ks(p: Shares, q: Shares, positions: Positions) -> float:
    return float(max(map(abs, cumulative_differences(p, q, len(positions)))))


def wasserstein(p: Shares, q: Shares, positions: Positions) -> float:
    exact = [Fraction(position) for position in positions]
    gaps = [high - low for low, high in itertools.pairwise(exact)]
    differences = cumulative_differences(p, q, len(positions))[:-1]
    return float(sum((abs(d) * gap for d, gap in zip(differences, gaps, strict=True)), Fraction(0)))


ORACLE: Mapping[tuple[str, ...], Callable[[Shares, Shares, Positions], float]] = {
    ("kl_divergence", "q_p"): lambda p, q, _: kl(q, p),
    ("kl_divergence", "p_q"): lambda p, q, _: kl(p, q),
    ("cross_entropy", "q_p"): lambda p, q, _: cross_entropy(q, p),
    ("cross_entropy", "p_q"): lambda p, q, _: cross_entropy(p, q),
    ("entropy", "reference"): lambda p, _q, _: entropy(p),
    ("entropy", "live"): lambda _p, q, _: entropy(q),
    ("js_divergence",): lambda p, q, _: js(p, q),
    ("psi",): lambda p, q, _: psi(p, q),
    ("hellinger_distance",): lambda p, q, _: hellinger(p, q),
    ("total_variation_distance",): lambda p, q, _: total_variation(p, q),
    ("ks_distance",): ks,
    ("wasserstein_distance",): wasserstein,
}
