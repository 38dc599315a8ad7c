"""Surprisal: the sum of -ln p(x) over all rows, where P moves: each row counts under the P of its look.

Law: it only grows, as a counter must; what was added under an earlier P is never counted again.
"""

from __future__ import annotations

import numpy as np

from driftmon.stats.columns import Floats
from driftmon.stats.schema import Counts, Schema


class Surprisal:
    """The sum so far, of the rows counted so far."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._counted = np.zeros(schema.width, dtype=np.int64)
        self._nats = np.zeros(len(schema.features))

    def up_to(self, lifetime: Counts, log_p: Floats) -> Floats:
        """float64[features] nats: with the rows since the last time, int64[width] in all, under this P."""
        self._nats = self._nats + self._schema.totals((lifetime - self._counted) * -log_p)
        self._counted = lifetime.copy()
        return self._nats

    def restore(self, nats: Floats, counted: Counts) -> None:
        """Go on from an earlier run's sum; rows beyond `counted` fall under the next P."""
        self._nats, self._counted = nats, counted.copy()
