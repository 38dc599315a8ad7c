"""Live dispersion: do the live rows depend on one another more than the reference's did?

Law: shuffled training rows look independent whatever they were, and only live panes can give that away.
It is reported while nobody is notified yet (`notify_after`), and changes no number: under drift the
live panes differ because of the drift.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from driftmon.monitor.panes import Ring
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import dispersion
from driftmon.stats.schema import Schema

EVERY_PANES: Final = 32  # it costs half a second for 1,000 features, and changes slowly
TELLING: Final = 2.0  # a live phi so many times the reference's is worth a word


class LiveDispersion:
    """phi of the panes of evidence, measured now and then; NaN until there are enough of them."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._measured_pane: int | None = None
        self.ratio = np.full(len(schema.features), np.nan)

    def look(self, evidence: Ring, closed_pane: int) -> None:
        """Measure again if the last time is long ago."""
        if self._measured_pane is not None and closed_pane < self._measured_pane + EVERY_PANES:
            return
        blocks = [evidence.worth(pane, self._schema) for pane in sorted(evidence.panes) if pane <= closed_pane]
        found = dispersion(self._schema, np.array(blocks)) if blocks else None
        if found is not None:
            self._measured_pane, self.ratio = closed_pane, found.ratio


def suspicious(live: Floats, reference: Floats) -> list[int]:
    """The features whose live rows depend on one another much more than the reference's seemed to.

    >>> suspicious(np.array([18.0, 1.2, np.nan]), np.array([1.0, 1.1, 1.0]))
    [0]
    """
    return [int(feature) for feature in np.flatnonzero(live > TELLING * reference)] if len(live) else []
