"""Naming: whether the alert for an injected shift names its feature first, and its bin among the three.

Law: the right feature is the one that was changed; the right bin is the one whose share truly adds most to
KL(Q||P), except where one bin (missing, a new category) is the whole shift: then it is that one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

import numpy as np

from driftmon.monitor.rules import Alert, State
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion, dispersion
from driftmon.stats.schema import Binning, Counts, Feature, Schema
from tests.simulate import placebo
from tests.simulate.engine import monitor_of, watch
from tests.simulate.tables import markdown
from tests.simulate.worlds import CATEGORIES, NORMAL, NULL, PANE, POPULAR, REFERENCE, SHIFTS

CALM: Final = 20  # panes
LATEST: Final = 60  # panes after the shift; an alert must come by then


@dataclass(frozen=True)
class Named:
    """What became of one injected shift."""

    kind: str
    found: bool
    feature: bool = False
    bin: bool = False


def judge(kind: str, feature: str, labels: Sequence[str], alerts: list[Alert]) -> Named:
    """By the first alert: of a stream, or of the feature that fired first."""
    if not alerts:
        return Named(kind, False)
    first = alerts[0]
    right = first.features[0] == feature
    return Named(kind, True, right, right and any(top.label in labels for top in first.top_bins))


def alerts_of(
    schema: Schema, reference: Counts, found: Dispersion | None, budget: float, panes: Iterator[Counts]
) -> list[Alert]:
    """What the rule per stream fired first, with the features it named; what comes after that is not looked at."""
    monitor = monitor_of(schema, reference, found, budget=budget, per="stream")
    quiet = takewhile(lambda _: all(alert.state is not State.FIRING for alert in monitor.alerts), panes)
    seen = watch(monitor, quiet, shared=True)
    return [change.alert for change in seen.changes if change.event == "firing"]


def top_label(binning: Binning, p: Floats, q: Floats, n: int) -> list[str]:
    """The bin that truly adds most to KL(Q||P)."""
    smoothed = (p * n + 0.5) / (n + 0.5 * len(p))
    terms = np.where(q > 0, q * np.log(np.where(q > 0, q, 1.0) / smoothed), 0.0)
    return [binning.labels()[int(np.abs(terms).argmax())]]


def moved(q: Floats, share: float, to: int) -> Floats:
    """A share of everything goes to one bin."""
    found = q * (1 - share)
    found[to] += share
    return found


SYNTHETIC: Final[Mapping[str, Callable[[np.random.Generator], tuple[int, Floats]]]] = {
    "mean": lambda rng: (0, SHIFTS[str(rng.choice(["mean +0.25 sd", "mean +0.5 sd"]))]),
    "scale": lambda rng: (0, SHIFTS["sd x1.3"]),
    "missing": lambda rng: (0, moved(NULL, float(rng.uniform(0.01, 0.05)), 17)),
    "shape": lambda rng: (0, SHIFTS["two humps, same mean and sd"]),
    "one bin": lambda rng: (0, moved(NULL, 0.08, int(rng.integers(16)))),
    "category": lambda rng: (1, moved(POPULAR, float(rng.uniform(0.06, 0.12)), int(rng.integers(2, 10)))),
    "new category": lambda rng: (1, moved(POPULAR, 0.03, 10)),
}


def synthetic(kind: str, seed: int) -> Named:
    """Ten features, six normal and four categorical; one of them shifts after CALM panes."""
    rng = np.random.default_rng(seed)
    binnings: list[Binning] = [NORMAL] * 6 + [CATEGORIES] * 4
    schema = Schema(tuple(Feature(f"f{at}", binning) for at, binning in enumerate(binnings)))
    which, law = SYNTHETIC[kind](rng)
    hit = int(rng.integers(6)) if which == 0 else 6 + int(rng.integers(4))
    laws = [NULL] * 6 + [POPULAR] * 4

    def panes() -> Iterator[Counts]:
        for pane in range(CALM + LATEST):
            now = [law if at == hit and pane >= CALM else laws[at] for at in range(10)]
            yield np.concatenate([rng.multinomial(PANE, one) for one in now])

    reference = np.concatenate([rng.multinomial(REFERENCE, one) for one in laws])
    labels = top_label(binnings[hit], laws[hit], law, REFERENCE)
    return judge(kind, f"f{hit}", labels, alerts_of(schema, reference, None, 10_000.0, panes()))


def _into(rng: np.random.Generator, counts: Counts, share: float, to: int) -> Counts:
    """A share of the observations, whatever their bins, goes to one bin."""
    taken = rng.binomial(counts, share)
    found: Counts = counts - taken
    found[to] += taken.sum()
    return found


def _stepped(rng: np.random.Generator, counts: Counts, by: int, share: float) -> Counts:
    """A share of the values goes up by so many bins, as far as the last."""
    regular = len(counts) - 2
    taken = rng.binomial(counts, share) * (np.arange(len(counts)) < regular)
    found: Counts = counts - taken
    np.add.at(found, np.minimum(np.arange(len(counts)) + by, regular - 1), taken)
    return found


REAL: Final[Mapping[str, tuple[tuple[str, ...], Callable[[np.random.Generator, Counts, int], Counts]]]] = {
    "values up": (("distance", "hour", "air_time"), lambda rng, counts, to: _stepped(rng, counts, 3, 0.5)),
    "missing": (
        ("distance", "hour", "carrier", "origin"),
        lambda rng, counts, to: _into(rng, counts, 0.08, len(counts) - 1),
    ),
    "invalid": (("dep_delay", "distance", "hour"), lambda rng, counts, to: _into(rng, counts, 0.08, len(counts) - 2)),
    "category": (("carrier", "origin"), lambda rng, counts, to: _into(rng, counts, 0.2, to)),
    "new category": (("carrier", "origin"), lambda rng, counts, to: _into(rng, counts, 0.05, len(counts) - 3)),
    "cancelled": (("cancelled",), lambda rng, counts, to: _into(rng, counts, 0.2, 1)),
}


def real(kind: str, seed: int) -> Named:
    """Flights with shuffled days; one feature of the live days is changed after CALM of them."""
    rng, schema = np.random.default_rng(seed), placebo.schema()
    features, change = REAL[kind]
    feature = str(rng.choice(features))
    at = schema.names.index(feature)
    counts = placebo.days()[rng.permutation(len(placebo.days()))]
    history, live = counts[: placebo.HISTORY], counts[placebo.HISTORY :][: CALM + LATEST].copy()
    bins, to = schema.bins(at), int(rng.integers(schema.features[at].binning.regular))
    for day in live[CALM:]:
        day[bins] = change(rng, day[bins], to)
    p, q = (side[:, bins].sum(axis=0) / side[:, bins].sum() for side in (history, live[CALM:]))
    labels = top_label(schema.features[at].binning, p, q, int(history[:, bins].sum()))
    found = dispersion(schema, history)
    return judge(kind, feature, labels, alerts_of(schema, history.sum(axis=0), found, placebo.BUDGET, iter(live)))


def shifts(each: int) -> list[Named]:
    """So many of every kind, synthetic and real."""
    made = [synthetic(kind, seed) for kind in SYNTHETIC for seed in range(each)]
    return made + [real(kind, seed) for kind in REAL for seed in range(each)]


def naming_table(each: int) -> str:
    """Right feature first, right bin among the three, of the shifts found."""
    found = shifts(each)
    rows = []
    for kind in [*dict.fromkeys(one.kind for one in found), "all"]:
        these = [one for one in found if kind in (one.kind, "all")]
        seen = [one for one in these if one.found]
        right, bins = sum(one.feature for one in seen), sum(one.bin for one in seen)
        rows.append([kind, f"{len(these)}", f"{len(seen)}", f"{right}", f"{bins}"])
    return markdown(["shift", "injected", "found", "right feature first", "right bin among three"], rows)
