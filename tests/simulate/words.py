"""Words: categories in no order whose rows depend on one another, and the alarm on their mean surprisal.

Law: words come by topics that last, so that the rare words of one topic come together. No coarsening into one word
against the rest shows how much that moves a mean; all that the words vary more together is the most it can.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.binnings import categorical
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion, dispersion, independent
from driftmon.stats.divergences import Pair
from driftmon.stats.rises import Rise
from driftmon.stats.schema import Counts, Feature, Schema
from tests.simulate.means import BUDGET, PANE, SHORT, N, evidence
from tests.simulate.tables import markdown

WORDS: Final = 48
SCHEMA: Final = Schema((Feature("word", categorical.Binning(tuple(f"w{word}" for word in range(WORDS)))),))
RARER: Final = 1.5  # each topic is so much rarer than the one before


@dataclass(frozen=True)
class Chain:
    """A Markov chain of `topics`, each with WORDS / topics words of its own; after each row it goes on with chance
    `stay`, else another topic is drawn. As many topics as words: words that repeat themselves."""

    topics: int
    stay: float

    @cached_property
    def shares(self) -> Floats:
        """float64[topics]: how often each is drawn, which is how long it lasts in all as well."""
        weights = (
            RARER ** -np.arange(self.topics, dtype=float) if self.topics < WORDS else 1 / np.arange(1.0, WORDS + 1)
        )
        return np.asarray(weights / weights.sum())

    def draw(self, rng: np.random.Generator, rows: int) -> NDArray[np.int64]:
        """int64[rows]: words."""
        fresh = rng.random(rows) >= self.stay
        fresh[0] = True
        drawn = rng.choice(self.topics, fresh.sum(), p=self.shares)
        topic = drawn[np.cumsum(fresh) - 1]
        return np.asarray(topic * (WORDS // self.topics) + rng.integers(WORDS // self.topics, size=rows))

    def panes(self, rng: np.random.Generator, panes: int) -> Counts:
        """int64[panes, width]: their counts."""
        words = self.draw(rng, panes * PANE).reshape(panes, PANE) + np.arange(panes)[:, None] * SCHEMA.width
        return np.bincount(words.ravel(), minlength=panes * SCHEMA.width).reshape(panes, -1)


class Coarse(Dispersion):
    """What was tried before: the largest phi of one word against the rest."""

    def worst(self, schema: Schema) -> Floats:
        largest = np.maximum.reduceat(self.phi[:, : schema.width], schema.starts, axis=1)
        return np.where(self.dependent, largest, 1.0)


def highest(chain: Chain, runs: int, panes: int, seed: int, coarse: bool = False) -> Floats:
    """float64[runs, panes]: ln R of the mean surprisal, without a rise; each run has a reference of its own."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(runs):
        blocks = chain.panes(rng, N // PANE)
        measured = dispersion(SCHEMA, blocks) or independent(SCHEMA)
        if coarse:
            measured = Coarse(*(getattr(measured, name) for name in Dispersion.__dataclass_fields__))
        pair = Pair(SCHEMA, blocks.sum(axis=0).astype(float), np.zeros(SCHEMA.width), 0.5)
        found.append(evidence(Rise.of_surprisal(pair, measured), chain.panes(rng, panes)))
    return np.array(found)


def spent(log_r: Floats, budget: float) -> tuple[int, float]:
    """How many runs reach R >= A, and the panes looked at until then of all."""
    over = log_r >= np.log(budget)
    alarmed = over.any(axis=1)
    return int(alarmed.sum()), float(np.where(alarmed, over.argmax(axis=1) + 1, log_r.shape[1]).sum())


CHAINS: Final = {
    "independent words": Chain(WORDS, 0.0),
    "words that repeat, 0.9": Chain(WORDS, 0.9),
    "8 topics, 0.9": Chain(8, 0.9),
    "8 topics, 0.97": Chain(8, 0.97),
    "4 topics, 0.99": Chain(4, 0.99),
}


def words_table(runs: int, panes: int) -> str:
    """Runs that alarm without a rise, by the phi that is used and by the largest of a word alone."""
    rows = []
    for name, chain in CHAINS.items():
        found, before = (highest(chain, runs, panes, seed=31, coarse=coarse) for coarse in (False, True))
        alarmed, looked = spent(found, SHORT)
        each = f"{looked / alarmed:,.0f}" if alarmed else f"over {looked:,.0f}"
        rows.append(
            [
                name,
                f"{alarmed}",
                each,
                f"{spent(found, BUDGET)[0]}",
                *(f"{spent(before, a)[0]}" for a in (SHORT, BUDGET)),
            ]
        )
    kept = [f"A = {SHORT:,.0f}", "panes a false alarm", f"A = {BUDGET:,.0f}"]
    return markdown(
        ["words, chance to go on", *kept, *(f"phi of one word, A = {a:,.0f}" for a in (SHORT, BUDGET))], rows
    )
