"""NDJSON: each ugly line by name, and what it costs. The laws over all lines are in test_ndjson_laws.py."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from driftmon.formats.layout import Layout, TimeField
from driftmon.formats.lines import pieces
from driftmon.formats.ndjson import Decoder
from driftmon.monitor.batch import Batch
from driftmon.stats.edges import FeatureSpec

DELAY = FeatureSpec("delay", "numeric")
CARRIER = FeatureSpec("carrier", "categorical")
CANCELLED = FeatureSpec("cancelled", "boolean")
COUPON = FeatureSpec("coupon", "categorical", field="meta.coupon", absent="skip")
FLIGHTS = Layout((DELAY, CARRIER, CANCELLED, COUPON))
GOOD = b'{"delay":1.5,"carrier":"UA","cancelled":false,"meta":{"coupon":"A"}}'


def decode(data: bytes, layout: Layout = FLIGHTS) -> Batch:
    return Decoder(layout).decode(data)


def value_of(line: bytes, spec: FeatureSpec) -> Any:
    """What one good line makes of one feature: its value, (reason,) where invalid, "absent" where skipped."""
    column = decode(line, Layout((spec,))).columns[spec.name]
    assert len(column) == 1
    if column.invalid:
        return tuple(column.invalid)
    if list(column.absent) == [0]:
        return "absent"
    value = column.values[0]
    return float(value) if isinstance(value, np.floating) else value


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b'{"delay":3}', 3.0),
        (b'{"delay":-0}', 0.0),
        (b'{"delay":1e300}', 1e300),
        (b'{"delay":1e400}', math.inf),
        (b'{"delay":-1e400}', -math.inf),
        (b'{"delay":Infinity}', math.inf),
        (b'{"delay":-Infinity}', -math.inf),
        (b'{"delay":5e-324}', 5e-324),
        (b'{"delay":9007199254740993}', 9007199254740992.0),
        (b'{"delay":' + b"9" * 400 + b"}", math.inf),
        (b'{"delay":-' + b"9" * 5000 + b"}", -math.inf),
        (b'{"delay":NaN}', math.nan),
        (b'{"delay":null}', math.nan),
        (b"{}", math.nan),
        (b'{"delay":"x","delay":7}', 7.0),
        (b'{"delay":"1.5"}', ("text",)),
        (b'{"delay":"NaN"}', ("text",)),
        (b'{"delay":true}', ("boolean",)),
        (b'{"delay":[1]}', ("nested",)),
        (b'{"delay":{}}', ("nested",)),
    ],
)
def test_a_value_in_a_numeric_feature(line: bytes, value: Any) -> None:
    assert repr(value_of(line, DELAY)) == repr(value)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b'{"carrier":"UA"}', "UA"),
        (b'{"carrier":"\\u0055\\ud83d\\ude00"}', "U\U0001f600"),
        (b'{"carrier":""}', ""),
        (b'{"carrier":7}', "7"),
        (b'{"carrier":7.0}', "7.0"),
        (b'{"carrier":true}', "true"),
        (b'{"carrier":18446744073709551616}', "18446744073709551616"),
        (b'{"carrier":null}', None),
        (b'{"carrier":NaN}', None),
        (b"{}", None),
        (b'{"carrier":["UA"]}', ("nested",)),
        (b'{"carrier":{"code":"UA"}}', ("nested",)),
    ],
)
def test_a_value_in_a_categorical_feature(line: bytes, value: Any) -> None:
    assert value_of(line, CARRIER) == value


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b'{"cancelled":true}', 1.0),
        (b'{"cancelled":0}', 0.0),
        (b'{"cancelled":1.0}', 1.0),
        (b'{"cancelled":null}', math.nan),
        (b'{"cancelled":2}', ("number",)),
        (b'{"cancelled":1e400}', ("number",)),
        (b'{"cancelled":"true"}', ("text",)),
        (b'{"cancelled":[true]}', ("nested",)),
    ],
)
def test_a_value_in_a_boolean_feature(line: bytes, value: Any) -> None:
    assert repr(value_of(line, CANCELLED)) == repr(value)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b'{"meta":{"coupon":"A"}}', "A"),
        (b'{"meta":{"coupon":null}}', None),
        (b'{"meta":{}}', "absent"),
        (b'{"meta":null}', "absent"),
        (b'{"meta":"A"}', "absent"),
        (b'{"meta":[{"coupon":"A"}]}', "absent"),
        (b'{"meta.coupon":"A"}', "absent"),
        (b"{}", "absent"),
        (b'{"meta":{"coupon":{"id":1}}}', ("nested",)),
    ],
)
def test_a_value_at_the_end_of_a_path_that_is_skipped_where_absent(line: bytes, value: Any) -> None:
    assert value_of(line, COUPON) == value


def test_a_name_with_a_dot_is_one_key_and_not_a_path() -> None:
    assert value_of(b'{"user.age":4,"user":{"age":5}}', FeatureSpec("user.age", "numeric")) == 4.0


@pytest.mark.parametrize("absent", ["skip", "missing"])
@pytest.mark.parametrize("kind", ["numeric", "boolean", "categorical"])
def test_an_absent_key_is_told_from_null_only_where_it_is_skipped(kind: Any, absent: Any) -> None:
    column = decode(b'{"x":1}\n{}\n{"x":null}\n', Layout((FeatureSpec("x", kind, absent=absent),))).columns["x"]
    assert list(column.absent) == ([1] if absent == "skip" else [])


def test_one_field_may_be_read_in_several_ways() -> None:
    specs = (
        FeatureSpec("hour", "numeric"),
        FeatureSpec("hour_name", "categorical", field="hour"),
        FeatureSpec("at_night", "boolean", field="hour", absent="skip"),
    )
    columns = decode(b'{"hour":1}\n{"hour":"x"}\n{}\n', Layout(specs, TimeField("hour", "s"))).columns
    assert len(columns["hour"]) == 1  # the other two have no time
    columns = decode(b'{"hour":1}\n{"hour":"x"}\n{}\n', Layout(specs)).columns
    assert columns["hour"].invalid == {"text": [1]}
    assert columns["hour_name"].values == ["1", "x", None]
    assert list(columns["at_night"].absent) == [2]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "malformed"),
        (b'{"delay":1', "malformed"),
        (b'{"delay":1,}', "malformed"),
        (b'{"delay":01}', "malformed"),
        (b'{"delay":+1}', "malformed"),
        (b'{"delay":.5}', "malformed"),
        (b'{"delay":nan}', "malformed"),
        (b"{'delay':1}", "malformed"),
        (b'{"delay":1}{"delay":2}', "malformed"),
        (b'{"delay":1} {"delay":2}', "malformed"),
        (b'{"delay":1}\r{"delay":2}', "malformed"),
        (b'{"delay":1},{"delay":2}', "malformed"),
        (b'{"delay":1}\x00', "malformed"),
        (b'{"carrier":"a\tb"}', "malformed"),
        (b"delay,carrier", "malformed"),
        (b"\x1f\x8b\x08", "encoding"),
        (b'\xef\xbb\xbf{"delay":1}', "encoding"),
        (b'{"carrier":"\xff"}', "encoding"),
        (b'{"unread":"\xff"}', "encoding"),
        (b'{"unread \xed\xa0\x80":1}', "encoding"),
        (b'{"carrier":"\\ud800"}', "encoding"),
        (b'{"unread":"\\udc00"}', "encoding"),
        (b"7", "not_object"),
        (b"null", "not_object"),
        (b'"text"', "not_object"),
        (b"[1,2,3]", "not_object"),
        (b'{"unread":' + b"[" * 8 + b"]" * 8 + b"}", "too_deep"),
        (b'{"unread":' + b'{"a":' * 1_000 + b"1" + b"}" * 1_000 + b"}", "too_deep"),
        (b'{"unread":' + b"[" * 900 + b'"\\ud800"' + b"]" * 900 + b"}", "encoding"),
        (b'{"unread":' + b"[" * 980 + b'NaN,"\\u0041"' + b"]" * 980 + b"}", "too_deep"),
        (b"9" * 5_000, "not_object"),
        (b"9" * 2_000, "not_object"),
        (b'{"unread":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "too_deep"),
        (b'{"unread":"' + b"x" * 65_536 + b'"}', "too_long"),
    ],
)
def test_a_bad_line_costs_only_itself_and_says_why(line: bytes, reason: str) -> None:
    batch = decode(b"\n".join([GOOD, GOOD, line, b"", GOOD, b""]))
    assert batch.rows == 3
    assert dict(batch.rejected) == {reason: 1}
    assert [(error.line, error.reason) for error in batch.errors] == [(3, reason)]
    assert batch.errors[0].message
    assert batch.columns["delay"].values.tolist() == [1.5, 1.5, 1.5]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "line",
    [
        b'{"delay":1.5,"unread":"{[{[{[{[{[{[{["}',
        b'{"delay":1.5,"unread":' + b"[" * 7 + b"]" * 7 + b"}",
        b'{"delay":1.5,"unread":"}\\n{"}',
        b'{"delay":1.5,"unread":1e999}',
        b'{"delay":1.5,"unread":NaN}',
        b' \t{"delay":1.5} \r',
        b'{"delay":1.5,"unread":"\\u0000\x7f"}',
        b'{"delay":1.5' + b" " * (65_536 - 13) + b"}",
    ],
)
def test_an_odd_line_counts(line: bytes) -> None:
    for data in (line, line + b"\n", b"\n".join([GOOD, line, GOOD])):
        batch = decode(data)
        assert (batch.rows, dict(batch.rejected)) == (data.count(b"1.5"), {})
        assert set(batch.columns["delay"].values) == {1.5}


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n \n\t\n", b"[]", b" [ ] "])
def test_no_records(data: bytes) -> None:
    batch = decode(data, Layout((DELAY, CARRIER), TimeField("time")))
    assert (batch.rows, dict(batch.rejected), batch.errors) == (0, {}, ())
    assert batch.times_ms is not None
    assert len(batch.times_ms) == 0
    assert {len(column) for column in batch.columns.values()} == {0}


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_its_objects(separators: tuple[str, str], indent: int | None) -> None:
    records = [{"delay": 1, "meta": {"coupon": "A"}}, {"delay": None}, {"delay": "late"}]
    batch = decode(json.dumps(records, indent=indent, separators=separators).encode())
    assert batch.rows == 3
    assert batch.columns["delay"].invalid == {"text": [2]}
    assert list(batch.columns["coupon"].absent) == [1, 2]


def test_an_array_loses_only_its_bad_elements_and_numbers_them() -> None:
    batch = decode(b'[5, {"delay": NaN},\n {"delay": 2}, null, {"a": [[[[[[[[]]]]]]]]}]')
    assert batch.rows == 2
    assert [(error.line, error.reason) for error in batch.errors] == [
        (1, "not_object"),
        (4, "not_object"),
        (5, "too_deep"),
    ]


def test_an_array_on_a_line_is_its_objects_too_so_that_timing_decides_nothing() -> None:
    line = b'[{"delay": 1}, 5, {"delay": 2}]\n'
    alone, among = decode(line), decode(GOOD + b"\n" + line + GOOD)
    assert (alone.rows, alone.rejected) == (2, {"not_object": 1})
    assert (among.rows, among.rejected) == (4, {"not_object": 1})
    assert among.errors[0].line == 2


def test_an_element_of_an_array_is_too_deep_by_itself() -> None:
    deep = b'{"a":' * 9 + b"1" + b"}" * 9
    assert decode(b'[{"delay":1},' + deep + b"]").rejected == {"too_deep": 1}
    assert decode(b'[{"delay":1},' + deep[5:-1] + b"]").rows == 2


def test_an_empty_array_on_a_line_holds_no_record() -> None:
    batch = decode(GOOD + b"\n[]\n" + GOOD)
    assert (batch.rows, dict(batch.rejected)) == (2, {})


def test_a_cut_array_is_one_malformed_line() -> None:
    assert decode(b'[{"delay":1},{"delay":2}').rejected == {"malformed": 1}


def test_one_object_over_several_lines() -> None:
    batch = decode(json.dumps({"delay": 1.5, "meta": {"coupon": "A"}}, indent=2).encode())
    assert (batch.rows, batch.columns["coupon"].values) == (1, ["A"])
    assert decode(b'\n{\n "delay": 1.5}\n\n').rows == 1


def test_two_objects_a_line_do_not_hide_behind_one_over_two_lines() -> None:
    """The count of records alone equals the count of lines here."""
    batch = decode(GOOD + b'\n{"delay":1}{"delay":2}\n{"delay":\n3}\n')
    assert batch.rows == 1
    assert batch.rejected == {"malformed": 3}


def test_the_first_ten_errors_are_kept_in_order_of_lines_with_bad_times_among_them() -> None:
    lines = [b"{" if line % 2 else b'{"time":"soon"}' for line in range(1, 31)]
    batch = decode(b"\n".join(lines), Layout((DELAY,), TimeField("time")))
    assert batch.rejected == {"malformed": 15, "bad_time": 15}
    assert [error.line for error in batch.errors] == list(range(1, 11))


def test_lines_are_numbered_from_the_first_line_of_the_body() -> None:
    assert Decoder(FLIGHTS).decode(b"{}\n{\n", first_line=101).errors[0].line == 102


def test_a_bad_time_takes_its_row_out_of_every_column() -> None:
    data = b'{"delay":1,"at":2}\n{"delay":"x","at":null}\n{"delay":"y","at":3.5}\n{"delay":4}\n{"delay":5,"at":"6"}\n'
    batch = decode(data, Layout((DELAY, CARRIER), TimeField("at", "s")))
    assert batch.rows == 2
    assert batch.times_ms is not None
    assert batch.times_ms.tolist() == [2000, 3500]
    assert batch.columns["delay"].invalid == {"text": [1]}
    assert batch.rejected == {"bad_time": 3}
    assert [error.line for error in batch.errors] == [2, 4, 5]


def test_a_time_may_stand_in_a_nested_record() -> None:
    layout = Layout((DELAY,), TimeField("meta.at", "ms"))
    batch = decode(b'{"meta":{"at":7}}\n{"meta":{"at":8},"delay":"x"}\n{"meta":null}\n', layout)
    assert batch.times_ms is not None
    assert batch.times_ms.tolist() == [7, 8]
    assert batch.rejected == {"bad_time": 1}


def test_a_field_cannot_be_a_value_and_a_map() -> None:
    with pytest.raises(ValueError, match=r"meta is read as one value and, by meta\.coupon, as a map: drop one"):
        Layout((FeatureSpec("meta", "numeric"), COUPON))


def test_a_layout_without_features_counts_records() -> None:
    batch = decode(b"{}\n{}\n[1]\n", Layout(()))
    assert (batch.rows, batch.rejected) == (2, {"not_object": 1})


def test_a_block_larger_than_a_piece_keeps_every_row_in_order() -> None:
    values = np.arange(20_000) / 8
    data = b"".join(b'{"delay":%r,"carrier":"UA"}\n' % float(value) for value in values)
    batch = decode(data)
    assert np.array_equal(np.asarray(batch.columns["delay"].values), values)
    assert batch.columns["carrier"].values == ["UA"] * len(values)


def test_pieces_are_whole_lines_and_short() -> None:
    data = b"aaaa\n" * 5 + b"b" * 30 + b"\n" + b"cc\n" * 9 + b"d"
    cut = list(pieces(data, 12))
    assert b"".join(cut) == data
    assert all(piece.endswith(b"\n") for piece in cut[:-1])
    assert [piece for piece in cut if len(piece) > 12] == [b"b" * 30 + b"\n"]
