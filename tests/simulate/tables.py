"""Tables: rows of text as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from driftmon.stats.columns import Floats


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """
    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, *rows)).replace("\n", f"\n|{'---|' * len(head)}\n", 1)


def percent(share: float) -> str:
    """
    >>> percent(0.0123), percent(0.0), percent(1.0)
    ('1.2 %', '0 %', '100 %')
    """
    return f"{100 * share:.2g} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"


def delay(waits: Floats, unit: int) -> str:
    """The median in observations of those found, and how many were if not nearly all: "900", "1,400 (in 40 %)", "-".

    >>> delay(np.array([3.0, 5.0, np.inf]), 100), delay(np.array([np.inf]), 100)
    ('400 (in 67 %)', '-')
    """
    found = waits[np.isfinite(waits)]
    if not len(found):
        return "-"
    share = len(found) / len(waits)
    return f"{np.median(found) * unit:,.0f}" + ("" if share > 0.95 else f" (in {percent(share)})")
