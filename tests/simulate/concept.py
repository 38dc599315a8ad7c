"""Concept: labels that change their meaning, and who notices it in the losses of a frozen model, and when.

Law: every detector is given the most sensitive setting of its ladder that raises at most BUDGET false alarms a stream
in all in-control streams of a world together; then its delay is measured on the same streams. So false alarms are
equal, to within a rung, and nobody's setting was chosen for its delay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from typing import Any, Final

import numpy as np
import river.datasets
import river.drift
from numpy.typing import NDArray
from scipy.special import expit

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
BUDGET: Final = 0.2  # false alarms a stream of CONTROL rows


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


def real(load: Callable[[], Any], flipped: float) -> Callable[[int], Iterator[Row]]:
    """Rows of a data set drawn anew for each seed; after the change a share of the labels is wrong."""

    def rows(seed: int) -> Iterator[Row]:
        rng, known = np.random.default_rng(seed), [(x, int(y)) for x, y in load()]
        for at, pick in enumerate(rng.integers(0, len(known), TRAIN + CONTROL + AFTER).tolist()):
            x, y = known[pick]
            yield x, 1 - y if at >= TRAIN + CONTROL and rng.random() < flipped else y

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
    "Bananas, 30 % flipped": real(datasets.Bananas, 0.3),
    "Phishing, 15 % flipped": real(datasets.Phishing, 0.15),
}

LENGTHS: Final = tuple(10.0**power for power in np.arange(2.5, 8.1, 0.5))
# The series of each, its settings from the most to the least sensitive, and in one of how many runs it takes part.
LADDERS: Final[Mapping[str, tuple[str, Sequence[Callable[[], Any]], int]]] = {
    "**driftmon** LogLossDriftDetector": (
        "loss",
        [partial(LogLossDriftDetector, effect=0.02, run_length=int(a), warm_up=2000) for a in LENGTHS],
        1,
    ),
    "**driftmon** KLDriftDetector": (
        "loss",
        [partial(KLDriftDetector, effect=0.02, run_length=int(a), warm_up=2000) for a in LENGTHS],
        1,
    ),
    "ADWIN of the loss": ("loss", [partial(drift.ADWIN, delta=10.0**-d) for d in range(1, 9)], 1),
    "ADWIN of the error": ("wrong", [partial(drift.ADWIN, delta=10.0**-d) for d in range(1, 9)], 1),
    "PageHinkley of the loss": (
        "loss",
        [partial(drift.PageHinkley, threshold=t, mode="up") for t in (10, 20, 40, 60, 90, 130, 200, 300, 500, 800)],
        1,
    ),
    "KSWIN of the loss": (
        "loss",
        [partial(drift.KSWIN, alpha=10.0**-d, seed=1) for d in (4, 5, 6, 8)],
        5,
    ),  # 0.7 ms each
    "DDM of the error": (
        "wrong",
        [partial(drift.binary.DDM, warm_start=500, drift_threshold=t) for t in (2.5, 3, 3.5, 4, 5, 6, 8)],
        1,
    ),
    "EDDM of the error": ("wrong", [partial(drift.binary.EDDM, beta=b / 10) for b in range(9, 0, -1)], 1),
    "HDDM_A of the error": ("wrong", [partial(drift.binary.HDDMA, drift_confidence=10.0**-d) for d in range(1, 9)], 1),
    "HDDM_W of the error": ("wrong", [partial(drift.binary.HDDMW, drift_confidence=10.0**-d) for d in range(1, 9)], 1),
}


def numbers(rows: Sequence[Row]) -> tuple[Floats, NDArray[np.bool_]]:
    """float64[rows, fields]: what naive Bayes has a use for; bool[rows]: the labels."""
    names = [name for name, value in rows[0][0].items() if not isinstance(value, str)]
    return np.array([[x[name] for name in names] for x, _ in rows], float), np.array([y for _, y in rows], bool)


def bayes(x: Floats, y: NDArray[np.bool_]) -> Callable[[Floats], Floats]:
    """Gaussian naive Bayes, learnt at once: float64[rows] probabilities of a true label."""
    spread = x.std(axis=0) + 1e-9
    sides = [(x[y == label].mean(axis=0), x[y == label].std(axis=0) + 0.01 * spread) for label in (False, True)]
    prior = np.log((y.mean(), 1 - y.mean()))

    def predict(new: Floats) -> Floats:
        no, yes = (-(((new - mean) / sd) ** 2 / 2 + np.log(sd)).sum(axis=1) for mean, sd in sides)
        return np.asarray(expit(yes - no + prior[0] - prior[1]))

    return predict


@cache
def judged(world: str, seed: int) -> Judged:
    """Naive Bayes learns the first TRAIN rows, then only predicts."""
    x, y = numbers(list(WORLDS[world](seed)))
    p = bayes(x[:TRAIN], y[:TRAIN])(x[TRAIN:])
    scores = binary(np.clip(p, 0.001, 0.999), y[TRAIN:].astype(np.int64))  # naive Bayes is far too sure of itself
    return Judged(scores.loss, ~scores.correct)


def flags(detector: Any, values: Sequence[float]) -> Iterator[int]:
    """The rows that it flags."""
    for row, value in enumerate(values):
        detector.update(value)
        if detector.drift_detected:
            yield row


def fitted(ladder: Sequence[Callable[[], Any]], control: Sequence[Sequence[float]], budget: int) -> list[Any] | None:
    """Of the first rung with at most `budget` false alarms in all the detectors, one a run, after their control; None:
    all have more."""
    for make in ladder:
        detectors, false = [make() for _ in control], 0
        for detector, values in zip(detectors, control, strict=True):
            false += sum(1 for _ in islice(flags(detector, values), budget + 1))
            if false > budget:
                break
        else:
            return detectors
    return None


def waits(method: str, world: str, runs: int) -> Floats | None:
    """float64[runs] predictions from the change to the flag, inf where there is none; None: never quiet before it."""
    series, ladder, part = LADDERS[method]
    runs = max(runs // part, 1)
    whole = [getattr(judged(world, seed), series).tolist() for seed in range(runs)]
    detectors = fitted(ladder, [values[:CONTROL] for values in whole], int(runs * BUDGET))
    if detectors is None:
        return None
    after = zip(detectors, (values[CONTROL:] for values in whole), strict=True)
    return np.array([next((at + 1.0 for at in flags(detector, values)), np.inf) for detector, values in after])


def rise(world: str, runs: int) -> float:
    """Nats by which the mean loss goes up."""
    losses = [judged(world, seed).loss for seed in range(runs)]
    return float(np.mean([loss[CONTROL:].mean() - loss[:CONTROL].mean() for loss in losses]))


def concept_table(runs: int, methods: Sequence[str] = tuple(LADDERS)) -> str:
    """Delay in predictions (median) after the labels change their meaning, at equal false alarms."""
    head = ["detector", *(f"{world} ({rise(world, runs):+.2f} nats)" for world in WORLDS)]

    def cell(found: Floats | None) -> str:
        return "never quiet" if found is None else delay(found, 1)

    return markdown(head, [[method, *(cell(waits(method, world, runs)) for world in WORLDS)] for method in methods])
