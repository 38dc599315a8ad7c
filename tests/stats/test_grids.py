"""Grids: the bins of a matrix are those of each feature's own binning."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftmon.stats.binnings import boolean, categorical, numeric
from driftmon.stats.grids import Grid
from driftmon.stats.matrix import ABSENT_NUMBER, Fields, Matrix, Pivot, absences
from driftmon.stats.schema import Feature, Schema

NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-5, 5).map(float),
    st.floats(-3, 3),
    st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324, 1e15, 1e15 + 0.125]),
)
EDGES = st.one_of(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=12, unique=True),
    st.lists(st.integers(-8, 8).map(float), max_size=12, unique=True),
    st.lists(st.floats(1e15, 1e15 + 64), max_size=8, unique=True),
).map(lambda edges: tuple(sorted(edge + 0.0 for edge in set(edges))))
TEXTS = st.sampled_from(["", "UA", "AA", "ZZ", "missing"])


@st.composite
def matrices(draw: st.DrawFn) -> tuple[Schema, Matrix]:
    """A schema, and rows in which each value is what its feature asks for; near edges above all."""
    rows, features, columns, words, flags, marked, others = draw(st.integers(0, 6)), [], [], {}, set(), set(), {}
    for place in range(draw(st.integers(0, 4))):
        kind, skip = draw(st.sampled_from(["numeric", "numeric", "categorical", "boolean"])), draw(st.booleans())
        absent = st.just(ABSENT_NUMBER) if skip else st.just(np.nan)
        values: st.SearchStrategy[Any]
        if kind == "numeric":
            edges = draw(EDGES)
            near = [
                at for edge in edges for at in (edge, math.nextafter(edge, -math.inf), math.nextafter(edge, math.inf))
            ]
            values, binning = st.one_of(NUMBERS, st.sampled_from(near or [0.0])), numeric.Binning(edges)
        elif kind == "boolean":
            values, binning = st.sampled_from([0.0, 1.0, np.nan]), boolean.Binning()  # type: ignore[assignment]
            flags.add(place)
        else:
            words[place] = draw(st.lists(TEXTS, unique=True))
            others[place] = draw(st.lists(TEXTS, unique=True))
            values = (
                st.integers(-len(others[place]), len(words[place]) - 1).map(float)
                if len(words[place]) + len(others[place])
                else st.just(np.nan)
            )
            binning = categorical.Binning(tuple(draw(st.lists(TEXTS, unique=True))))  # type: ignore[assignment]
        features.append(Feature(f"f{place}", binning, absent="skip" if skip else "missing"))
        marked |= {place} if skip else set()
        columns.append(draw(st.lists(st.one_of(values, absent), min_size=rows, max_size=rows)))
    names = draw(st.permutations([feature.name for feature in features]))
    fields = Fields({name: int(name[1:]) for name in names}, words, frozenset(flags), frozenset(marked))
    array = np.array(columns, dtype=np.float64).reshape(len(features), rows).T.copy()
    return Schema(tuple(draw(st.permutations(features)))), Matrix(fields, array, others)


@given(matrices())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_matrix_counts_as_its_columns_do(found: tuple[Schema, Matrix]) -> None:
    schema, matrix = found
    columns, rows = dict(matrix), len(matrix.numbers)
    assert schema.codes(matrix, rows).tolist() == schema.codes(columns, rows).tolist()
    assert schema.counts(matrix, rows).tolist() == schema.counts(columns, rows).tolist()


def test_most_quantile_bins_have_cells_of_their_own() -> None:
    drawn = np.random.default_rng(1).lognormal(0, 2, (2000, 3))
    edges = [tuple(np.quantile(drawn[:, at], np.linspace(0, 1, 17)[1:-1]).tolist()) for at in range(3)]
    features = [Feature(f"x{at}", numeric.Binning(one)) for at, one in enumerate(edges)]
    schema = Schema(tuple(features))
    fields = Fields({feature.name: at for at, feature in enumerate(features)})
    grid = Grid.of(features, schema.starts, fields)
    assert (grid.every, grid.rest) == (True, [])
    assert grid.most <= 4
    assert (
        schema.counts(Matrix(fields, drawn), 2000).tolist() == schema.counts(dict(Matrix(fields, drawn)), 2000).tolist()
    )


def test_edges_that_no_cells_of_equal_width_part_are_left_to_their_binning() -> None:
    features = [Feature("x", numeric.Binning(tuple(10.0**at for at in range(-9, 9))))]
    assert Grid.of(features, Schema(tuple(features)).starts, Fields({"x": 0})).rest == ["x"]


@given(matrices())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_numbers_by_row_and_place_count_as_their_columns_do(found: tuple[Schema, Matrix]) -> None:
    schema, matrix = found
    texts, values = set(matrix.fields.words), matrix.numbers.copy()
    values[:, [*texts]] = np.nan
    absent = [place in matrix.fields.marked for place in range(values.shape[1])]
    row, place = np.nonzero(np.where(absent, ~absences(values), ~np.isnan(values)).astype(np.bool_))
    pivot = Pivot(matrix.fields, len(values), row, place, values[row, place])
    columns, rows = dict(pivot), len(values)
    assert schema.codes(pivot, rows).tolist() == schema.codes(columns, rows).tolist()
    assert schema.counts(pivot, rows).tolist() == schema.counts(columns, rows).tolist()
