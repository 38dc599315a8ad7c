"""Event times: each unit, each way to be wrong, and the column against the scalar."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.formats import iso_times
from driftmon.formats.rejections import RecordError
from driftmon.formats.times import FIRST_MS, LAST_MS, UNITS_PER_SECOND, column, milliseconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01", 1_000),
        ("1970-01-01 00:00:01.5", 1_500),
        ("1970-01-01T00:00:00.123456789Z", 123),
        ("1970-01-01T05:30:00+05:30", 0),
        ("1969-12-31T19:00:00-0500", 0),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("2013-01-31T05:00:00Z", 1_359_608_400_000),
        ("2013-03-10T02:30:00", 1_362_882_600_000),  # an hour that New York never had; naive is UTC
        ("20130131T050000Z", 1_359_608_400_000),
        ("0001-01-01T00:00:00Z", FIRST_MS),
        ("9999-12-31T23:59:59.999999Z", LAST_MS),
    ],
)
def test_iso_8601(text: str, expected: int) -> None:
    assert milliseconds(text, "iso8601") == expected


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1_360_000_000, "s", 1_360_000_000_000),
        (1_360_000_000.123, "s", 1_360_000_000_123),
        (1.001, "s", 1_001),
        (-0.0005, "s", -1),
        (1_360_000_000_123, "ms", 1_360_000_000_123),
        (123.9, "ms", 123),
        (1_999, "us", 1),
        (-1, "us", -1),
        (1_360_000_000_123_999_999, "ns", 1_360_000_000_123),
    ],
)
def test_numbers(value: float, unit: Any, expected: int) -> None:
    assert milliseconds(value, unit) == expected


@pytest.mark.parametrize(
    ("value", "unit", "message"),
    [
        (None, "iso8601", "the record has no time"),
        (None, "s", "the record has no time"),
        ("", "iso8601", "is not ISO 8601"),
        ("yesterday", "iso8601", 'the time "yesterday" is not ISO 8601'),
        ("2013-02-30", "iso8601", "is not ISO 8601"),
        ("2013-01-31T05:00:60Z", "iso8601", "is not ISO 8601"),
        ("x" * 1_000, "iso8601", r"the time \"x{36}\.\.\. is not"),
        (1_360_000_000, "iso8601", "not ISO 8601 text: is `unit` s, ms, us or ns"),
        ("1360000000", "s", "not a number of s: is `unit` iso8601"),
        (True, "s", "the time is true, not a number"),
        ([1], "s", "the time is a list"),
        ({}, "iso8601", "the time is a map"),
        (float("nan"), "s", "the time NaN s is not in the years"),
        (float("inf"), "ms", "is the unit right"),
        (1_360_000_000_123, "s", "years 1 to 9999: is the unit right"),
        (1e300, "ns", "is the unit right"),
        (-(10**30), "ns", "is the unit right"),
    ],
)
def test_an_unreadable_time_says_why(value: Any, unit: Any, message: str) -> None:
    with pytest.raises(RecordError, match=message) as caught:
        milliseconds(value, unit)
    assert caught.value.reason == "bad_time"


UNITS = st.sampled_from(["s", "ms", "us", "ns"])


@given(st.integers(FIRST_MS, LAST_MS), UNITS)
def test_integers_are_exact_and_rounded_down(ms: int, unit: Any) -> None:
    value = ms * UNITS_PER_SECOND[unit] // 1_000
    assert milliseconds(value, unit) == floor(Fraction(value * 1_000, UNITS_PER_SECOND[unit]))


@given(st.datetimes(), st.integers(-14 * 60, 14 * 60) | st.none())
def test_iso_texts_of_python_are_read_back(moment: datetime, offset_minutes: int | None) -> None:
    zone = UTC if offset_minutes is None else timezone(timedelta(minutes=offset_minutes))
    text = moment.isoformat() if offset_minutes is None else moment.replace(tzinfo=zone).isoformat()
    since = moment.replace(tzinfo=zone) - datetime(1970, 1, 1, tzinfo=UTC)
    assert milliseconds(text, "iso8601") == since // timedelta(milliseconds=1)


TEXTS = st.datetimes().map(datetime.isoformat) | st.sampled_from(["2013-01-31T05:00:00Z", "soon", ""])
MIXED = st.one_of(st.none(), st.booleans(), TEXTS, st.integers(), st.floats(), st.lists(st.none(), max_size=1))
COLUMNS = st.one_of(
    st.lists(TEXTS),
    st.lists(st.integers(-(10**14), 10**14)),
    st.lists(st.integers()),
    st.lists(st.floats()),
    st.lists(MIXED),
)


@given(COLUMNS, UNITS | st.just("iso8601"))
def test_the_column_equals_the_scalar(values: list[Any], unit: Any) -> None:
    times_ms, unreadable = column(values, unit)
    for row, value in enumerate(values):
        if row in unreadable:
            with pytest.raises(RecordError, match=re.escape(str(unreadable[row]))):
                milliseconds(value, unit)
        else:
            assert milliseconds(value, unit) == times_ms[row]


MOMENTS = st.datetimes() | st.sampled_from([datetime.min, datetime.max, datetime(2000, 2, 29), datetime(1900, 2, 28)])


@given(
    st.lists(MOMENTS, min_size=1, max_size=5),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
    st.sampled_from("T "),
    st.sampled_from(["", "Z", "+00:00", "+01:00", "000Z", "z"]),
    st.none() | st.tuples(st.integers(0, 30), st.sampled_from("0123456789-:.,TZ +e\u0663")),
)
def test_texts_of_one_form_are_read_as_each_by_itself(
    moments: list[datetime], precision: str, separator: str, zone: str, changed: tuple[int, str] | None
) -> None:
    texts = [moment.isoformat(separator, precision) + zone for moment in moments]
    if changed is not None:
        at, put = changed
        texts[-1] = texts[-1][:at] + put + texts[-1][at + 1 :]
    expected: list[Any] = []
    for text in texts:
        try:
            expected.append(milliseconds(text, "iso8601"))
        except RecordError:
            expected.append(None)
    found, unreadable = column(texts, "iso8601")
    assert [None if row in unreadable else value for row, value in enumerate(found.tolist())] == expected
    if changed is None and zone in ("", "Z", "+00:00"):
        assert iso_times.milliseconds(texts) is not None  # it was the fast way


@pytest.mark.parametrize(
    "texts", [["2024-03-01T00:00:00Z2", "024-03-01T00:00:00Z"], ["2024-03-01T00:00:00Z", None], []]
)
def test_texts_of_no_one_form_are_left(texts: list[Any]) -> None:
    assert iso_times.milliseconds(texts) is None
