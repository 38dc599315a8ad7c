"""EvidenceBound: never less than ln R of evidence.py, at a tenth of its cost, so that few looks need the whole.

Law: bound >= ln R, or both are more than ENOUGH, for any counts. Every ln Gamma of the bet is replaced by Stirling's,
whose remainder falls and is known, and the largest chance in the null by that of one member: of two bins p̂ itself, of
all bins (1-w) q̂ + w p̂ with w = exp(-tau0), within tau0 of p̂ and no nearer to q̂ than the member evidence.py finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.columns import Floats
from driftmon.stats.evidence import Tolerance

Rows: TypeAlias = NDArray[np.int64]
Columns: TypeAlias = NDArray[np.intp]

LARGEST: Final = 80.0  # of one ln E: e to more of it would overflow float32
ENOUGH: Final = 60.0  # no budget asks so much
LEAST: Final = 1e-30
FEW: Final = 20_000  # up to so many observations of a lag float32 will do, at half the cost
EXACT: Final = 2**24  # float32 has all integers below it
ROUNDINGS: Final = 20.0  # that many half units in the last place of T ln T, the largest term, are more than all errors


@dataclass(frozen=True, eq=False)
class Running:
    """All there was before each of n panes, and before the end: counts per bin float64[n + 1, width], per feature, and
    of each coarsening the first part and the rest. What lies between two of them is one subtraction."""

    counts: Floats
    totals: Floats
    first: Floats
    rest: Floats


@dataclass(frozen=True, eq=False)
class EvidenceBound:
    """Of one reference and effect."""

    tolerance: Tolerance

    def running(self, counts: Floats) -> Running:
        """Of sums float64[n + 1, width]; whole numbers, so that all that is made of them is exact."""
        pairs = self.tolerance.pairs
        if self.tolerance.schema.totals(counts[-1]).max() < EXACT:
            counts = counts.astype(np.float32)
        totals, first = np.add.reduceat(counts, self.tolerance.schema.starts, axis=1), pairs.first(counts)
        return Running(counts, totals, first, totals[:, pairs.feature] - first)

    def log_r(self, running: Running, after: Rows, until: Rows, allowed: NDArray[np.bool_]) -> Floats:
        """float64[P, F] of P looks. Every lag of them is of the panes from row `after` to before row `until`,
        int64[P, L]; bool[P, L, F] of them are allowed."""
        known = self.tolerance
        ends = after.ravel(), until.ravel()
        totals = _between(running.totals, *ends, np.float64)
        scale, within = known.dispersion.scale_of(totals)
        largest = float(totals.max(initial=1.0)) + float(self._of_full[3].max())
        single = largest <= FEW and largest * len(known.schema.features) < EXACT
        slack = ROUNDINGS * 2**-24 * largest * np.log(largest) if single else 0.0
        kind = np.float32 if single else np.float64
        counts, first, rest = (_between(part, *ends, kind) for part in (running.counts, running.first, running.rest))
        totals = totals.astype(kind)
        weights = np.exp(known.log_weights + slack)
        full, two = self._full(counts, totals, scale), self._two(first, rest, totals, scale)
        found = weights[0] * np.exp(np.minimum(full, LARGEST, out=full), out=full)
        np.exp(np.minimum(two, LARGEST, out=two), out=two)
        for view, group in enumerate(known.pairs.groups, start=1):
            if len(group.features):
                sums = np.add.reduceat(two[:, group.at], group.starts, axis=1)
                sizes = np.diff(group.starts, append=group.at.stop - group.at.start)
                found[:, group.features] += weights[view, group.features] * sums / sizes
        said = (within | ~known.dispersion.dependent).reshape(allowed.shape) & allowed
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.where(said, found.reshape(allowed.shape), 0.0).sum(axis=1)))

    @cached_property
    def _divided(self) -> tuple[Columns, Columns, Columns]:
        """Features whose rows depend on one another, their coarsenings and their bins: what evidence.py divides."""
        known, dependent = self.tolerance, self.tolerance.dispersion.dependent
        pairs, bins = dependent[known.pairs.feature], np.repeat(dependent, known.schema.sizes)
        return dependent.nonzero()[0], pairs.nonzero()[0], bins.nonzero()[0]

    @cached_property
    def _phi(self) -> tuple[Floats, Floats]:
        """float64[S, .]: by what, of those coarsenings; and the worst single's of those features."""
        known, (features, pairs, _) = self.tolerance, self._divided
        phi = known.dispersion.phi
        worst = np.maximum.reduceat(phi[:, : known.pairs.singles], known.schema.starts, axis=1)
        return phi[:, pairs], worst[:, features]

    @cached_property
    def _of_full(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Prior and w p̂ per bin; 1 - w, mass, and what does not depend on counts, per feature."""
        known = self.tolerance
        sizes = known.schema.sizes
        mass = (sizes - 1) / (2 * known.effect)
        prior = np.maximum(np.repeat(mass, sizes) * known.p, LEAST)
        weight = np.exp(-known.tau0)
        fixed = (mass - 0.5) * np.log(mass) + 1 / (12 * mass) - known.schema.totals((prior - 0.5) * np.log(prior))
        return prior, np.repeat(weight, sizes) * known.p_raw, 1 - weight, mass, fixed

    def _full(self, counts: Floats, totals: Floats, scale: NDArray[np.int64]) -> Floats:
        """Uses up `counts`."""
        known = self.tolerance
        prior, nearest, rest, mass, fixed = (part.astype(counts.dtype) for part in self._of_full)
        starts, sizes = known.schema.starts, known.schema.sizes
        share = np.divide(rest, totals, out=np.zeros_like(totals), where=totals > 0)
        log_null = np.log(np.maximum(counts * np.repeat(share, sizes, axis=1) + nearest, LEAST))
        features, _, bins = self._divided
        if len(features):
            worst = _chosen(self._phi[1].astype(counts.dtype), scale[:, features])
            totals = totals.copy()
            totals[:, features] /= worst
            counts[:, bins] /= np.repeat(worst, sizes[features], axis=1)
        bet = _stirling(prior + counts, np.empty_like(counts))
        bet -= counts * log_null
        sums = np.add.reduceat(bet, starts, axis=1)
        return sums + fixed - (mass + totals - 0.5) * np.log(mass + totals)

    @cached_property
    def _of_two(self) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
        """Both priors and the logs of both shares of the null's member, per coarsening; mass; what is fixed."""
        known = self.tolerance
        mass = 1 / (2 * known.effect)
        prior = np.clip(known.pairs.first(known.p), 1e-12, 1 - 1e-12) * mass
        beside = mass - prior
        low, high = known.interval
        member = np.clip(np.clip(known.pairs.first(known.p_raw), 0.0, 1.0), low, high)
        member = np.where(member <= 0, high, np.where(member >= 1, low, member))
        log_first, log_rest = np.log(np.maximum(member, LEAST)), np.log(np.maximum(1 - member, LEAST))
        fixed = (mass - 0.5) * np.log(mass) + 1 / (12 * mass)
        fixed = fixed - (prior - 0.5) * np.log(prior) - (beside - 0.5) * np.log(beside)
        return prior, beside, log_first, log_rest, np.array(mass), fixed

    def _two(self, first: Floats, rest: Floats, totals: Floats, scale: NDArray[np.int64]) -> Floats:
        """Uses up `first` and `rest`: the arrays are large, and new ones cost as much as the arithmetic."""
        feature = self.tolerance.pairs.feature
        prior, beside, log_first, log_rest, mass, fixed = (part.astype(first.dtype) for part in self._of_two)
        spent = ((mass + totals - 0.5) * np.log(mass + totals)).take(feature, axis=1)
        if len(pairs := self._divided[1]):
            phi = _chosen(self._phi[0].astype(first.dtype), scale.take(feature[pairs], axis=1))
            some, others = first[:, pairs] / phi, rest[:, pairs] / phi
            first[:, pairs], rest[:, pairs] = some, others
            total = mass + some + others
            spent[:, pairs] = (total - 0.5) * np.log(total)
        spent -= fixed
        beyond = np.multiply(first, log_first)
        spent += beyond
        spent += np.multiply(rest, log_rest, out=beyond)
        first += prior
        rest += beside
        bet = _stirling(first, beyond)
        bet += _stirling(rest, beyond)
        bet -= spent
        return bet


def _between(running: Floats, after: Rows, until: Rows, kind: type[np.floating[Any]]) -> Floats:
    """What lies between two rows of running sums."""
    found = running.take(until, axis=0)
    found -= running.take(after, axis=0)
    return found.astype(kind, copy=False)


def _chosen(table: Floats, row: NDArray[np.int64]) -> Floats:
    """[n, columns]: of each column of a table the value in these rows; np.take_along_axis takes five times as long.

    >>> _chosen(np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[1, 0], [1, 1]])).tolist()
    [[2.0, 1.0], [2.0, 3.0]]
    """
    columns = table.shape[1]
    found: Floats = table.ravel().take(row * columns + np.arange(columns))
    return found


def _stirling(values: Floats, logs: Floats) -> Floats:
    """(x - 1/2) ln x, in place; `logs` is room for as many."""
    np.log(values, out=logs)
    values -= 0.5
    values *= logs
    return values
