"""river: a histogram of each number and a counter of each word, or ADWIN on the numbers, event by event."""

from __future__ import annotations

from collections import Counter
from typing import Any

from river import drift, sketch

from tests.benchmarks.contenders.common import NUMERIC, TEXTS, events_of

BINS = 64
Histogram: Any = sketch.Histogram  # river is not typed
ADWIN: Any = drift.ADWIN


def histograms(events: Any) -> tuple[int, Any]:
    numbers = {name: Histogram(max_bins=BINS) for name in NUMERIC}
    words: dict[str, Counter[str]] = {name: Counter() for name in TEXTS}
    for event in events:
        for name, histogram in numbers.items():
            histogram.update(event[name])
        for name, counter in words.items():
            counter[event[name]] += 1
    return len(events), (numbers, words)


def adwin(events: Any) -> tuple[int, Any]:
    detectors = {name: ADWIN() for name in NUMERIC}
    for event in events:
        for name, detector in detectors.items():
            detector.update(event[name])
    return len(events), detectors


def told_histograms(found: Any) -> Any:
    numbers, words = found
    return {**{name: one.n for name, one in numbers.items()}, **{name: one.total() for name, one in words.items()}}


def told_adwin(detectors: Any) -> Any:
    return {name: one.width for name, one in detectors.items()}


TASKS = {"histograms": (events_of, histograms, told_histograms), "adwin": (events_of, adwin, told_adwin)}
