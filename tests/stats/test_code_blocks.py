"""The codes of a block are those that each feature's own binning gives, in short blocks and in long ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.stats import code_blocks
from driftmon.stats.binnings import boolean, categorical, numeric
from driftmon.stats.columns import Column
from driftmon.stats.schema import NOT_COUNTED, Binning, Codes, Feature, Schema

finite = st.one_of(st.sampled_from([0.0, -0.0, 1.0, 5e-324]), st.floats(-9, 9))
edges = st.lists(finite, max_size=70).map(lambda some: tuple(sorted(set(some))))
binnings: Any = st.one_of(
    edges.map(numeric.Binning),
    st.just(boolean.Binning()),
    st.lists(st.sampled_from("abcd"), unique=True).map(lambda some: categorical.Binning(tuple(some))),
)


def plain(schema: Schema, columns: dict[str, Column], rows: int) -> Codes:
    """One feature after the other, as the schema says."""
    found = np.empty((len(schema.features), rows), dtype=np.int64)
    for index, feature in enumerate(schema.features):
        start, column = int(schema.starts[index]), columns.get(feature.name)
        if column is None:
            found[index] = NOT_COUNTED if feature.absent == "skip" else start + feature.binning.size - 1
            continue
        found[index] = start + feature.binning.codes(column.values)
        for at in column.invalid.values():
            found[index, at] = start + feature.binning.size - 2
        if feature.absent == "skip":
            found[index, column.absent] = NOT_COUNTED
        found[index, column.uncounted] = NOT_COUNTED
    return found


@st.composite
def blocks(draw: Any) -> tuple[Schema, dict[str, Column], int]:
    rows = draw(st.integers(0, 4))
    features = [
        Feature(f"f{at}", binning, absent=draw(st.sampled_from(["missing", "skip"])))
        for at, binning in enumerate(draw(st.lists(binnings, min_size=1, max_size=6)))
    ]
    columns = {name: draw(_columns(binning, rows)) for name, binning in draw(_some(features))}
    return Schema(tuple(features)), columns, rows


def _some(features: list[Feature]) -> Any:
    return st.lists(st.sampled_from(features), unique_by=lambda feature: feature.name).map(
        lambda some: [(feature.name, feature.binning) for feature in some]
    )


@st.composite
def _columns(draw: Any, binning: Binning, rows: int) -> Column:
    text = binning.kind == "categorical"
    one = st.one_of(st.none(), st.sampled_from("abcx")) if text else st.one_of(st.floats(), finite)
    values = draw(st.lists(one, min_size=rows, max_size=rows))
    marks = draw(st.lists(st.sampled_from(["", "invalid", "absent", "uncounted"]), min_size=rows, max_size=rows))
    values = [
        value if mark in ("", "uncounted") else None if text else math.nan
        for value, mark in zip(values, marks, strict=True)
    ]
    at = {mark: [row for row, one in enumerate(marks) if one == mark] for mark in ("invalid", "absent", "uncounted")}
    invalid = {"text": at["invalid"]} if at["invalid"] else {}
    return Column(values if text else np.array(values, float), invalid, at["absent"], uncounted=at["uncounted"])


@given(block=blocks())
def test_a_block_has_the_codes_of_its_columns(block: tuple[Schema, dict[str, Column], int]) -> None:
    schema, columns, rows = block
    assert schema.codes(columns, rows).tolist() == plain(schema, columns, rows).tolist()


@pytest.mark.parametrize("rows", [1, code_blocks.SHORT - 1, code_blocks.SHORT])
def test_many_features_in_pieces_have_the_codes_of_their_columns(rows: int) -> None:
    rng = np.random.default_rng(rows)
    widths = rng.integers(0, 40, 40)
    features = [Feature(f"f{at}", numeric.Binning(tuple(np.sort(rng.normal(size=n))))) for at, n in enumerate(widths)]
    schema = Schema((*features, Feature("late", boolean.Binning()), Feature("c", categorical.Binning(("a", "b")))))
    columns = {feature.name: Column(rng.normal(size=rows)) for feature in features[::-1]}
    columns["late"] = Column(rng.integers(0, 3, rows) / 1.0)
    columns["c"] = Column([("a", "b", "z", None)[at] for at in rng.integers(0, 4, rows)])
    assert (schema.codes(columns, rows) == plain(schema, columns, rows)).all()


@given(values=st.lists(st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 1.0])), max_size=20), binning=binnings)
def test_counts_of_a_binning_count_its_codes(values: list[float], binning: Binning) -> None:
    column: Any = ["abx"[int(value) % 3] if math.isfinite(value) else None for value in values]
    given_: Any = column if binning.kind == "categorical" else np.array(values, float)
    assert binning.counts(given_).tolist() == np.bincount(binning.codes(given_), minlength=binning.size).tolist()
