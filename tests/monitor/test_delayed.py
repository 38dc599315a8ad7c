"""Delayed: a stream of predictions and labels in records of their own counts what one of complete records counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon.formats.layout import Layout, TimeField
from driftmon.formats.ndjson import Decoder
from driftmon.monitor.batch import Batch, Receipt
from driftmon.monitor.delayed import Delayed, Waits, delayed_readings
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.references import reference_of
from driftmon.monitor.snapshot import Snapshot
from driftmon.render.json import to_bytes
from driftmon.stats.binnings.log_loss import Outcome
from driftmon.stats.edges import FeatureSpec

HOUR_MS = 3_600_000
WAITS = Waits("rid", HOUR_MS, 10_000)
X = FeatureSpec("x", "numeric", edges=(0.5,))
BINARY = FeatureSpec("loss", "log_loss", edges=(0.3, 0.7, 1.5), outcome=Outcome("y", "p"))
LISTED = FeatureSpec("kind", "log_loss", edges=(0.5, 1.0), outcome=Outcome("k", "q", ("a", "b", "c")))
SPREAD = FeatureSpec("side", "log_loss", edges=(0.5, 1.0), outcome=Outcome("z", None, ("l", "r"), ("pl", "pr")))
SPECS = (X, BINARY, LISTED, SPREAD)


class Watched:
    """Records in, counts out, with or without a join."""

    def __init__(self, waits: Waits | None, specs: tuple[FeatureSpec, ...] = SPECS, lateness_ms: int = 0) -> None:
        self.delayed = None if waits is None else Delayed(specs, waits)
        columns = {"x": [0.1, 0.9], "p": [0.5, 0.5], "y": [1, 0], "q": [[0.5, 0.5, 0]] * 2, "k": ["a", "b"]}
        reference = reference_of({**columns, "pl": [0.5, 0.4], "pr": [0.5, 0.6], "z": ["l", "r"]}, specs)
        windows = (Window.sliding("w", HOUR_MS),)
        self.monitor = Monitor(reference, windows, event_time=True, lateness_ms=lateness_ms)
        features: Any = specs if waits is None else delayed_readings(specs, waits)
        self._decoder = Decoder(Layout(features, TimeField("t", "ms")))

    def take(self, *records: dict[str, Any], now_ms: int | None = None) -> tuple[Batch, Receipt]:
        batch = self._decoder.decode(b"".join(map(to_bytes, records)))
        if self.delayed is not None:
            batch, _ = self.delayed.take(batch, now_ms)
        receipt = self.monitor.observe_batch(batch, now_ms)
        if self.delayed is not None:
            self.delayed.late(receipt.late_pairs)
        return batch, receipt

    @property
    def counted(self) -> Snapshot:
        return self.monitor.snapshot()

    def bins(self, name: str) -> list[int]:
        schema = self.monitor.schema
        found: list[int] = self.counted.counts[schema.bins(schema.names.index(name))].tolist()
        return found

    @property
    def outcomes(self) -> dict[str, int]:
        assert self.delayed is not None
        return {name: times for name, times in self.delayed.join.tally.outcomes.items() if times}


def complete(chance: np.random.Generator, rows: int) -> list[dict[str, Any]]:
    found = []
    for at in range(rows):
        q, pl = chance.dirichlet((1, 1, 1)), chance.random()
        prediction = {"x": chance.random(), "p": chance.random(), "q": q.tolist(), "pl": pl, "pr": 1 - pl}
        label = {"y": bool(chance.integers(2)), "k": chance.choice(["a", "b", "c"]), "z": chance.choice(["l", "r"])}
        found.append({"t": at, "rid": at, **prediction, **label})
    return found


@pytest.mark.parametrize("seed", range(2))
def test_a_joined_stream_counts_what_its_complete_records_would(seed: int) -> None:
    chance = np.random.default_rng(seed)
    whole, records, halves = Watched(None), complete(chance, 200), Watched(WAITS)
    whole.take(*records)
    cut: list[dict[str, Any]] = []
    for record in records:
        label = {key: record[key] for key in ("t", "rid", "y", "k", "z")}
        prediction = {key: value for key, value in record.items() if key not in ("y", "k", "z")}
        cut += [record] if chance.random() < 0.2 else [prediction, label]
    order = chance.permutation(len(cut))
    low = 0
    while low < len(cut):
        high = low + int(chance.integers(1, 40))
        halves.take(*(cut[at] for at in order[low:high].tolist()))
        low = high
    assert halves.counted.counts.tolist() == whole.counted.counts.tolist()
    assert halves.counted.sums == whole.counted.sums
    assert halves.outcomes == {"matched": (len(cut) - len(records))}


def test_a_label_counts_in_no_other_feature_and_a_prediction_in_all_but_the_loss() -> None:
    one = Watched(WAITS, (X, BINARY))
    one.take({"t": 0, "rid": 1, "y": 1}, {"t": 0, "rid": 2, "x": 0.1, "p": 0.5})
    assert one.bins("x") == [1, 0, 0, 0]
    assert sum(one.bins("loss")) == 0
    assert one.counted.sums["loss loss"] == 0


def test_what_can_never_be_scored_waits_and_is_invalid_when_its_label_comes() -> None:
    one = Watched(WAITS, (X, BINARY))
    one.take({"t": 0, "rid": 1, "x": 0.1, "p": 7.0}, {"t": 0, "rid": 2, "p": "much"}, {"t": 0, "rid": 3, "p": -1})
    assert (one.counted.invalid, one.bins("loss"), one.bins("x")) == ({}, [0] * 6, [1, 0, 0, 2])
    one.take({"t": 0, "rid": 1, "y": 1}, {"t": 0, "rid": 2, "y": 0})
    assert one.counted.invalid == {("loss", "probabilities_not_one"): 1, ("loss", "text"): 1}
    assert one.delayed is not None
    assert one.delayed.join.waiting == [1, 0]
    one.delayed.join.expire(2 * HOUR_MS)
    assert one.outcomes == {"matched": 2, "expired": 1}


def test_of_unscorable_predictions_alone_no_window_looks_broken() -> None:
    one = Watched(WAITS, (X, BINARY))
    one.take(*({"t": at, "rid": at, "p": 7.0 if at % 50 == 0 else 0.5} for at in range(1000)))
    assert sum(one.bins("loss")) == 0
    one.take(*({"t": 1000, "rid": at, "y": 1} for at in range(1000)))
    assert (one.bins("loss")[-2], sum(one.bins("loss"))) == (20, 1000)


ODD: st.SearchStrategy[Any] = st.sampled_from([None, "text", True, [0.5], 7.0, -1.0, 0.5, 10**400])
VECTOR: st.SearchStrategy[Any] = st.one_of(
    ODD, st.sampled_from([[0.2, 0.3, 0.5], {"a": 1.0}, {"d": 1.0}, [0.5, 0.5], [0.5, 0.5, "x"]])
)
CLASS: st.SearchStrategy[Any] = st.sampled_from([None, "a", "b", "l", 1, 0, "else", {}])


@given(st.lists(st.tuples(ODD, ODD, ODD, VECTOR, CLASS, CLASS, CLASS), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_a_pair_counts_as_the_complete_record_of_both_would(rows: list[tuple[Any, ...]]) -> None:
    whole, halves = Watched(None, (BINARY, SPREAD, LISTED)), Watched(WAITS, (BINARY, SPREAD, LISTED))
    predictions, labels = [], []
    for at, (p, left, right, q, y, z, k) in enumerate(rows):
        predictions.append({"t": 0, "rid": at, "p": 2.0 if p is None else p, "pl": left, "pr": right, "q": q})
        labels.append({"t": 0, "rid": at, "y": "else" if y is None else y, "z": z, "k": k})
    whole.take(*(prediction | label for prediction, label in zip(predictions, labels, strict=True)))
    halves.take(*predictions)
    assert halves.counted.counts.sum() == 0
    halves.take(*labels)
    assert halves.counted.counts.tolist() == whole.counted.counts.tolist()
    assert (halves.counted.sums, halves.counted.invalid) == (whole.counted.sums, whole.counted.invalid)


def test_of_a_feature_that_skips_what_is_absent_a_pair_without_it_says_nothing() -> None:
    skips = replace(SPREAD, absent="skip")
    one = Watched(WAITS, (BINARY, skips))
    one.take({"t": 0, "rid": 1, "p": 0.5}, {"t": 0, "rid": 1, "y": 1})
    assert (sum(one.bins("loss")), sum(one.bins("side"))) == (1, 0)


def test_an_unknown_class_is_invalid_when_it_meets_its_prediction() -> None:
    one = Watched(WAITS, (X, LISTED))
    one.take({"t": 0, "rid": 1, "q": [0.2, 0.3, 0.5]}, {"t": 0, "rid": 1, "k": "d"})
    assert one.counted.invalid == {("kind", "unknown_class"): 1}


def test_without_an_id_nothing_can_be_joined() -> None:
    one = Watched(WAITS, (X, BINARY))
    one.take({"t": 0, "p": 0.5}, {"t": 0, "y": 1}, {"t": 0, "rid": None, "y": 1})
    assert one.outcomes == {"expired": 1, "orphan": 2}


def test_a_loss_is_counted_at_the_time_that_was_asked_for_and_late_rules_apply() -> None:
    prediction, label = {"t": 0, "rid": 1, "p": 0.5}, {"t": 10 * 60_000, "rid": 1, "y": 1}
    by_label, by_prediction = Watched(WAITS), Watched(Waits("rid", HOUR_MS, 10, "prediction"))
    patient = Watched(Waits("rid", HOUR_MS, 10, "prediction"), lateness_ms=HOUR_MS)
    receipts = []
    for one in (by_label, by_prediction, patient):
        one.take(prediction, {"t": 10 * 60_000, "rid": 2, "p": 0.5})
        receipts.append(one.take(label)[1])
    assert [sum(one.bins("loss")) for one in (by_label, by_prediction, patient)] == [1, 0, 1]
    assert [one.outcomes for one in (by_label, by_prediction, patient)] == [{"matched": 1}, {"late": 1}, {"matched": 1}]
    assert receipts == [Receipt(0), Receipt(0, late_pairs=1), Receipt(0)]


def test_a_record_from_the_future_is_refused_and_joins_nothing() -> None:
    one = Watched(WAITS)
    _, receipt = one.take({"t": 10**9, "rid": 1, "p": 0.5}, {"t": 10**9, "rid": 1, "y": 1}, now_ms=0)
    assert receipt == Receipt(0, rejected={"future": 2})
    assert one.outcomes == {}
