"""One file format, one verb: bytes round-trip, merge is addition, whatever does not fit is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon import Batch, Monitor, Snapshot, Window, reference_of
from driftmon.monitor.snapshot import SnapshotError, shape_from_bytes
from driftmon.stats.binnings import categorical, numeric
from driftmon.stats.columns import column_of
from driftmon.stats.schema import Feature, Schema

HOUR = 3_600_000
WINDOWS = (Window.sliding("fast", HOUR), Window.decayed("slow", 6 * HOUR))
REFERENCE = reference_of({"x": np.arange(100.0), "c": ["a", "b"] * 50})

texts = st.text(max_size=5)
edges = st.lists(st.floats(allow_nan=False, allow_infinity=False), unique=True, max_size=6).map(
    lambda e: tuple(sorted(e))
)


def fit(values: list[Any]) -> Schema:
    return Schema(
        (Feature("n", numeric.Binning(values[0])), Feature("c", categorical.Binning(values[1]), "a.b", "skip"))
    )


schemas = st.tuples(edges, st.lists(texts, unique=True, max_size=5).map(tuple)).map(list).map(fit)


@given(schemas, st.data())
def test_bytes_round_trip_bit_for_bit(schema: Schema, data: st.DataObject) -> None:
    counts = st.lists(st.integers(0, 2**40), min_size=schema.width, max_size=schema.width).map(
        lambda n: np.array(n, dtype=np.int64)
    )
    panes = st.dictionaries(st.integers(-9, 99), counts, max_size=3)
    rings = {window: data.draw(panes) for window in WINDOWS}
    one = Snapshot(
        schema, data.draw(counts), rings, data.draw(panes), data.draw(st.none() | st.integers(0, 9)), {("n", "text"): 3}
    )
    again = Snapshot.from_bytes(one.to_bytes())
    assert again.to_bytes() == one.to_bytes()
    assert again.schema.fingerprint == schema.fingerprint


rows = st.lists(
    st.tuples(st.integers(0, 4 * HOUR), st.floats(-10, 110) | st.none(), st.sampled_from(["a", "b", "new", None])),
    max_size=40,
)


def shard(records: list[tuple[int, float | None, str | None]]) -> Monitor:
    monitor = Monitor(REFERENCE, WINDOWS, event_time=True, lateness_ms=5 * HOUR)
    columns = {
        "x": column_of("numeric", [r[1] for r in records]),
        "c": column_of("categorical", [r[2] for r in records]),
    }
    monitor.observe_batch(Batch(len(records), columns, np.array([r[0] for r in records], dtype=np.int64)), None)
    return monitor


@settings(deadline=None)
@given(rows, st.lists(st.integers(0, 3), min_size=40, max_size=40), st.permutations(range(4)))
def test_shards_merged_in_any_order_equal_one_monitor(records: Any, owner: list[int], order: list[int]) -> None:
    shards = [shard([r for r, o in zip(records, owner, strict=False) if o == number]) for number in range(4)]
    merged = Monitor(REFERENCE, WINDOWS, event_time=True, lateness_ms=5 * HOUR)
    for number in order:
        merged.merge(shards[number].snapshot())
    one = shard(records)
    assert merged.snapshot().to_bytes() == one.snapshot().to_bytes()
    a, b = merged.finish(0), one.finish(0)
    np.testing.assert_array_equal(a.values, b.values)
    assert merged.snapshot().to_bytes() == one.snapshot().to_bytes()


def test_restart_in_mid_stream_is_bit_equal() -> None:
    columns = {"x": np.arange(50.0), "c": ["a"] * 50}
    whole, first, second = (Monitor(REFERENCE, WINDOWS) for _ in range(3))
    for monitor in (whole, first):
        monitor.observe_columns(columns, time_ms=HOUR)
    first.tick(HOUR)
    second.merge(Snapshot.from_bytes(first.snapshot().to_bytes()))
    for monitor in (whole, second):
        monitor.observe_columns(columns, time_ms=2 * HOUR)
    assert whole.tick(2 * HOUR).values.tobytes() == second.tick(2 * HOUR).values.tobytes()


def test_merge_names_the_feature_that_differs() -> None:
    other = reference_of({"x": np.arange(200.0), "c": ["a", "b"] * 100})
    with pytest.raises(SnapshotError, match="x differs in edges"):
        REFERENCE.merge(other)
    with pytest.raises(SnapshotError, match="only one has c"):
        REFERENCE.merge(reference_of({"x": np.arange(100.0)}))


def test_merge_refuses_other_windows() -> None:
    with pytest.raises(SnapshotError, match="different windows do not add: fast, slow, tiny"):
        Monitor(REFERENCE, WINDOWS).merge(Monitor(REFERENCE, (Window.sliding("tiny", 60_000),)).snapshot())


def test_an_edge_that_differs_by_one_bit_is_another_schema() -> None:
    """sketches-py compared gamma alone and merged mappings that were not the same: p99 wrong by 5.7 %."""
    one, other = (Schema((Feature("x", numeric.Binning((edge,))),)) for edge in (0.1, np.nextafter(0.1, 1.0)))
    assert one.fingerprint != other.fingerprint


def edited(**change: Any) -> bytes:
    tree = json.loads(REFERENCE.to_bytes())
    del tree["checksum"], tree["fingerprint"]
    return json.dumps(tree | change).encode()


FEATURE = json.loads(REFERENCE.to_bytes())["features"][1]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "not a snapshot"),
        (b"[]", 'not a snapshot: "format" must be "driftmon.snapshot"'),
        (edited(format="other"), '"format" must be'),
        (edited(version=2), "snapshot version 2, this driftmon reads 1"),
        (REFERENCE.to_bytes().replace(b'"counts": [', b'"counts": [ '), "the checksum does not fit"),
        (REFERENCE.to_bytes()[:-40], "not a snapshot"),
        (edited(fingerprint="0" * 16), "the fingerprint is not that of the features"),
        (
            edited(features=[{**FEATURE, "type": "fuzzy"}]),
            "type 'fuzzy' is unknown; there are numeric, categorical, boolean",
        ),
        (edited(features=[{**FEATURE, "counts": [1]}]), "1 counts where 5 bins are"),
        (edited(features=[{**FEATURE, "counts": [1, 2, 3, 4, -5]}]), "whole numbers, 0 or more"),
        (edited(features=[{**FEATURE, "counts": [1, 2, 3, 4, 5.0]}]), "whole numbers, 0 or more"),
        (
            edited(features=[{"name": "x", "type": "numeric", "edges": [2, 1], "counts": []}]),
            "edges must rise: 2 is followed by 1",
        ),
        (edited(features=[{"name": "x", "type": "numeric"}]), "lacks or garbles a part: KeyError('edges')"),
        (edited(features=7), "lacks or garbles a part"),
    ],
)
def test_faults_are_named(data: bytes, fault: str) -> None:
    with pytest.raises(SnapshotError) as raised:
        Snapshot.from_bytes(data)
    assert fault in str(raised.value)


def test_a_file_of_another_tool_needs_no_checksum_and_no_fingerprint() -> None:
    tree = {"format": "driftmon.snapshot", "version": 1}
    tree |= {"features": [{"name": "c", "type": "categorical", "categories": ["a"], "counts": [9, 0, 0, 1]}]}
    read = Snapshot.from_bytes(json.dumps(tree).encode())
    assert read.counts.tolist() == [9, 0, 0, 1]


def test_a_merged_reference_keeps_the_larger_dispersion_in_either_order() -> None:
    rng = np.random.default_rng(5)
    calm = reference_of({"x": rng.normal(size=4000), "c": ["a", "b"] * 2000})
    stormy = replace(
        calm, dispersion=reference_of({"x": np.repeat(rng.normal(size=400), 10), "c": ["a", "b"] * 2000}).dispersion
    )
    one, other = calm.merge(stormy), stormy.merge(calm)
    assert one.to_bytes() == other.to_bytes()
    assert one.measured_dispersion().ratio[0] == pytest.approx(stormy.measured_dispersion().ratio[0])
    assert not calm.merge(replace(calm, dispersion={})).dispersion


def test_a_shape_is_the_same_whether_its_bins_are_known_or_read() -> None:
    empty = Monitor(REFERENCE, WINDOWS).snapshot()
    data = empty.to_bytes()
    for known in ((), (REFERENCE.schema,), (reference_of({"y": [1.0]}).schema, REFERENCE.schema)):
        found = shape_from_bytes(data, known)
        assert found.to_bytes() == data
        assert (found.schema is REFERENCE.schema) == (REFERENCE.schema in known)
    for spoiled in (data.replace(b"slow", b"slew"), data[: len(data) // 2], data[:9]):
        with pytest.raises(SnapshotError, match=r"checksum|not a snapshot"):
            shape_from_bytes(spoiled, (REFERENCE.schema,))
    by_hand = json.dumps({key: value for key, value in json.loads(data).items() if key != "windows"}).encode()
    with pytest.raises(SnapshotError, match="checksum"):
        shape_from_bytes(by_hand, (REFERENCE.schema,))
