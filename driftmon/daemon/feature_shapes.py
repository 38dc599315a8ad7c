"""The keys of a feature, by its `type`; each becomes a FeatureSpec."""
# ruff: noqa: RUF009  doc() is dataclasses.field

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, TypeAlias

from driftmon.daemon.faults import KeyFault
from driftmon.daemon.settings import doc
from driftmon.stats.binnings.log_loss import Outcome
from driftmon.stats.edges import FeatureSpec

Absent: TypeAlias = Literal["missing", "skip"]

FIELD: Final = "Path of the value in a record, such as meta.coupon; by default the feature's name is the key."
ABSENT: Final = "What a record without the key counts as: missing, or skip for nothing at all."
DEFAULT_BINS: Final = 16
DEFAULT_TOP: Final = 64
LEAST_CLASSES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeric:
    """A number. Its bins are chosen from the reference, or given by `edges`."""

    bins: int | None = doc(
        "Number of regular bins, 16 by default; the reference decides where they lie.", None, least=2, most=4096
    )
    method: Literal["quantile_tails", "quantile", "uniform"] | None = doc(
        "How edges are chosen. quantile_tails (default): equal mass, and cuts at 0.1, 1, 99 and 99.9 %.", None
    )
    edges: tuple[float, ...] | None = doc(
        "Rising inner edges; n edges make n + 1 bins, the outer two open.", None, least=1
    )
    field: str | None = doc(FIELD, None)
    absent: Absent = doc(ABSENT, "missing")

    def __post_init__(self) -> None:
        _check_bins(self)

    def spec(self, name: str) -> FeatureSpec:
        bins, method = self.bins or DEFAULT_BINS, self.method or "quantile_tails"
        return FeatureSpec(name, "numeric", self.field, self.absent, bins=bins, method=method, edges=self.edges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Categorical:
    """A word out of a vocabulary: the reference's most frequent ones, or `categories`."""

    top: int | None = doc(
        "Size of the vocabulary, 64 by default; all else is counted as unseen.", None, least=1, most=65_536
    )
    categories: tuple[str, ...] | None = doc("The vocabulary itself; all else is counted as unseen.", None, least=1)
    field: str | None = doc(FIELD, None)
    absent: Absent = doc(ABSENT, "missing")

    def __post_init__(self) -> None:
        if self.categories is not None and self.top is not None:
            raise KeyFault("top", "categories are the whole vocabulary already", "remove top or categories")
        twice = [word for word, times in Counter(self.categories or ()).items() if times > 1]
        if twice:
            assert self.categories is not None
            again = self.categories.index(twice[0], self.categories.index(twice[0]) + 1)
            raise KeyFault(("categories", again), f"{twice[0]} stands there twice", "remove one")

    def spec(self, name: str) -> FeatureSpec:
        top = self.top or DEFAULT_TOP
        return FeatureSpec(name, "categorical", self.field, self.absent, top=top, categories=self.categories)


@dataclass(frozen=True, slots=True, kw_only=True)
class Boolean:
    """True or false; the numbers 1 and 0 stand for them too."""

    field: str | None = doc(FIELD, None)
    absent: Absent = doc(ABSENT, "missing")

    def spec(self, name: str) -> FeatureSpec:
        return FeatureSpec(name, "boolean", self.field, self.absent)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLoss:
    """-ln p(label) in nats: how well probabilities predicted the label that stands in the same record."""

    EITHER = (("probability",), ("probabilities",))

    label: str = doc("Path of the label in a record.", example="label: churned")
    probability: str | None = doc(
        "Path of the predicted probability: one number, that of the positive class; with `classes` a list in their "
        "order, or a map with them as keys.",
        None,
    )
    probabilities: Mapping[str, str] | None = doc(
        "Class to path of its probability, where each has a field of its own.", None, least=1
    )
    classes: tuple[str, ...] | None = doc("The classes, in the order of the list of probabilities.", None, least=1)
    positive: str | None = doc(
        "The label whose probability is given, where it is one number; by default true, or 1.", None
    )
    bins: int | None = doc(
        "Number of regular bins of the loss, 16 by default; the reference decides where they lie.",
        None,
        least=2,
        most=4096,
    )
    method: Literal["quantile_tails", "quantile", "uniform"] | None = doc("How edges are chosen, as of a number.", None)
    edges: tuple[float, ...] | None = doc("Rising inner edges, in nats.", None, least=1)
    absent: Absent = doc(ABSENT, "missing")

    def __post_init__(self) -> None:
        _check_bins(self)
        if (self.probability is None) == (self.probabilities is None):
            raise KeyFault((), "must have either probability or probabilities", "keep one of the two")
        if self.probabilities is not None:
            for key, value in (("classes", self.classes), ("positive", self.positive)):
                if value is not None:
                    raise KeyFault(key, "the keys of probabilities are the classes already", f"remove {key}")
        for index, (name, times) in enumerate(Counter(self.classes or ()).items()):
            if times > 1:
                raise KeyFault(("classes", index), f"{name} stands there twice", "remove one")
        if len(self.classes or self.probabilities or ("0", "1")) < LEAST_CLASSES:
            raise KeyFault("classes" if self.classes else "probabilities", "has one class", "name the others too")
        if self.classes and self.positive is not None:
            if self.positive not in self.classes:
                raise KeyFault("positive", f"{self.positive} is none of the classes", f"use {self.classes[-1]}")
            if len(self.classes) > LEAST_CLASSES:
                raise KeyFault("positive", "one number says nothing of the other classes", "remove positive")

    def spec(self, name: str) -> FeatureSpec:
        bins, method = self.bins or DEFAULT_BINS, self.method or "quantile_tails"
        by_class = self.probabilities or {}
        classes = tuple(by_class) or self.classes or ()
        outcome = Outcome(self.label, self.probability, classes, tuple(by_class.values()), self.positive)
        return FeatureSpec(
            name, "log_loss", None, self.absent, bins=bins, method=method, edges=self.edges, outcome=outcome
        )


def _check_bins(shape: Numeric | LogLoss) -> None:
    """Whether its edges rise, and are all that is said of the bins."""
    for key, value in (("bins", shape.bins), ("method", shape.method)):
        if shape.edges is not None and value is not None:
            raise KeyFault(key, "edges say where the bins lie already", f"remove {key} or edges")
    for index, edge in enumerate(shape.edges or ()):
        if not math.isfinite(edge):
            raise KeyFault(("edges", index), f"must be finite, is {edge}", "remove it; the outer bins are open already")
    for index, (low, high) in enumerate(pairwise(shape.edges or ())):
        if low == high:
            raise KeyFault(("edges", index + 1), f"{high:g} stands there twice", "remove one")
        if low > high:
            raise KeyFault(("edges", index + 1), f"must rise, {high:g} follows {low:g}", f"swap {low:g} and {high:g}")


FEATURES: Final[Mapping[str, type]] = {
    "numeric": Numeric,
    "categorical": Categorical,
    "boolean": Boolean,
    "log_loss": LogLoss,
}
