"""A warm-up's reference is its first N rows, exactly, however they arrive."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon import Batch, Monitor, reference_of
from driftmon.monitor.report import Status
from driftmon.monitor.warmup import SAMPLE_ROWS, WarmUp, joined, part
from driftmon.stats.columns import ABSENT, column_of
from driftmon.stats.edges import FeatureSpec

SPECS = (FeatureSpec("x", "numeric"), FeatureSpec("c", "categorical", absent="skip"))
values = st.tuples(st.floats(-5, 5) | st.sampled_from([None, "text", [1]]), st.sampled_from(["a", "b", None, ABSENT]))


def batch(rows: list[tuple[object, object]]) -> Batch:
    return Batch(
        len(rows),
        {"x": column_of("numeric", [r[0] for r in rows]), "c": column_of("categorical", [r[1] for r in rows])},
    )


@settings(deadline=None)
@given(st.lists(values, min_size=30, max_size=60), st.lists(st.integers(1, 29), max_size=5))
def test_blocks_do_not_matter(rows: list[tuple[object, object]], cuts: list[int]) -> None:
    warm = WarmUp("s", SPECS, 30)
    bounds = [0, *sorted(set(cuts)), len(rows)]
    live = 0
    for low, high in pairwise(bounds):
        warm.observe_batch(batch(rows[low:high]), 0)
        live += warm.rest.rows if warm.rest is not None else 0
    assert warm.reference is not None
    whole = WarmUp("s", SPECS, 30)
    whole.observe_batch(batch(rows[:30]), 0)
    assert whole.reference is not None
    assert warm.reference.to_bytes() == whole.reference.to_bytes()
    assert live == len(rows) - 30


def test_rows_after_the_sample_are_counted_in_its_bins() -> None:
    rng = np.random.default_rng(3)
    data = rng.normal(size=3 * SAMPLE_ROWS)
    warm = WarmUp("s", (FeatureSpec("x", "numeric"),), len(data))
    for piece in np.array_split(data, 7):
        warm.observe_batch(Batch(len(piece), {"x": column_of("numeric", piece)}), 0)
    assert warm.reference is not None
    binning = warm.reference.schema.features[0].binning
    assert warm.reference.counts.tolist() == np.bincount(binning.codes(data), minlength=binning.size).tolist()


def test_until_then_every_feature_is_warming_up() -> None:
    warm = WarmUp("s", SPECS, 30)
    warm.observe_batch(batch([(1.0, "a")] * 7), 0)
    report = warm.tick(5)
    assert report.statuses == {"x": Status.WARMING_UP, "c": Status.WARMING_UP}
    assert (report.warmup, report.shape[2]) == ((7, 30), 0)


@given(st.lists(values, min_size=2, max_size=20), st.integers(1, 19))
def test_part_and_joined_are_inverse(rows: list[tuple[object, object]], cut: int) -> None:
    whole = batch(rows)
    cut = min(cut, len(rows))
    again = joined([part(whole, 0, cut), part(whole, cut, len(rows))], SPECS)
    for name, column in whole.columns.items():
        np.testing.assert_array_equal(np.array(again.columns[name].values), np.array(column.values))
        assert {k: list(v) for k, v in again.columns[name].invalid.items()} == dict(column.invalid)
        assert list(again.columns[name].absent) == list(column.absent)


def test_reference_of_guesses_types_from_values() -> None:
    made = reference_of(
        {"n": [1, 2.5, None], "c": ["a", None, "b"], "b": [True, False, None], "empty": [None, None, None]}
    )
    assert [feature.kind for feature in made.schema.features] == ["numeric", "categorical", "boolean", "numeric"]


def test_frames_tables_and_mappings_count_alike() -> None:
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    columns = {"x": [1.0, 2.5, None] * 40, "c": ["a", "b", None] * 40, "b": [True, False, True] * 40}
    table = pyarrow.table(columns)
    frame = pandas.DataFrame(columns)
    made = [reference_of(one) for one in (columns, table, frame)]
    assert made[0].to_bytes() == made[1].to_bytes() == made[2].to_bytes()
    monitors = [Monitor(made[0]) for _ in range(3)]
    for monitor, one in zip(monitors, (columns, table, frame), strict=True):
        assert monitor.observe_columns(one, time_ms=0).counted == 120
    assert len({monitor.snapshot().to_bytes() for monitor in monitors}) == 1
