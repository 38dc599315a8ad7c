"""The public contract on bins, values and smoothing, sentence by sentence: one row of a table each."""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftmon.stats.binnings import boolean, categorical, numeric
from driftmon.stats.columns import ABSENT, column_of
from driftmon.stats.divergences import Pair
from driftmon.stats.schema import Absent, Binning, Feature, Schema

NUMERIC = numeric.Binning((0.0, 10.0))
CATEGORICAL = categorical.Binning(("UA", "7", "true", "1.5"))
BOOLEAN = boolean.Binning()


def bin_of(binning: Binning, value: object, absent: Absent = "missing") -> str | None:
    """The label of the one bin a value adds to; None where it is not counted."""
    schema = Schema((Feature("x", binning, absent=absent),))
    counts = schema.count(schema.codes({"x": column_of(binning.kind, [value])}, rows=1))
    hit = np.flatnonzero(counts)
    assert counts.sum() == len(hit) <= 1
    return binning.labels()[hit[0]] if len(hit) else None


@pytest.mark.parametrize(
    ("sentence", "binning", "value", "label"),
    [
        ("code = searchsorted(edges, x, side='right'): below an edge", NUMERIC, 9.999, "[0, 10)"),
        ("code = searchsorted(edges, x, side='right'): on an edge", NUMERIC, 10.0, "[10, inf)"),
        ("code = searchsorted(edges, x, side='right'): -0.0 is 0", NUMERIC, -0.0, "[0, 10)"),
        ("code = searchsorted(edges, x, side='right'): the least denormal below zero", NUMERIC, -5e-324, "(-inf, 0)"),
        ("code = searchsorted(edges, x, side='right'): 1e300", NUMERIC, 1e300, "[10, inf)"),
        ("null is missing", NUMERIC, None, "missing"),
        ("null is missing", CATEGORICAL, None, "missing"),
        ("null is missing", BOOLEAN, None, "missing"),
        ("NaN is missing", NUMERIC, math.nan, "missing"),
        ("NaN is missing", CATEGORICAL, math.nan, "missing"),
        ("NaN is missing", BOOLEAN, math.nan, "missing"),
        ("an absent key is missing", NUMERIC, ABSENT, "missing"),
        ("an absent key is missing", CATEGORICAL, ABSENT, "missing"),
        ("an absent key is missing", BOOLEAN, ABSENT, "missing"),
        ("+inf goes to the open outer bin", NUMERIC, math.inf, "[10, inf)"),
        ("-inf goes to the open outer bin", NUMERIC, -math.inf, "(-inf, 0)"),
        ("1e400, which reads as inf, goes to the open outer bin", NUMERIC, float("1e400"), "[10, inf)"),
        ("a huge integer goes to the open outer bin", NUMERIC, 10**400, "[10, inf)"),
        ("a huge negative integer goes to the open outer bin", NUMERIC, -(10**400), "(-inf, 0)"),
        ("text in a numeric feature is invalid", NUMERIC, "5", "invalid"),
        ("a boolean in a numeric feature is invalid", NUMERIC, True, "invalid"),
        ("a list in a scalar feature is invalid", NUMERIC, [5], "invalid"),
        ("a map in a scalar feature is invalid", NUMERIC, {"a": 5}, "invalid"),
        ("a list in a scalar feature is invalid", CATEGORICAL, ["UA"], "invalid"),
        ("a map in a scalar feature is invalid", CATEGORICAL, {}, "invalid"),
        ("a list in a scalar feature is invalid", BOOLEAN, [True], "invalid"),
        ("a number in a categorical feature is its JSON text", CATEGORICAL, 7, "7"),
        ("a number in a categorical feature is its JSON text", CATEGORICAL, 1.5, "1.5"),
        ("a number in a categorical feature is its JSON text", CATEGORICAL, 7.0, "unseen"),
        ("a boolean in a categorical feature is its JSON text", CATEGORICAL, True, "true"),
        ("a category's label is its text", CATEGORICAL, "UA", "UA"),
        ("everything outside the vocabulary is unseen", CATEGORICAL, "ZZ", "unseen"),
        ("everything outside the vocabulary is unseen, the empty text too", CATEGORICAL, "", "unseen"),
        ("a boolean is true or false", BOOLEAN, True, "true"),
        ("a boolean is true or false", BOOLEAN, False, "false"),
        ("0 and 1 stand for a boolean", BOOLEAN, 1, "true"),
        ("0 and 1 stand for a boolean", BOOLEAN, 0, "false"),
        ("another number is not a boolean", BOOLEAN, 2, "invalid"),
        ("text is not a boolean in JSON", BOOLEAN, "true", "invalid"),
    ],
)
def test_a_value_has_its_bin(sentence: str, binning: Binning, value: object, label: str) -> None:
    assert bin_of(binning, value) == label, sentence


@pytest.mark.parametrize(
    ("value", "label"), [(ABSENT, None), (None, "missing"), (math.nan, "missing"), ("x", "invalid"), (5, "[0, 10)")]
)
def test_absent_skip_leaves_only_records_without_the_key_uncounted(value: object, label: str | None) -> None:
    assert bin_of(NUMERIC, value, absent="skip") == label


def test_by_default_every_record_adds_exactly_one_to_every_feature() -> None:
    ugly = [None, math.nan, 1, -0.0, 10**400, "text", True, [], {}, ABSENT, math.inf]
    schema = Schema(tuple(Feature(binning.kind, binning) for binning in (NUMERIC, CATEGORICAL, BOOLEAN)))
    columns = {feature.name: column_of(feature.kind, ugly) for feature in schema.features}
    counts = schema.count(schema.codes(columns, len(ugly)))
    assert schema.totals(counts.astype(np.float64)).tolist() == [len(ugly)] * 3


@pytest.mark.parametrize(("value", "reason"), [("x", "text"), (True, "boolean"), ([1], "nested"), ({}, "nested")])
def test_invalid_values_are_counted_by_reason(value: object, reason: str) -> None:
    assert column_of("numeric", [1.0, value]).invalid == {reason: [1]}


@pytest.mark.parametrize("edges", range(5))
def test_e_explicit_edges_give_e_plus_one_bins_the_outer_two_open(edges: int) -> None:
    binning = numeric.Binning(tuple(float(edge) for edge in range(edges)))
    labels = binning.labels()
    assert binning.regular == edges + 1
    assert labels[0].startswith("(-inf, ")
    assert labels[edges].endswith(", inf)")


@pytest.mark.parametrize(
    ("binning", "special"),
    [
        (NUMERIC, ("invalid", "missing")),
        (CATEGORICAL, ("unseen", "invalid", "missing")),
        (BOOLEAN, ("invalid", "missing")),
    ],
)
def test_after_the_regular_bins_come_the_special_ones_and_k_counts_them_all(
    binning: Binning, special: tuple[str, ...]
) -> None:
    assert binning.labels()[binning.regular :] == special
    assert binning.size == binning.regular + len(special) == len(binning.labels())


def test_what_top_left_out_is_unseen_in_p_and_q_alike() -> None:
    """A rare category of the reference is not mistaken for a new one: it was unseen there already."""
    schema = Schema((Feature("x", categorical.Binning(("often",))),))
    reference, live = (schema.count(schema.codes({"x": column_of("categorical", v)}, 4)) for v in (ROWS, ROWS))
    assert reference.tolist() == live.tolist() == [3, 1, 0, 0]


ROWS = ["often", "often", "rare", "often"]


@pytest.mark.parametrize(
    ("counts", "pseudocount", "shares"),
    [
        ([3, 1, 0, 0], 0.5, [3.5 / 6, 1.5 / 6, 0.5 / 6, 0.5 / 6]),
        ([0, 0, 0, 7], 1.0, [1 / 11, 1 / 11, 1 / 11, 8 / 11]),
        ([0, 0, 0, 0], 0.5, [0.25, 0.25, 0.25, 0.25]),
        ([1.5, 0.5, 0, 0], 2.0, [0.35, 0.25, 0.2, 0.2]),
    ],
)
def test_smoothing_adds_a_to_every_bin_the_special_ones_included(
    counts: list[float], pseudocount: float, shares: list[float]
) -> None:
    """p, q = (count + a) / (total + a K)."""
    pair = Pair(Schema((Feature("x", BOOLEAN),)), np.array(counts, float), np.array(counts, float), pseudocount)
    assert pair.p == pytest.approx(shares, rel=1e-15)
    assert pair.q == pytest.approx(shares, rel=1e-15)
