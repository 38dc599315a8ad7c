"""The same numbers after every observation: three sums per feature that one observation changes in O(1).

Law: a cache, never the truth. It holds counts, agrees with divergences.py on them, is never saved and
never merged. With s = c + a, the smoothed live counts, and S their sum over the feature:

    A = Σ p ln s        H(P,Q) = ln S - A            KL(P||Q) = ln S - A - H(P)
    B = Σ s ln s        H(Q)   = ln S - B/S          KL(Q||P) = (B - C)/S - ln S
    C = Σ s ln p        H(Q,P) = -C/S                PSI = KL(P||Q) + KL(Q||P)

JS, Hellinger, total variation, KS and Wasserstein are not here: every bin's term changes with S.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair
from driftmon.stats.schema import Codes, Schema

# C grows by the same rounded ln p again and again, so its error is systematic: 1e-12 of KL after a million
# updates without removal, 1e-10 after ten million. Starting afresh from the counts costs one update in a million.
REBASE_AFTER: Final = 2**20


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
        self._has_reference = empty.reference_total > 0
        self._reference_entropy = -schema.totals(self._p * self._log_p)
        self._feature_of = np.repeat(np.arange(len(schema.features)), schema.sizes)
        self.rebase(empty.live)

    @property
    def counts(self) -> Floats:
        """float64[width], a copy: what is being summarised. Exact to 2**53 observations."""
        return self._counts.copy()

    def add(self, bins: Codes | int) -> None:
        """One observation in each of `bins`; a bin named twice gets two."""
        self._change(bins, +1)

    def remove(self, bins: Codes | int) -> None:
        """Take observations back; ValueError, and nothing changes, where a bin has not got so many."""
        self._change(bins, -1)

    def rebase(self, counts: Floats) -> None:
        """Start afresh from counts, float64[width]: O(width), and no rounding of the past remains."""
        self._counts = np.array(counts, dtype=np.float64)
        smoothed = self._counts + self._pseudocount
        logs = np.log(smoothed)
        terms = (self._counts, smoothed, self._p * logs, smoothed * logs, smoothed * self._log_p)
        self._total, self._smoothed_total, self._a, self._b, self._c = map(self._schema.totals, terms)
        self._updates = 0

    def _change(self, bins: Codes | int, sign: int) -> None:
        flat = np.ravel(bins)
        touched, times = np.unique(flat[flat >= 0], return_counts=True)
        before = self._counts[touched]
        after = before + sign * times
        if (after < 0).any():
            raise ValueError(f"bin {touched[after < 0][0]} would fall below zero: remove only what was added")
        self._update(touched, before, after)
        self._updates += int(times.sum())
        if self._updates >= REBASE_AFTER:
            self.rebase(self._counts)

    def _update(self, bins: Codes, before: Floats, after: Floats) -> None:
        """Bins, each once, go from `before` to `after`: one bin or many, up or down."""
        low, high = before + self._pseudocount, after + self._pseudocount
        features, difference = self._feature_of[bins], after - before
        self._counts[bins] = after
        np.add.at(self._total, features, difference)
        np.add.at(self._smoothed_total, features, difference)
        np.add.at(self._a, features, self._p[bins] * np.log(high / low))
        np.add.at(self._b, features, high * np.log(high) - low * np.log(low))
        np.add.at(self._c, features, difference * self._log_p[bins])

    def entropy(self) -> Floats:
        """H(Q)."""
        return _where(self._has_live, np.log(self._smoothed_total) - self._b / self._smoothed_total)

    def cross_entropy_qp(self) -> Floats:
        """H(Q,P): the mean of -ln p(x) over the (smoothed) live observations."""
        return _where(self._has_both, -self._c / self._smoothed_total)

    def cross_entropy_pq(self) -> Floats:
        """H(P,Q)."""
        return _where(self._has_both, np.log(self._smoothed_total) - self._a)

    def kl_qp(self) -> Floats:
        """KL(Q||P) = H(Q,P) - H(Q)."""
        return np.maximum(self.cross_entropy_qp() - self.entropy(), 0.0)

    def kl_pq(self) -> Floats:
        """KL(P||Q) = H(P,Q) - H(P)."""
        return np.maximum(self.cross_entropy_pq() - self._reference_entropy, 0.0)

    def psi(self) -> Floats:
        """KL(Q||P) + KL(P||Q)."""
        return self.kl_qp() + self.kl_pq()

    @property
    def _has_live(self) -> NDArray[np.bool_]:
        return self._total > 0

    @property
    def _has_both(self) -> NDArray[np.bool_]:
        return self._has_live & self._has_reference


def _where(known: NDArray[np.bool_], values: Floats) -> Floats:
    return np.where(known, values, np.nan)
