"""Counts add: of any two halves of a stream, in any order, and a bad row costs only itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.stats.binnings import boolean, categorical, numeric
from driftmon.stats.columns import ABSENT, column_of
from driftmon.stats.schema import NOT_COUNTED, Counts, Feature, Schema

SCHEMA = Schema(
    (
        Feature("delay", numeric.Binning((0.0, 10.0))),
        Feature("carrier", categorical.Binning(("UA", "AA"))),
        Feature("cancelled", boolean.Binning()),
        Feature("coupon", numeric.Binning((1.0,)), field="meta.coupon", absent="skip"),
    )
)
cells = st.one_of(st.sampled_from([None, ABSENT, "UA", "x", True, False, [], {}]), st.floats(), st.integers())
rows = st.lists(st.tuples(*[cells] * 4), max_size=30)


def counts(records: list[tuple[object, ...]], schema: Schema = SCHEMA) -> Counts:
    columns = {
        feature.name: column_of(feature.kind, [record[index] for record in records])
        for index, feature in enumerate(schema.features)
    }
    return schema.count(schema.codes(columns, len(records)))


@given(a=rows, b=rows)
def test_count_of_a_and_b_is_count_of_a_plus_count_of_b(
    a: list[tuple[object, ...]], b: list[tuple[object, ...]]
) -> None:
    assert (counts(a + b) == counts(a) + counts(b)).all()
    assert (counts(a + b) == counts(b + a)).all()


@given(records=rows)
def test_each_feature_counts_each_row_once_or_was_told_to_skip_it(records: list[tuple[object, ...]]) -> None:
    totals = SCHEMA.totals(counts(records).astype(np.float64)).tolist()
    skipped = sum(record[3] is ABSENT for record in records)
    assert totals == [len(records)] * 3 + [len(records) - skipped]


@given(records=rows, at=st.integers(0, 30), bad=st.tuples(*[cells] * 4))
def test_a_bad_row_costs_only_itself(records: list[tuple[object, ...]], at: int, bad: tuple[object, ...]) -> None:
    assert (counts([*records[:at], bad, *records[at:]]) - counts([bad]) == counts(records)).all()


def test_codes_are_flat_and_a_features_bins_lie_side_by_side() -> None:
    codes = SCHEMA.codes(
        {"delay": column_of("numeric", [5, "x"]), "carrier": column_of("categorical", ["AA", None])}, 2
    )
    assert codes.tolist() == [[1, 3], [6, 9], [13, 13], [NOT_COUNTED, NOT_COUNTED]]
    assert [SCHEMA.bins(index) for index in range(4)] == [slice(0, 5), slice(5, 10), slice(10, 14), slice(14, 18)]
    assert SCHEMA.width == 18


def test_a_vanished_column_is_missing_in_every_row() -> None:
    schema = Schema((Feature("delay", numeric.Binning((0.0,))),))
    assert schema.count(schema.codes({}, 7)).tolist() == [0, 0, 0, 7]


def test_special_bins_are_found_where_a_feature_has_them() -> None:
    assert SCHEMA.special_bins("missing").tolist() == [4, 9, 13, 17]
    assert SCHEMA.special_bins("invalid").tolist() == [3, 8, 12, 16]
    assert SCHEMA.special_bins("unseen").tolist() == [-1, 7, -1, -1]
    assert np.flatnonzero(~SCHEMA.regular).tolist() == [3, 4, 7, 8, 9, 12, 13, 16, 17]


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="column delay has 1 rows, the batch 2: they must be equal"):
        SCHEMA.codes({"delay": column_of("numeric", [1])}, 2)


def test_feature_names_must_differ() -> None:
    with pytest.raises(ValueError, match="feature names must differ: x occurs twice; rename one"):
        Schema((Feature("x", boolean.Binning()), Feature("x", boolean.Binning())))


BASE = Feature("x", numeric.Binning((0.0, 1.0)))


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (Feature("x", numeric.Binning((0.0, 1.0000000000000002))), "x differs in edges"),
        (Feature("x", categorical.Binning(("a",))), "x differs in type, edges, categories"),
        (Feature("x", numeric.Binning((0.0, 1.0)), absent="skip"), "x differs in absent"),
        (Feature("x", numeric.Binning((0.0, 1.0)), field="y"), "x differs in field"),
        (Feature("y", numeric.Binning((0.0, 1.0))), "only one has x; only one has y"),
    ],
)
def test_the_fingerprint_covers_all_that_decides_a_code_and_the_difference_names_it(
    other: Feature, difference: str
) -> None:
    assert Schema((BASE,)).fingerprint != Schema((other,)).fingerprint
    assert Schema((BASE,)) != Schema((other,))
    assert Schema((BASE,)).difference(Schema((other,))) == difference


def test_equal_schemas_have_one_fingerprint_and_no_difference() -> None:
    again = Schema((Feature("x", numeric.Binning((0.0, 1.0))),))
    assert Schema((BASE,)) == again
    assert hash(Schema((BASE,))) == hash(again)
    assert Schema((BASE,)).difference(again) == ""


def test_the_order_of_features_decides_codes_too() -> None:
    y = Feature("y", boolean.Binning())
    assert Schema((BASE, y)).difference(Schema((y, BASE))) == "the order of the features differs"
