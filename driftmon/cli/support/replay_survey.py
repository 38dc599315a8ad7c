"""Survey: what a first pass over recorded data tells: its span, and each feature's mean, spread and categories.

Law: only finite values have a say in mean and spread; categories come most frequent first, ties in the
order of their text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftmon.cli.support.replay_engine import Watermark
from driftmon.monitor.batch import Batch
from driftmon.stats.columns import Column

HUGE: Final = 1e150  # the square of anything larger leaves float64
MOST_CATEGORIES: Final = 1000


@dataclass(frozen=True, slots=True)
class Facts:
    """One feature over the whole input; `categories` with their counts, of a boolean "true" and "false"."""

    mean: float = 0.0
    sd: float = 0.0
    categories: Mapping[str, int] | None = None

    def commonest(self) -> list[str]:
        return list(self.categories or ())


@dataclass(frozen=True, slots=True)
class Survey:
    """`span_ms` is the first and last time of a record that was not late, None where there is no record."""

    facts: Mapping[str, Facts]
    rows: int
    span_ms: tuple[int, int] | None


class _Moments:
    """n, mean and sum of squared deviations, batch by batch (Chan, Golub and LeVeque)."""

    def __init__(self) -> None:
        self.n, self.mean, self.squares = 0, 0.0, 0.0

    def add(self, column: Column) -> None:
        values = np.asarray(column.values, dtype=np.float64)
        values = values[np.abs(values) < HUGE]
        if not len(values):
            return
        mean = float(values.mean())
        total, gap = self.n + len(values), mean - self.mean
        self.squares += float(np.square(values - mean).sum()) + gap * gap * self.n * len(values) / total
        self.mean += gap * len(values) / total
        self.n = total


def survey(batches: Iterable[Batch], kinds: Mapping[str, str], mark: Watermark) -> Survey:
    """The facts of every feature in `kinds`; `mark` is a fresh one, and tells which rows are late.

    >>> column = Column(np.array([1.0, 3.0, np.nan, np.inf]))
    >>> survey([Batch(4, {"x": column}, np.array([5, 4, 9, 1]))], {"x": "numeric"}, Watermark(lateness_ms=2, pane_ms=3))
    Survey(facts={'x': Facts(mean=2.0, sd=1.0, categories=None)}, rows=4, span_ms=(4, 9))
    """
    moments = {name: _Moments() for name, kind in kinds.items() if kind in ("numeric", "log_loss")}
    counters: dict[str, Counter[str]] = {name: Counter() for name in kinds if name not in moments}
    rows, first_ms, last_ms = 0, math.inf, -math.inf
    for batch in batches:
        rows += batch.rows
        if batch.times_ms is not None and batch.rows:
            timely = batch.times_ms[mark.timely(batch.times_ms)]
            if len(timely):
                first_ms, last_ms = min(first_ms, int(timely.min())), max(last_ms, int(timely.max()))
            mark.advance(batch.times_ms)
        for name, column in batch.columns.items():
            if name in moments:
                moments[name].add(column)
            elif name in counters:
                counters[name].update(_texts(column))
    numbers = {name: Facts(found.mean, math.sqrt(found.squares / max(found.n, 1))) for name, found in moments.items()}
    texts = {name: Facts(categories=_most(counter)) for name, counter in counters.items()}
    span_ms = (int(first_ms), int(last_ms)) if first_ms <= last_ms else None
    return Survey({name: (numbers | texts)[name] for name in kinds}, rows, span_ms)


def _texts(column: Column) -> Iterable[str]:
    if isinstance(column.values, np.ndarray):
        return ["true" if value else "false" for value in column.values.tolist() if not math.isnan(value)]
    return [text for text in column.values if text is not None]


def _most(counter: Counter[str]) -> Mapping[str, int]:
    order = sorted(counter, key=lambda text: (-counter[text], text))[:MOST_CATEGORIES]
    return {text: counter[text] for text in order}
