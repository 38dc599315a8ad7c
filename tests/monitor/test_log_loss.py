"""Log loss by the real path: bytes, a monitor, a report; equal to scikit-learn and river, exact over shards."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import river.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from driftmon import Monitor, Snapshot, Window, reference_of
from driftmon.daemon.deltas import Sum, between
from driftmon.daemon.feature_shapes import LogLoss
from driftmon.daemon.gathering import Rows, packed_rows, unpacked_rows
from driftmon.formats import csv as csv_format
from driftmon.formats import ndjson
from driftmon.formats.layout import Layout
from driftmon.monitor.batch import Batch
from driftmon.monitor.tallies import state_of, sums_of
from driftmon.monitor.warmup import WarmUp, part
from driftmon.stats.edges import FeatureSpec

metrics: Any = river.metrics
EDGES = (0.1, 0.3, 0.7, 1.5, 3.0)
CLASSES = ("a", "b", "c")
BINARY = LogLoss(label="y", probability="p", edges=EDGES).spec("outcome")
LISTED = LogLoss(label="y", probability="p", classes=CLASSES, edges=EDGES).spec("outcome")
BY_FIELD = LogLoss(label="y", probabilities={"a": "p.a", "b": "p.b", "c": "p.c"}, edges=EDGES).spec("outcome")
WINDOWS = (Window.sliding("fast", 3_600_000), Window.decayed("slow", 6 * 3_600_000))
Row = Mapping[str, Any]


def lines(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def batch(spec: FeatureSpec, rows: Sequence[Row]) -> Batch:
    return ndjson.Decoder(Layout([spec])).decode(lines(rows))


def reference(spec: FeatureSpec) -> Snapshot:
    empty: dict[str, Any] = {"y": ["1", "0"], "p": [0.5, 0.5] if spec is BINARY else [[1.0, 0.0, 0.0]] * 2}
    if spec is BY_FIELD:
        empty = {"y": ["a", "b"], "p.a": [0.5, 0.5], "p.b": [0.5, 0.5], "p.c": [0.0, 0.0]}
    return reference_of(empty, [spec])


def found(spec: FeatureSpec, *batches: Batch) -> dict[str, Any]:
    """The feature in the report of one monitor."""
    monitor = Monitor(reference(spec), (Window.everything(),))
    for one in batches:
        monitor.observe_batch(one, 0)
    feature: dict[str, Any] = monitor.tick(0).as_dict()["streams"]["data"]["features"]["outcome"]
    return feature


def predictions(rows: int, seed: int) -> tuple[Any, list[str]]:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(3), rows)
    return p, [CLASSES[rng.choice(3, p=one)] for one in p]


def test_binary_losses_of_a_stream_are_scikit_learns_and_rivers() -> None:
    rng = np.random.default_rng(0)
    p = np.clip(rng.beta(0.3, 0.3, 2000), 1e-15, 1 - 1e-15)
    y = rng.random(2000) < p
    window = found(BINARY, batch(BINARY, [{"p": a, "y": bool(b)} for a, b in zip(p.tolist(), y, strict=True)]))
    window = window["windows"]["all"]
    theirs = metrics.LogLoss()
    for probability, label in zip(p.tolist(), y.tolist(), strict=True):
        theirs.update(label, probability)
    assert window["log_loss_nats"] == pytest.approx(log_loss(y, p), rel=1e-12)
    assert window["log_loss_nats"] == pytest.approx(theirs.get(), rel=1e-11)  # 2^-40 nats a row
    assert window["accuracy_ratio"] == np.mean((p > 0.5) == y)
    entropy = float(np.mean(-p * np.log(p) - (1 - p) * np.log1p(-p)))
    assert window["prediction_entropy_nats"] == pytest.approx(entropy, rel=1e-11)
    assert window["labelled_observations"] == 2000
    assert window["calibration_gap_nats"] == window["log_loss_nats"] - window["prediction_entropy_nats"]
    assert window["calibration_gap_lower_bound_nats"] < 0 < window["calibration_gap_upper_bound_nats"]
    for side in ("lower", "upper"):
        beside = window[f"log_loss_{side}_bound_nats"] - window["prediction_entropy_nats"]
        assert window[f"calibration_gap_{side}_bound_nats"] == pytest.approx(beside, rel=1e-12)
    losses = -np.log(np.where(y, p, 1 - p))
    error = 2.3263478740408408 * losses.std(ddof=1) / np.sqrt(len(losses))
    assert window["log_loss_upper_bound_nats"] == pytest.approx(losses.mean() + error, rel=1e-9)
    assert window["log_loss_lower_bound_nats"] == pytest.approx(losses.mean() - error, rel=1e-9)


def test_many_classes_come_as_lists_maps_and_fields_and_are_scikit_learns() -> None:
    p, y = predictions(400, 1)
    as_lists = batch(LISTED, [{"p": a.tolist(), "y": b} for a, b in zip(p, y, strict=True)])
    as_maps = [{"p": dict(zip(CLASSES, a.tolist(), strict=True)), "y": b} for a, b in zip(p, y, strict=True)]
    one, two = found(LISTED, as_lists), found(LISTED, batch(LISTED, as_maps))
    three = found(BY_FIELD, batch(BY_FIELD, as_maps))
    assert one == two
    assert one["windows"] | {"all": None} == three["windows"] | {"all": None}
    assert one["windows"]["all"]["log_loss_nats"] == three["windows"]["all"]["log_loss_nats"]
    assert one["windows"]["all"]["log_loss_nats"] == pytest.approx(log_loss(y, p), rel=1e-11)


def test_csv_says_what_json_says() -> None:
    p, y = predictions(50, 2)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["p", "y", "p.a", "p.b", "p.c"])
    writer.writerows([json.dumps(a.tolist()), b, *a.tolist()] for a, b in zip(p, y, strict=True))
    for spec in (LISTED, BY_FIELD):
        decoded = csv_format.Decoder(Layout([spec])).decode(text.getvalue().encode())
        nested = [{"p": dict(zip(CLASSES, a.tolist(), strict=True)), "y": b} for a, b in zip(p, y, strict=True)]
        assert found(spec, decoded) == found(spec, batch(spec, nested))


def test_columns_say_what_records_say() -> None:
    p, y = predictions(50, 3)
    monitor = Monitor(reference(LISTED), (Window.everything(),))
    monitor.observe_columns({"p": p, "y": np.array(y)})
    again = Monitor(reference(LISTED), (Window.everything(),))
    for a, b in zip(p, y, strict=True):
        again.observe({"p": a.tolist(), "y": b})
    assert monitor.snapshot().to_bytes() == again.snapshot().to_bytes()


@pytest.mark.parametrize(
    ("spec", "row", "reason"),
    [
        (BINARY, {"p": -0.1, "y": 1}, "negative_probability"),
        (BINARY, {"p": 1.1, "y": 1}, "probabilities_not_one"),
        (BINARY, {"p": 0.5, "y": "maybe"}, "unknown_class"),
        (BINARY, {"p": "0.5", "y": 1}, "text"),
        (BINARY, {"p": True, "y": 1}, "boolean"),
        (BINARY, {"p": [0.5], "y": 1}, "nested"),
        (BINARY, {"p": 0.5, "y": {}}, "nested"),
        (LISTED, {"p": [0.5, 0.6, -0.1], "y": "a"}, "negative_probability"),
        (LISTED, {"p": [0.5, 0.6, 0.1], "y": "a"}, "probabilities_not_one"),
        (LISTED, {"p": [0.5, None, 0.5], "y": "a"}, "probability_not_finite"),
        (LISTED, {"p": [0.5, 0.5], "y": "a"}, "unknown_class"),
        (LISTED, {"p": {"d": 1.0}, "y": "a"}, "unknown_class"),
        (LISTED, {"p": [0.5, 0.5, 0.0], "y": "d"}, "unknown_class"),
        (LISTED, {"p": [0.5, "0.5", 0.0], "y": "a"}, "text"),
        (LISTED, {"p": "none", "y": "a"}, "text"),
        (LISTED, {"p": 0.5, "y": "a"}, "number"),
        (BY_FIELD, {"p": {"a": 0.5, "b": 0.5, "c": 0.5}, "y": "a"}, "probabilities_not_one"),
    ],
)
def test_what_cannot_be_scored_is_invalid_with_its_reason(spec: FeatureSpec, row: Row, reason: str) -> None:
    good = {"p": 0.5 if spec is BINARY else {"a": 0.5, "b": 0.25, "c": 0.25}, "y": "1" if spec is BINARY else "a"}
    feature = found(spec, batch(spec, [good, row, good]))
    assert feature["invalid_value_reasons_total"] == {reason: 1}
    assert feature["windows"]["all"]["log_loss_nats"] == pytest.approx(np.log(2), rel=1e-12)
    assert feature["windows"]["all"]["accuracy_ratio"] == (0.0 if spec is BINARY else 1.0)


def test_a_row_without_label_or_probability_is_missing_or_skipped() -> None:
    rows: list[Row] = [{"p": 0.5, "y": 1}, {"p": 0.5}, {"y": 1}, {"p": None, "y": 1}, {}]
    feature = found(BINARY, batch(BINARY, rows))
    assert (feature["observations_total"], feature["missing_values_total"]) == (5, 4)
    assert feature["windows"]["all"]["labelled_observations"] == 1
    window = found(BINARY, batch(BINARY, rows[1:]))["windows"]["all"]
    assert (window["labelled_observations"], "log_loss_nats" in window) == (0, False)
    spec = replace(BINARY, absent="skip")
    monitor = Monitor(reference_of({"y": ["1"], "p": [0.5]}, [spec]), (Window.everything(),))
    monitor.observe_batch(batch(spec, rows), 0)
    feature = monitor.tick(0).as_dict()["streams"]["data"]["features"]["outcome"]
    assert (feature["observations_total"], feature["missing_values_total"]) == (2, 1)


def test_labels_of_the_positive_class_come_in_any_spelling() -> None:
    rows = [{"p": 0.9, "y": y} for y in (1, 1.0, "1", True, "true", "True")]
    assert found(BINARY, batch(BINARY, rows))["windows"]["all"]["accuracy_ratio"] == 1.0
    spec = LogLoss(label="y", probability="p", positive="churned", edges=EDGES).spec("outcome")
    monitor = Monitor(reference_of({"y": ["churned", "stayed"], "p": [0.9, 0.2]}, [spec]), (Window.everything(),))
    monitor.observe_columns({"y": ["churned", "stayed", "left"], "p": [0.9, 0.2, 0.1]})
    assert monitor.tick(0).value(0, 0, "accuracy_ratio") == 1.0


def test_ten_thousand_classes_and_hopeless_predictions_stay_finite() -> None:
    classes = tuple(f"c{number}" for number in range(10_000))
    spec = LogLoss(label="y", probability="p", classes=classes, edges=EDGES).spec("outcome")
    p = np.full((3, 10_000), 1e-4)
    p[2] = 0.0
    p[2, 0] = 1.0
    monitor = Monitor(reference_of({"y": ["c0"] * 3, "p": p}, [spec]), (Window.everything(),))
    monitor.observe_columns({"y": ["c0", "c9999", "c1"], "p": p})
    expected = (2 * np.log(1e4) - np.log(1e-300)) / 3
    assert monitor.tick(0).value(0, 0, "log_loss") == pytest.approx(expected, rel=1e-12)


scored_rows = st.lists(
    st.tuples(st.floats(-0.1, 1.1), st.sampled_from([0, 1, None, "x"]), st.integers(0, 7_200_000)), max_size=30
)


def counted(rows: list[tuple[float, Any, int]], weight: int = 1) -> Monitor:
    monitor = Monitor(reference(BINARY), WINDOWS, event_time=True, lateness_ms=10**9)
    columns = batch(BINARY, [{"p": p, "y": y} for p, y, _ in rows])
    monitor.observe_batch(replace(columns, times_ms=np.array([at for *_, at in rows], np.int64), weight=weight), None)
    return monitor


@settings(max_examples=10)
@given(scored_rows, scored_rows, st.sampled_from([1, 8]))
def test_shards_restarts_and_deltas_are_bit_equal(one: Any, other: Any, weight: int) -> None:
    together, apart = counted(one + other, weight), counted(one, weight)
    before = apart.snapshot()
    apart.merge(counted(other, weight).snapshot())
    assert apart.snapshot().to_bytes() == together.snapshot().to_bytes()
    again = Monitor(reference(BINARY), WINDOWS, event_time=True, lateness_ms=10**9)
    again.merge(Snapshot.from_bytes(together.snapshot().to_bytes()))
    assert again.snapshot().to_bytes() == together.snapshot().to_bytes()
    journalled = Sum(before)
    journalled.add(between(before, apart.snapshot()))
    assert journalled.snapshot().to_bytes() == apart.snapshot().to_bytes()
    for monitor in (together, again):
        monitor.finish(10**9)
    assert repr(again.tick(10**9).as_dict()["streams"]) == repr(together.tick(10**9).as_dict()["streams"])


def test_decayed_and_thinned_rows_have_the_same_mean() -> None:
    rows = [(0.5, 1, 0), (0.25, 1, 0), (0.9, 0, 0)]
    once, thinned = (counted(rows, weight).finish(10**9) for weight in (1, 8))
    for report in (once, thinned):
        assert report.value(1, 0, "log_loss") == pytest.approx(-np.log([0.5, 0.25, 0.1]).mean(), rel=1e-12)
    assert thinned.value(1, 0, "window_observations") == pytest.approx(8 * once.value(1, 0, "window_observations"))


@given(st.integers(0, 2**70), st.integers(0, 2**40))
def test_sums_survive_in_two_words(loss: int, correct: int) -> None:
    schema = reference(BINARY).schema
    sums = {"loss outcome": loss, "squared_loss outcome": 1, "entropy outcome": 2**32, "correct outcome": correct}
    assert sums_of(schema, state_of(schema, np.zeros(schema.width, dtype=np.int64), sums)) == sums


def test_a_warm_up_gathers_losses_and_keeps_them_over_a_restart() -> None:
    rng = np.random.default_rng(5)
    rows = [{"p": p, "y": int(rng.random() < p)} for p in rng.random(300).tolist()]
    whole = batch(BINARY, rows)
    warm_up = WarmUp("s", [BINARY], 200)
    warm_up.observe_batch(part(whole, 0, 120), 0)
    kept = unpacked_rows(packed_rows(Rows(part(whole, 120, 300), 0, (0, "")), [BINARY]), [BINARY])
    assert kept is not None
    warm_up.observe_batch(kept.batch, 0)
    assert warm_up.reference is not None
    assert warm_up.rest is not None
    monitor = Monitor(warm_up.reference, (Window.everything(),))
    monitor.observe_batch(warm_up.rest, 0)
    live = sums_of(monitor.schema, state_of(monitor.schema, monitor.snapshot().counts, monitor.snapshot().sums))
    everything = found(BINARY, whole)["windows"]["all"]["log_loss_nats"]
    total = warm_up.reference.sums["loss outcome"] + live["loss outcome"]
    assert total / 2**40 / 300 == pytest.approx(everything, rel=1e-14)
