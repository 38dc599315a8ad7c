"""The same numbers after every observation: KL(Q||P) by what each of them adds, in O(1); the rest from the counts.

Law: a cache, never the truth. It holds counts, agrees with divergences.py on them, is never saved and never merged.
With s = c + a, the smoothed live counts, and S their sum over the feature, S KL(Q||P) = Σ s ln(s/p) - S ln S, and an
observation in a bin adds (s + 1) ln(s + 1) - s ln s - ln p to the sum. So n observations after an anchor, where KL was
KL0 and S was S0,

    KL(Q||P) = KL0 + D/S - ln(S/S0)        D: the sum of what each added beyond KL0 + ln S0

All three are small, so nothing large cancels. The anchor is the definition's own value, and a new one is taken in time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain, pairwise
from math import isnan, log, log1p, nan
from typing import Any, Final

import numpy as np

from driftmon.stats.columns import ABSENT, Floats
from driftmon.stats.divergences import DIVERGENCES, Divergence, Pair, kl_qp
from driftmon.stats.schema import Schema
from driftmon.stats.single import single

REBASE_AFTER: Final = 2**14  # events: the rounding of D stays below 1e-12 nats, and it is one step in many
GROWTHS: Final = 2**16  # counts for which the growth of s ln s stands in a table, of 2 MB


class Running:
    """KL both ways, cross-entropy both ways, entropy and PSI of the live counts, float64[features] in nats.

    NaN where nothing was observed, as in divergences.py. Of each feature a single value must decide the bin.

    >>> from driftmon.stats.schema import Feature
    >>> from driftmon.stats.binnings.boolean import Binning
    >>> running = Running(Schema((Feature("late", Binning()),)), np.array([1.0, 1.0, 0.0, 0.0]), pseudocount=1e-12)
    >>> for late in (False, False, False, True):
    ...     running.observe({"late": late})
    >>> running.kl_qp().round(4).tolist()      # ¾ ln(3/2) + ¼ ln(1/2)
    [0.1308]
    """

    def __init__(self, schema: Schema, reference: Floats, pseudocount: float) -> None:
        self._pair = Pair(schema, np.asarray(reference, dtype=np.float64), np.zeros(schema.width), pseudocount)
        self._growth = _growths(pseudocount)
        self._bins = list(pairwise([*schema.starts.tolist(), schema.width]))
        self._singles = [single(feature) for feature in schema.features]
        self.rebase(self._pair.live)

    @property
    def counts(self) -> Floats:
        """float64[width], a copy: what is being summarised. Exact to 2**53 observations."""
        return np.fromiter(chain.from_iterable(self._counts), np.float64, self._pair.schema.width)

    def rebase(self, counts: Floats) -> None:
        """Start afresh from counts, float64[width]: O(width), and no rounding of the past remains."""
        schema = self._pair.schema
        self._pair = pair = self._pair.beside(np.array(counts, dtype=np.float64))
        smoothed = pair.live_total + pair.pseudocount * schema.sizes
        defined = _KL_QP.of(pair)
        anchor = np.where(np.isnan(defined), schema.totals(kl_qp(pair)), defined)  # of nothing live it is that of a
        beyond = (pair.log_p + np.repeat(anchor + np.log(smoothed), schema.sizes)).tolist()
        anchor[pair.reference_total <= 0] = nan
        held = pair.live.astype(np.int64).tolist()
        self._anchor, self._smoothed, self._before = anchor.tolist(), smoothed.tolist(), pair.live_total.tolist()
        self._counts = [held[low:high] for low, high in self._bins]
        self._moved, self._skipped, self._rows = [0.0] * len(self._bins), [0] * len(self._bins), 0
        own = zip(schema.features, self._singles, self._counts, self._bins, strict=True)
        self._plan = [
            (at, feature.name, *how, mine, beyond[low:high]) for at, (feature, how, mine, (low, high)) in enumerate(own)
        ]

    def observe(self, event: Mapping[str, Any]) -> None:
        """Count an event, a map from names to values; whatever it raises, start afresh from counts after that."""
        get, moved, growth = event.get, self._moved, self._growth
        for at, name, plain, table, last, code_of, counts, beyond in self._plan:
            value: Any = get(name, ABSENT)
            if type(value) is not plain:
                if (code := code_of(value)) < 0:
                    self._skipped[at] += 1
                    continue
            elif plain is float:
                code = bisect_right(table, value)
                if code == last and isnan(value):  # no edge is above it
                    code = last + 2
            else:
                code = table.get(value, last)
            held = counts[code]
            counts[code] = held + 1
            moved[at] += (growth[held] if held < GROWTHS else self._grown(held)) - beyond[code]
        self._rows += 1
        if self._rows >= REBASE_AFTER:
            self.rebase(self.counts)

    def _grown(self, held: int) -> float:
        """By how much s ln s grows with the next observation; well conditioned, whatever s."""
        smoothed = held + self._pair.pseudocount
        return log(smoothed + 1) + smoothed * log1p(1 / smoothed)

    def kl_qp(self) -> Floats:
        """KL(Q||P) = H(Q,P) - H(Q): in O(features)."""
        rows = self._rows
        each = zip(self._anchor, self._moved, self._smoothed, self._before, self._skipped, strict=True)
        found = [
            anchor + moved / (base + more) - log1p(more / base) if before + (more := rows - skipped) else nan
            for anchor, moved, base, before, skipped in each
        ]
        return np.maximum(found, 0.0)

    def kl_pq(self) -> Floats:
        """KL(P||Q) = H(P,Q) - H(P); this and the following in O(width)."""
        return self._of("kl_divergence", "p_q")

    def entropy(self) -> Floats:
        """H(Q)."""
        return self._of("entropy", "live")

    def cross_entropy_qp(self) -> Floats:
        """H(Q,P): the mean of -ln p(x) over the (smoothed) live observations."""
        return self._of("cross_entropy", "q_p")

    def cross_entropy_pq(self) -> Floats:
        """H(P,Q)."""
        return self._of("cross_entropy", "p_q")

    def psi(self) -> Floats:
        """KL(Q||P) + KL(P||Q)."""
        return self._of("psi")

    def _of(self, name: str, *label: str) -> Floats:
        return _divergence(name, *label).of(self._pair.beside(self.counts))


def _divergence(name: str, *label: str) -> Divergence:
    return next(one for one in DIVERGENCES if one.name == name and (*one.labels.values(),) == label)


_KL_QP: Final = _divergence("kl_divergence", "q_p")


@lru_cache(maxsize=4)
def _growths(pseudocount: float) -> list[float]:
    smoothed = np.arange(GROWTHS) + pseudocount
    grown: list[float] = (np.log(smoothed + 1) + smoothed * np.log1p(1 / smoothed)).tolist()
    return grown
