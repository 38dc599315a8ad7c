"""What a column is, rule by rule, and the reason that the configuration shows."""

from __future__ import annotations

import math
from typing import Any

import pytest

from driftmon.cli.support.inference import Seen, cell, finding, findings, flat

N = 200
COLUMNS: dict[str, tuple[str, list[Any], str, str]] = {
    "floats": ("amount", [n / 7 for n in range(N)], "numeric", "numbers from 0 to 28.4286"),
    "counts": ("items", [n % 9 for n in range(N)], "numeric", "numbers from 0 to 8"),
    "a year": ("year", [2013 + n % 2 for n in range(N)], "numeric", "numbers from 2013 to 2014"),
    "one value": ("rate", [5] * N, "numeric", "numbers from 5 to 5"),
    "with infinities": ("load", [math.inf, -math.inf, *range(9)] * 9, "numeric", "numbers from 0 to 8"),
    "beyond float64": ("big", [10**400, *[3, 3, 7] * 9], "numeric", "numbers from 3 to 7"),
    "some are text": (
        "delay",
        ["NA", *[n % 9 for n in range(N - 1)]],
        "numeric",
        "0.5 % are not numbers, such as 'NA': invalid",
    ),
    "some are missing": ("delay", [None, math.nan, *[n % 9 for n in range(N - 2)]], "numeric", "1 % missing"),
    "words": ("carrier", ["UA", "AA", "B6"] * N, "categorical", "3 different values"),
    "one word": ("country", ["DE"] * N, "categorical", "one value only so far"),
    "many words": (
        "city",
        [f"c{n % 90}" for n in range(900)],
        "categorical",
        "90 different values; the 64 most frequent get a bin each",
    ),
    "codes": (
        "store_id",
        [n % 12 for n in range(N)],
        "categorical",
        "12 different values, whole numbers named like a code",
    ),
    "camel codes": ("storeId", [n % 12 for n in range(N)], "categorical", "whole numbers named like a code"),
    "leading zeros": ("zip", ["007", "015"] * N, "categorical", "2 different values"),
    "booleans": ("new", [True, False] * N, "boolean", "true and false"),
    "zeros and ones": ("label", [1, 0, 0] * N, "boolean", "only 0 and 1"),
    "only ones": ("flag", [1] * N, "numeric", "numbers from 1 to 1"),
    "ids that rise": ("row", list(range(5, 5 + N)), "left out", "an id: whole numbers that only rise"),
    "ids": ("user_id", [n * 7919 % 10007 for n in range(N)], "left out", "an id: (nearly) every value is different"),
    "uuids": (
        "request",
        [f"{n * 7919 % 10007:08x}" for n in range(N)],
        "left out",
        "an id: (nearly) every value is different",
    ),
    "free text": (
        "comment",
        [f"I said {n % 150} things" for n in range(N)],
        "left out",
        "an id or free text: 150 different values",
    ),
    "different numbers": ("population", [n * 7919 % 10007 for n in range(N)], "numeric", "numbers from"),
    "iso times": (
        "seen",
        [f"2024-03-{1 + n % 28:02d}T10:00:00Z" for n in range(N)],
        "time",
        "such as 2024-03-01T10:00:00Z",
    ),
    "dates": ("day", [f"2024-03-{1 + n % 28:02d}" for n in range(N)], "time", "such as 2024-03-01"),
    "seconds": ("ts", [1_700_000_000 + 60 * n for n in range(N)], "time", "s since 1970"),
    "milliseconds": ("event_time", [1_700_000_000_123 + n for n in range(N)], "time", "ms since 1970"),
    "no time": ("overtime_paid", [1_700_000_000.5 + n for n in range(N)], "numeric", "numbers from 1.7e+09"),
    "nothing": ("note", [None] * N, "left out", "always empty in the sample"),
    "lists": ("tags", [["a"], ["b", "c"]] * N, "left out", "lists have no bins"),
}


@pytest.mark.parametrize(("field", "values", "what", "why"), COLUMNS.values(), ids=COLUMNS)
def test_a_column_is_what_its_values_and_its_name_say(field: str, values: list[Any], what: str, why: str) -> None:
    found = finding(Seen(field, values))
    assert (found.what, why in found.why) == (what, True), found


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_the_unit_of_an_epoch_is_told_by_its_size(unit: str, scale: int) -> None:
    found = finding(Seen("timestamp", [(1_700_000_000 + n) * scale for n in range(N)]))
    assert (found.what, found.unit) == ("time", unit)


def test_columns_keep_the_order_in_which_they_first_appear() -> None:
    records: list[dict[str, object]] = [{"b": 1.5}, {"a": "x", "b": 2.5}]
    assert [found.field for found in findings(records)] == ["b", "a"]


def test_no_records_no_findings() -> None:
    assert findings([]) == []


def test_nested_objects_become_paths_and_lists_stay() -> None:
    assert flat({"a": {"b": {"c": 1}}, "d": [{"e": 2}]}) == {"a.b.c": 1, "d": [{"e": 2}]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("-3", -3),
        ("1e3", 1000.0),
        ("1_000", "1_000"),
        ("00", "00"),
        ("0", 0),
        ("False", False),
        ("x", "x"),
        ("9" * 30, 1e30),
    ],
)
def test_a_cell_is_the_json_value_it_stands_for(text: str, value: object) -> None:
    assert (cell(text), type(cell(text))) == (value, type(value))
