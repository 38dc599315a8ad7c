"""The same numbers after every observation: three sums per feature that one observation changes in O(1).

Law: a cache, never the truth. It holds counts, agrees with divergences.py on them, is never saved and
never merged. With s = c + a, the smoothed live counts, and S their sum over the feature:

    A = Σ p ln s        H(P,Q) = ln S - A            KL(P||Q) = ln S - A - H(P)
    B = Σ s ln s        H(Q)   = ln S - B/S          KL(Q||P) = (B - C)/S - ln S
    C = Σ s ln p        H(Q,P) = -C/S                PSI = KL(P||Q) + KL(Q||P)

`add_each` changes only B - C, in O(1), and leaves the rest to whoever asks for it next, in O(width).

JS, Hellinger, total variation, KS and Wasserstein are not here: every bin's term changes with S.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log, nan
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair
from driftmon.stats.schema import Codes, Schema

# C grows by the same rounded ln p again and again, so its error is systematic: 1e-12 of KL after a million
# updates without removal, 1e-10 after ten million. Starting afresh from the counts costs one update in a million.
REBASE_AFTER: Final = 2**20
GROWTHS: Final = 4096  # counts for which the growth of s ln s stands in a table


class Running:
    """KL both ways, cross-entropy both ways, entropy and PSI of the live counts, float64[features] in nats.

    NaN where nothing was observed, as in divergences.py. Bins are the schema's flat codes; -1 is not counted.

    >>> from driftmon.stats.schema import Feature
    >>> from driftmon.stats.binnings.boolean import Binning
    >>> running = Running(Schema((Feature("late", Binning()),)), np.array([1.0, 1.0, 0.0, 0.0]), pseudocount=1e-12)
    >>> running.add(np.array([0, 0, 0, 1]))
    >>> running.kl_qp().round(4).tolist()      # ¾ ln(3/2) + ¼ ln(1/2)
    [0.1308]
    """

    def __init__(self, schema: Schema, reference: Floats, pseudocount: float) -> None:
        empty = Pair(schema, np.asarray(reference, dtype=np.float64), np.zeros(schema.width), pseudocount)
        self._schema, self._pseudocount = schema, pseudocount
        self._p, self._log_p = empty.p, empty.log_p
        self._ps, self._log_ps = empty.p.tolist(), empty.log_p.tolist()
        self._has_reference = empty.reference_total > 0
        self._reference_entropy = -schema.totals(self._p * self._log_p)
        self._feature_of = np.repeat(np.arange(len(schema.features)), schema.sizes).tolist()
        self._smoothing = np.asarray(pseudocount * schema.sizes, dtype=np.float64)
        self._priors: list[float] = np.where(self._has_reference, self._smoothing, 0.0).tolist()  # 0: no reference
        self._gap: list[float] = []
        self._static = list(zip(self._feature_of, self._log_ps, strict=True))
        self._growth = [self._grown(held) for held in range(GROWTHS)]
        self.rebase(empty.live)

    @property
    def counts(self) -> Floats:
        """float64[width], a copy: what is being summarised. Exact to 2**53 observations."""
        return np.array(self._counts, dtype=np.float64)

    def add(self, bins: Codes | int) -> None:
        """One observation in each of `bins`; a bin named twice gets two."""
        self._change(bins, +1)

    def add_each(self, bins: Sequence[int]) -> None:
        """The same of a few bins; -1 is not among them. KL(Q||P) follows at once, the rest when it is asked for."""
        counts, static, total, gap, growth = self._counts, self._static, self._total, self._gap, self._growth
        for code in bins:
            feature, log_p = static[code]
            held = counts[code]
            counts[code] = held + 1
            total[feature] += 1
            gap[feature] += (growth[held] if held < GROWTHS else self._grown(held)) - log_p
        self._updates += len(bins)
        self._behind = True
        if self._updates >= REBASE_AFTER:
            self.rebase(self.counts)

    def _grown(self, held: int) -> float:
        """By how much s ln s grows with the next observation."""
        low = held + self._pseudocount
        return (low + 1) * log(low + 1) - low * log(low)

    def remove(self, bins: Codes | int) -> None:
        """Take observations back; ValueError, and nothing changes, where a bin has not got so many."""
        self._change(bins, -1)

    def rebase(self, counts: Floats) -> None:
        """Start afresh from counts, float64[width]: O(width), and no rounding of the past remains."""
        held = np.array(counts, dtype=np.float64)
        smoothed = held + self._pseudocount
        logs = np.log(smoothed)
        terms = (held, self._p * logs, smoothed * logs, smoothed * self._log_p)
        self._total, self._a, self._b, self._c = (self._schema.totals(term).tolist() for term in terms)
        self._gap = [b - c for b, c in zip(self._b, self._c, strict=True)]
        self._counts, self._logs = held.astype(np.int64).tolist(), logs.tolist()
        self._updates, self._behind = 0, False

    def _change(self, bins: Codes | int, sign: int) -> None:
        times = Counter(code for code in np.ravel(bins).tolist() if code >= 0)
        self._catch_up()
        for code, change in times.items():
            if self._counts[code] + sign * change < 0:
                raise ValueError(f"bin {code} would fall below zero: remove only what was added")
        for code, change in times.items():
            self._update(code, sign * change)
        self._updates += times.total()
        self._freshen()

    def _update(self, code: int, change: int) -> None:
        feature, low, log_low = self._feature_of[code], self._counts[code] + self._pseudocount, self._logs[code]
        high = low + change
        log_high = log(high)
        self._counts[code] += change
        self._logs[code] = log_high
        self._total[feature] += change
        self._a[feature] += self._ps[code] * (log_high - log_low)
        grown, weighed = high * log_high - low * log_low, change * self._log_ps[code]
        self._b[feature] += grown
        self._c[feature] += weighed
        self._gap[feature] += grown - weighed

    def _freshen(self) -> None:
        if self._updates >= REBASE_AFTER:
            self.rebase(self.counts)

    def _catch_up(self) -> None:
        """What `add_each` left for later."""
        if self._behind:
            self.rebase(self.counts)

    def kl_qp_of(self, feature: int) -> float:
        """That of one feature, by its number, without arrays; NaN as in `kl_qp`."""
        prior, total = self._priors[feature], self._total[feature]
        if not total or not prior:
            return nan
        smoothed: float = total + prior
        return max(self._gap[feature] / smoothed - log(smoothed), 0.0)

    def entropy(self) -> Floats:
        """H(Q)."""
        self._catch_up()
        return _where(self._has_live, np.log(self._smoothed_total) - np.array(self._b) / self._smoothed_total)

    def cross_entropy_qp(self) -> Floats:
        """H(Q,P): the mean of -ln p(x) over the (smoothed) live observations."""
        self._catch_up()
        return _where(self._has_both, -np.array(self._c) / self._smoothed_total)

    def cross_entropy_pq(self) -> Floats:
        """H(P,Q)."""
        self._catch_up()
        return _where(self._has_both, np.log(self._smoothed_total) - np.array(self._a))

    def kl_qp(self) -> Floats:
        """KL(Q||P) = H(Q,P) - H(Q)."""
        found = np.array(self._gap) / self._smoothed_total - np.log(self._smoothed_total)
        return np.maximum(_where(self._has_both, found), 0.0)

    def kl_pq(self) -> Floats:
        """KL(P||Q) = H(P,Q) - H(P)."""
        return np.maximum(self.cross_entropy_pq() - self._reference_entropy, 0.0)

    def psi(self) -> Floats:
        """KL(Q||P) + KL(P||Q)."""
        return self.kl_qp() + self.kl_pq()

    @property
    def _smoothed_total(self) -> Floats:
        found: Floats = np.array(self._total) + self._smoothing
        return found

    @property
    def _has_live(self) -> NDArray[np.bool_]:
        return np.array(self._total) > 0

    @property
    def _has_both(self) -> NDArray[np.bool_]:
        return self._has_live & self._has_reference


def _where(known: NDArray[np.bool_], values: Floats) -> Floats:
    return np.where(known, values, np.nan)
