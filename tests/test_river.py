"""River's detectors by driftmon's evidence: they are river's in every respect, and they keep their run length."""

from __future__ import annotations

import contextlib
import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import river.drift
import river.metrics
from river import checks, datasets, evaluate, linear_model, preprocessing, tree

from driftmon.river import KLDriftDetector, LogLossDriftDetector
from driftmon.stats.columns import Floats
from tests.simulate.means import Losses, flagged_at

drift: Any = river.drift
metrics: Any = river.metrics
DETECTORS: list[Callable[[], Any]] = [KLDriftDetector, LogLossDriftDetector]


def losses(rng: np.random.Generator, rows: int, noise: float) -> Floats:
    """Of a calibrated model, whose labels are a coin's in a share `noise` of rows."""
    p = rng.beta(2, 2, rows)
    right = rng.random(rows) < np.where(rng.random(rows) < noise, 0.5, p)
    return np.where(right, -np.log(p), -np.log1p(-p))


def general_checks(make: Callable[[], Any]) -> dict[str, Callable[[Any], None]]:
    """River's own checks of an estimator, those that need no data set."""
    return {check.__name__: check for check in checks.yield_checks(make()) if hasattr(check, "__name__")}


@pytest.mark.parametrize("make", DETECTORS)
def test_river_objects_to_nothing_that_it_does_not_object_to_in_adwin(make: Callable[[], Any]) -> None:
    passed = []
    for name, check in general_checks(drift.ADWIN).items():
        with contextlib.suppress(Exception):
            check(drift.ADWIN())
            passed.append(name)
    assert {"check_clone_same_class", "check_pickling_supports_roundtrip", "check_repr_roundtrips_clone"} <= set(passed)
    for name in passed:
        general_checks(make)[name](make())


@pytest.mark.parametrize("make", DETECTORS)
def test_a_copy_and_a_pickle_go_on_as_the_detector_does(make: Callable[[], Any]) -> None:
    values = losses(np.random.default_rng(1), 6000, 0.0)
    values[4000:] *= 1.5
    one = make()
    assert flagged_at(one, values[:4020]) == []
    two, three = copy.deepcopy(one), pickle.loads(pickle.dumps(one))
    found = flagged_at(one, values[4020:])
    assert len(found) == 1
    assert flagged_at(two, values[4020:]) == flagged_at(three, values[4020:]) == found


def test_the_shape_may_change_with_the_mean_and_is_seen() -> None:
    rng = np.random.default_rng(2)
    before, after = rng.normal(0, 1, 6000), rng.choice([-0.95, 0.95], 6000) + rng.normal(0, 0.3, 6000)
    values = np.concatenate((before, after))
    assert flagged_at(drift.ADWIN(), values) == []
    found = flagged_at(KLDriftDetector(), values)
    assert 6000 <= found[0] < 6400
    assert len(found) == 1  # what follows is the new reference


@pytest.mark.parametrize("make", DETECTORS)
def test_without_drift_the_run_length_is_kept(make: Callable[..., Any]) -> None:
    rng = np.random.default_rng(3)
    detector = make(run_length=2500)
    found = flagged_at(detector, losses(rng, 15_000, 0.0))
    assert len(found) <= 6  # 15,000 / 2,500


def test_a_worse_model_is_noticed_and_a_better_one_is_not() -> None:
    rng = np.random.default_rng(4)
    good, bad = losses(rng, 5000, 0.0), losses(rng, 5000, 0.8)
    assert 5000 <= flagged_at(LogLossDriftDetector(), np.concatenate((good, bad)))[0] < 7000
    assert flagged_at(LogLossDriftDetector(), np.concatenate((bad, good))) == []


def test_labels_and_probabilities_make_the_loss() -> None:
    detector = LogLossDriftDetector(warm_up=3)
    detector.update_from(True, {True: 0.25, False: 0.75})
    detector.update_from("c", {"a": 0.5, "b": 0.5})
    assert detector._waiting == pytest.approx([np.log(4), 300 * np.log(10)])


def test_it_works_inside_rivers_own_learners_and_evaluation() -> None:
    """ADWIN's place in a tree, and a model that is judged while it learns."""
    forest = tree.HoeffdingAdaptiveTreeClassifier(seed=1, drift_detector=KLDriftDetector(warm_up=200))
    score = evaluate.progressive_val_score(datasets.Phishing(), forest, metrics.Accuracy())
    assert score.get() > 0.8
    model: Any = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    retrained = drift.DriftRetrainingClassifier(model, LogLossDriftDetector(warm_up=200))
    assert evaluate.progressive_val_score(datasets.Phishing(), retrained, metrics.Accuracy()).get() > 0.85


@pytest.mark.parametrize("detector", [KLDriftDetector, LogLossDriftDetector])
def test_examples_run_on_data_that_come_with_river(detector: type) -> None:
    """A docstring is a test of its own; this holds it to data that are there without a network."""
    (name,) = set(re.findall(r"datasets\.(\w+)\(\)", str(detector.__doc__)))
    found = getattr(datasets, name)
    assert issubclass(found, datasets.base.FileDataset)
    assert not issubclass(found, datasets.base.RemoteDataset)


def test_the_longer_nothing_rose_the_smaller_a_rise_is_seen() -> None:
    """By 0.05 nats, after 1,500 losses and after 16,000 of them."""
    found = {}
    for before in (1500, 16_000):
        rng = np.random.default_rng(5)
        losses = np.concatenate((Losses().draw(rng, 1, before)[0], Losses(shift=0.301).draw(rng, 1, 6000)[0]))
        found[before] = flagged_at(LogLossDriftDetector(effect=0.02, run_length=100_000), losses)
    assert found[1500] == []
    assert found[16_000]
    assert 0 < found[16_000][0] - 16_000 < 6000
