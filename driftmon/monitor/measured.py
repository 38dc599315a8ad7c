"""Measured: what every window shows at one instant beside the reference.

Law: `values` is a pure function of the pairs, so it is the same whenever it is asked for; a monitor that is only made,
or takes over an earlier one's counts, is not asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from driftmon.monitor.ledger import Ledger
from driftmon.monitor.quantities import QUANTITIES, evaluate
from driftmon.monitor.references import Reference
from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair


class Measured:
    """Of all windows as of `inside_ms`; `before` are the pairs of the last time, of which what still holds is kept.

    `seen` float64[W, F]: the observations that `min_observations` is about; thinned rows count once.
    """

    def __init__(
        self, ledger: Ledger, reference: Reference, pseudocount: float, inside_ms: int, before: Sequence[Pair]
    ) -> None:
        self._schema = ledger.schema
        self._views = ledger.views(inside_ms)
        reference.look(ledger, inside_ms)
        self._dispersion = reference.dispersion
        pairs, kish = [], []
        known: Sequence[Pair | None] = before or [None] * len(ledger.rings)
        for view, ring, last in zip(self._views, ledger.rings, known, strict=True):
            counts = reference.of_window(ring, inside_ms)
            if last is not None and last.reference is counts:
                pair = last.beside(view.counts)
            else:
                pair = Pair(self._schema, counts, view.counts, pseudocount)
            weights = self._schema.totals(view.squared)
            kish.append(np.divide(pair.live_total**2, weights, out=np.zeros(len(weights)), where=weights > 0))
            pairs.append(pair)
        self.pairs, self._kish = tuple(pairs), kish
        seen = [np.minimum(pair.live_total, worth) for pair, worth in zip(pairs, kish, strict=True)]
        self.seen = np.array(seen).reshape(len(pairs), len(self._schema.features))

    @cached_property
    def values(self) -> Floats:
        """float64[W, D, F]: every quantity of every window."""
        each = zip(self.pairs, self._kish, self._views, strict=True)
        found = [evaluate(pair, kish, self._dispersion, view.tallies) for pair, kish, view in each]
        return np.array(found).reshape(len(self.pairs), len(QUANTITIES), len(self._schema.features))
