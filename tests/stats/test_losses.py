"""Losses against scikit-learn, river and fractions; stable at the ends; integers add."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import river.metrics
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from driftmon.stats import losses

metrics: Any = river.metrics
probabilities = st.floats(1e-15, 1 - 1e-15)
rows = st.lists(st.tuples(probabilities, st.integers(0, 1)), min_size=1, max_size=50)


@given(rows)
def test_the_mean_is_scikit_learns_and_rivers(found: list[tuple[float, int]]) -> None:
    p, y = np.array([one[0] for one in found]), np.array([one[1] for one in found])
    mean = losses.binary(p, y).loss.mean()
    theirs = metrics.LogLoss()
    for probability, label in found:
        theirs.update(bool(label), probability)
    ours = -np.log(np.where(y == 1, p, 1 - p)).mean()
    assert mean == pytest.approx(ours, rel=1e-12, abs=1e-12)
    assert mean == pytest.approx(theirs.get(), rel=1e-12, abs=1e-12)
    clipped = np.clip(p, np.finfo(float).eps, 1 - np.finfo(float).eps)  # scikit-learn's own rule
    assert losses.binary(clipped, y).loss.mean() == pytest.approx(log_loss(y, p, labels=[0, 1]), rel=1e-12, abs=1e-12)


@given(st.integers(2, 8), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_many_classes_are_scikit_learns_and_rivers(classes: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, y = rng.dirichlet(np.ones(classes), size), rng.integers(0, classes, size)
    scores = losses.multiclass(p, y)
    theirs = metrics.CrossEntropy()
    for row, label in zip(p, y, strict=True):
        theirs.update(int(label), dict(enumerate(row.tolist())))
    assert scores.loss.mean() == pytest.approx(theirs.get(), rel=1e-12, abs=1e-12)
    assert scores.loss.mean() == pytest.approx(log_loss(y, p, labels=list(range(classes))), rel=1e-9)
    assert scores.correct.tolist() == (p.argmax(axis=1) == y).tolist()


@given(probabilities, st.integers(0, 1))
def test_two_classes_are_the_binary_case(p: float, label: int) -> None:
    two, one = (
        losses.multiclass(np.array([[1 - p, p]]), np.array([label])),
        losses.binary(np.array([p]), np.array([label])),
    )
    assert two.loss[0] == pytest.approx(one.loss[0], rel=1e-12, abs=1e-15)
    assert two.entropy[0] == pytest.approx(one.entropy[0], rel=1e-9, abs=1e-12)


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=20), st.data())
def test_of_one_hot_labels_divergence_cross_entropy_and_log_loss_are_one(
    weights: list[int], data: st.DataObject
) -> None:
    label = data.draw(st.integers(0, len(weights) - 1))
    q = np.array(weights) / sum(weights)
    y = np.eye(len(weights))[label]
    divergence = sum(a * math.log(a / b) for a, b in zip(y, q, strict=True) if a)
    cross_entropy = -sum(a * math.log(b) for a, b in zip(y, q, strict=True) if a)
    exact = -math.log(Fraction(weights[label], sum(weights)))
    loss = losses.multiclass(q[None], np.array([label])).loss[0]
    assert loss == pytest.approx(divergence, abs=1e-12)
    assert loss == pytest.approx(cross_entropy, abs=1e-12)
    assert loss == pytest.approx(exact, abs=1e-12)


def test_it_is_stable_down_to_1e_300_and_for_ten_thousand_classes() -> None:
    tiny = losses.binary(np.array([1e-300, 1e-15, 1 - 1e-15, 0.0, 1.0]), np.array([1, 1, 0, 1, 0]))
    most = 300 * math.log(10)
    assert tiny.loss == pytest.approx([most, 15 * math.log(10), -math.log1p(-(1 - 1e-15)), most, most])
    assert tiny.entropy[3:].tolist() == [0.0, 0.0]
    many = np.full((2, 10_000), 1e-4)
    assert losses.multiclass(many, np.array([0, 9_999])).loss == pytest.approx([math.log(10_000)] * 2, rel=1e-12)


@given(rows, rows)
def test_sums_of_shards_are_the_sum(one: list[tuple[float, int]], other: list[tuple[float, int]]) -> None:
    def total(found: list[tuple[float, int]]) -> int:
        scores = losses.binary(np.array([p for p, _ in found]), np.array([y for _, y in found]))
        return sum(losses.units(scores.loss).tolist())

    assert total(one) + total(other) == total(one + other)
    assert losses.nats(total(one)) == pytest.approx(
        -math.fsum(math.log(p if y else 1 - p) for p, y in one), abs=1e-11 * len(one)
    )


@pytest.mark.parametrize(
    ("row", "label", "reason"),
    [
        ([0.5, 0.4], 0, losses.NOT_ONE),
        ([0.7, 0.31], 0, losses.NOT_ONE),
        ([1.1, -0.1], 0, losses.NEGATIVE),
        ([math.nan, 1.0], 0, losses.NOT_FINITE),
        ([math.inf, 0.0], 0, losses.NOT_FINITE),
        ([0.5, 0.5], 2, losses.UNKNOWN_CLASS),
        ([0.5, 0.5], -1, losses.UNKNOWN_CLASS),
    ],
)
def test_a_row_that_is_no_prediction_is_invalid_for_one_reason(row: list[float], label: int, reason: str) -> None:
    scores = losses.multiclass(np.array([[0.5, 0.5], row]), np.array([0, label]))
    assert {name: at.tolist() for name, at in scores.invalid.items()} == {reason: [1]}
    assert np.isnan(scores.loss).tolist() == [False, True]
    assert not scores.correct[1]


def test_what_is_rounded_is_divided_by_its_sum() -> None:
    scores = losses.multiclass(np.array([[0.333, 0.333, 0.333]]), np.array([1]))
    assert scores.loss[0] == pytest.approx(math.log(3), rel=1e-12)


def test_the_worked_example_of_the_readme() -> None:
    scores = losses.multiclass(np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1]]), np.array([0, 1, 2]))
    assert scores.loss.round(4).tolist() == [0.3567, 0.2231, 2.3026]
    assert scores.entropy.round(4).tolist() == [0.8018, 0.639, 0.8979]
    assert scores.correct.tolist() == [True, True, False]
    means = scores.loss.mean(), scores.entropy.mean(), scores.loss.mean() - scores.entropy.mean()
    assert np.round(means, 4).tolist() == [0.9608, 0.7796, 0.1812]
