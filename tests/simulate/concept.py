"""Concept: labels that change their meaning, and who notices it in the losses of a frozen model, and when.

Law: every detector is given the most sensitive setting of its ladder that raises at most BUDGET false alarms in all
in-control streams of a world together; then its delay is measured on the same streams. So false alarms are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
import river.datasets
import river.drift
from numpy.typing import NDArray
from river import naive_bayes, preprocessing

from driftmon.river import KLDriftDetector, LogLossDriftDetector
from driftmon.stats.columns import Floats
from driftmon.stats.losses import binary
from tests.simulate.tables import delay, markdown

datasets: Any = river.datasets
drift: Any = river.drift
Row = tuple[Any, int]  # features, and a label of 0 or 1

TRAIN: Final = 1000
CONTROL: Final = 8000  # rows before the change; the first of them are what our detectors take for their reference
AFTER: Final = 6000
BUDGET: Final = 2
FLIPPED: Final = 0.15  # of the labels of a real data set, after the change


@dataclass(frozen=True)
class Judged:
    """A frozen model's predictions: `loss` float64[rows] nats, `wrong` bool[rows]; the change is at CONTROL."""

    loss: Floats
    wrong: NDArray[np.bool_]


def synthetic(before: Callable[[int], Any], after: Callable[[int], Any]) -> Callable[[int], Iterator[Row]]:
    """One of river's generators, then another of its concepts."""

    def rows(seed: int) -> Iterator[Row]:
        for stream, many in ((before(seed), TRAIN + CONTROL), (after(seed + 1000), AFTER)):
            yield from ((x, int(y)) for x, y in islice(stream, many))

    return rows


def real(load: Callable[[], Any]) -> Callable[[int], Iterator[Row]]:
    """Rows of a data set drawn anew for each seed; after the change a share of the labels is wrong."""

    def rows(seed: int) -> Iterator[Row]:
        rng, known = np.random.default_rng(seed), [(x, int(y)) for x, y in load()]
        for at, pick in enumerate(rng.integers(0, len(known), TRAIN + CONTROL + AFTER).tolist()):
            x, y = known[pick]
            yield x, 1 - y if at >= TRAIN + CONTROL and rng.random() < FLIPPED else y

    return rows


synth: Final = datasets.synth
WORLDS: Final[Mapping[str, Callable[[int], Iterator[Row]]]] = {
    "SEA 0 to 3": synthetic(
        lambda seed: synth.SEA(variant=0, noise=0.1, seed=seed), lambda seed: synth.SEA(variant=3, noise=0.1, seed=seed)
    ),
    "Agrawal 0 to 1, blurred": synthetic(
        lambda seed: synth.Agrawal(classification_function=0, perturbation=0.1, seed=seed),
        lambda seed: synth.Agrawal(classification_function=1, perturbation=0.1, seed=seed),
    ),
    "Bananas, 15 % flipped": real(datasets.Bananas),
    "Phishing, 15 % flipped": real(datasets.Phishing),
}

LENGTHS: Final = tuple(10.0**power for power in np.arange(2.5, 8.1, 0.5))
LADDERS: Final[Mapping[str, tuple[str, Sequence[Callable[[], Any]]]]] = {
    "**driftmon** LogLossDriftDetector": (
        "loss",
        [lambda a=a: LogLossDriftDetector(effect=0.02, run_length=int(a), warm_up=2000) for a in LENGTHS],
    ),
    "**driftmon** KLDriftDetector": (
        "loss",
        [lambda a=a: KLDriftDetector(effect=0.02, run_length=int(a), warm_up=2000) for a in LENGTHS],
    ),
    "ADWIN of the loss": ("loss", [lambda d=d: drift.ADWIN(delta=10.0**-d) for d in range(1, 9)]),
    "ADWIN of the error": ("wrong", [lambda d=d: drift.ADWIN(delta=10.0**-d) for d in range(1, 9)]),
    "PageHinkley of the loss": (
        "loss",
        [lambda t=t: drift.PageHinkley(threshold=t, mode="up") for t in (10, 20, 40, 60, 90, 130, 200, 300, 500, 800)],
    ),
    "KSWIN of the loss": ("loss", [lambda d=d: drift.KSWIN(alpha=10.0**-d, seed=1) for d in (4, 6, 8)]),
    "DDM of the error": (
        "wrong",
        [lambda t=t: drift.binary.DDM(warm_start=500, drift_threshold=t) for t in (2.5, 3, 3.5, 4, 5, 6, 8)],
    ),
}


def numbers(x: Mapping[Any, Any]) -> dict[Any, float]:
    """What naive Bayes has a use for."""
    return {key: value for key, value in x.items() if not isinstance(value, str)}


def judged(rows: Iterator[Row]) -> Judged:
    """A naive Bayes classifier learns the first TRAIN rows, then only predicts."""
    model: Any = preprocessing.StandardScaler() | naive_bayes.GaussianNB()
    for x, y in islice(rows, TRAIN):
        model.learn_one(numbers(x), bool(y))
    found = [(model.predict_proba_one(numbers(x)).get(True, 0.0), y) for x, y in rows]
    p, labels = (np.array(column) for column in zip(*found, strict=True))
    p = np.clip(p, 0.001, 0.999)  # naive Bayes is far too sure of itself
    scores = binary(p, labels)
    return Judged(scores.loss, ~scores.correct)


def flags(detector: Any, values: Sequence[float]) -> list[int]:
    found = []
    for row, value in enumerate(values):
        detector.update(value)
        if detector.drift_detected:
            found.append(row)
    return found


def fitted(ladder: Sequence[Callable[[], Any]], control: Sequence[Sequence[float]]) -> Callable[[], Any] | None:
    """The first rung with at most BUDGET false alarms in all; None: all have more."""
    for make in ladder:
        false = 0
        for values in control:
            false += len(flags(make(), values))
            if false > BUDGET:
                break
        else:
            return make
    return None


def row(method: str, streams: Mapping[str, Sequence[Judged]]) -> list[str]:
    """The delays of one method, world by world."""
    series, ladder = LADDERS[method]
    cells = [method]
    for found in streams.values():
        whole = [getattr(one, series).tolist() for one in found]
        make = fitted(ladder, [values[:CONTROL] for values in whole])
        if make is None:
            cells.append("never quiet")
            continue
        waits = [
            next((at - CONTROL + 1.0 for at in flags(make(), values) if at >= CONTROL), np.inf) for values in whole
        ]
        cells.append(delay(np.array(waits), 1))
    return cells


def concept_table(runs: int, methods: Sequence[str] = tuple(LADDERS)) -> str:
    """Delay in predictions (median) after the labels change their meaning, at equal false alarms."""
    streams = {world: [judged(rows(seed)) for seed in range(runs)] for world, rows in WORLDS.items()}
    rises = [
        np.mean([one.loss[CONTROL:].mean() - one.loss[:CONTROL].mean() for one in found]) for found in streams.values()
    ]
    head = ["detector", *(f"{world} (+{rise:.2f} nats)" for world, rise in zip(streams, rises, strict=True))]
    return markdown(head, [row(method, streams) for method in methods])
