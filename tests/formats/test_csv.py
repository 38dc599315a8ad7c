"""CSV: cells, headers, quotes; what a bad record costs."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.formats.csv import Decoder
from driftmon.formats.layout import Layout, TimeField
from driftmon.monitor.batch import Batch
from driftmon.stats.edges import FeatureSpec

DELAY = FeatureSpec("delay", "numeric")
CARRIER = FeatureSpec("carrier", "categorical")
CANCELLED = FeatureSpec("cancelled", "boolean")
FLIGHTS = Layout((DELAY, CARRIER, CANCELLED))
HEADER = b"delay,carrier,cancelled\n"


def decode(data: bytes, layout: Layout = FLIGHTS) -> Batch:
    return Decoder(layout).decode(data)


def value_of(cell: str, kind: Any) -> Any:
    """What one cell makes of a feature: its value, or (reason,) where invalid."""
    column = decode(f"id,x\n1,{cell}\n".encode(), Layout((FeatureSpec("x", kind),))).columns["x"]
    value = column.values[0]
    return tuple(column.invalid) or (float(value) if isinstance(value, np.floating) else value)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1.5", "1.5"),
        (" 1.5 ", "1.5"),
        ("-0", "-0.0"),
        ("1e400", "inf"),
        ("-inf", "-inf"),
        ("Infinity", "inf"),
        ("", "nan"),
        ("  ", "nan"),
        ("NaN", "nan"),
        ("1_000", "('text',)"),
        ("NA", "('text',)"),
        ("true", "('text',)"),
        ('"1,5"', "('text',)"),
        ("0x10", "('text',)"),
    ],
)
def test_a_cell_in_a_numeric_feature(cell: str, value: str) -> None:
    assert repr(value_of(cell, "numeric")) == value


@pytest.mark.parametrize(
    ("cells", "value"),
    [
        (("true", "TRUE", "T", "yes", "Yes", "1", "1.0", " true "), "1.0"),
        (("false", "False", "f", "NO", "0", "0.0", "-0"), "0.0"),
        (("", " ", "nan"), "nan"),
        (("2", "-1", "inf"), "('number',)"),
        (("maybe", "y", "1_0"), "('text',)"),
    ],
)
def test_a_cell_in_a_boolean_feature(cells: tuple[str, ...], value: str) -> None:
    for cell in cells:
        assert repr(value_of(cell, "boolean")).replace("-0.0", "0.0") == value


@pytest.mark.parametrize(
    ("cell", "value"),
    [("UA", "UA"), ("", None), (" ", " "), ("1.50", "1.50"), ("NaN", "NaN"), ('"a ""b"", c"', 'a "b", c')],
)
def test_a_cell_in_a_categorical_feature(cell: str, value: str | None) -> None:
    assert value_of(cell, "categorical") == value


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n \r\n"])
def test_separator_line_ends_and_byte_order_mark_are_found_out(separator: str, end: str, start: str) -> None:
    rows = [["delay", "carrier", "cancelled"], ["1.5", "U;A", "yes"], ["2.5", "A,A", "no"]]
    quoted = [[f'"{cell}"' if ";" in cell or "," in cell else cell for cell in row] for row in rows]
    batch = decode((start + end.join(separator.join(row) for row in quoted) + end).encode())
    assert batch.columns["delay"].values.tolist() == [1.5, 2.5]  # type: ignore[union-attr]
    assert batch.columns["carrier"].values == ["U;A", "A,A"]
    assert batch.columns["cancelled"].values.tolist() == [1.0, 0.0]  # type: ignore[union-attr]
    assert not batch.rejected


def test_a_file_of_one_column() -> None:
    for blank in (b"\n", b"  \n", b"\r\n", b""):
        batch = decode(b"delay\n1\n" + blank + b"2\n", Layout((DELAY,)))
        assert batch.columns["delay"].values.tolist() == [1.0, 2.0]  # type: ignore[union-attr]


def test_the_header_of_the_first_block_holds_for_all() -> None:
    decoder = Decoder(FLIGHTS)
    assert decoder.decode(b"\n").rows == 0
    assert decoder.decode(HEADER).rows == 0
    assert decoder.decode(b"1,UA,t\n2,AA,f\n").columns["carrier"].values == ["UA", "AA"]


def test_joined_files_repeat_the_header_which_is_no_record() -> None:
    batch = decode(HEADER + b"1,UA,t\n" + HEADER + b"2,AA,f\n")
    assert batch.columns["delay"].values.tolist() == [1.0, 2.0]  # type: ignore[union-attr]
    assert not batch.rejected


def test_names_are_trimmed_the_first_of_equal_ones_counts_and_a_path_is_a_name() -> None:
    specs = (DELAY, FeatureSpec("coupon", "categorical", field="meta.coupon"))
    batch = decode(b"id, delay , meta.coupon,delay\n1,2,A,3\n", Layout(specs))
    assert batch.columns["delay"].values.tolist() == [2.0]  # type: ignore[union-attr]
    assert batch.columns["coupon"].values == ["A"]


def test_a_vanished_column_is_absent_from_every_row() -> None:
    batch = decode(b"carrier,cancelled\nUA,t\n")
    assert batch.rows == 1
    assert set(batch.columns) == {"carrier", "cancelled"}


def test_a_file_without_header_is_refused_and_not_counted_as_missing() -> None:
    batch = decode(b"1.5,UA,true\n2.5,AA,false\n2.5,AA,false\n")
    assert (batch.rows, batch.rejected) == (0, {"malformed": 2})
    assert batch.errors[0].message == "the header names none of delay, carrier, cancelled: is line 1 the header?"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"1,UA", "malformed"),
        (b"1,UA,t,x", "malformed"),
        (b"1,U,A,t", "malformed"),
        (b'1,"UA"x,t', "malformed"),
        (b'1,"UA,t', "malformed"),
        (b'1,"U"A",t', "malformed"),
        (b"1,\xff,t", "encoding"),
        (b"1," + b"x" * 65_536 + b",t", "too_long"),
        (b"1," + b"x" * 200_000 + b",t", "too_long"),
    ],
)
def test_a_bad_record_costs_only_itself_and_says_why(record: bytes, reason: str) -> None:
    batch = decode(HEADER + b"1.5,UA,t\n\n" + record + b'\n1.5,"U\nA",t\n1.5,UA,t\n')
    assert batch.columns["delay"].values.tolist() == [1.5, 1.5, 1.5]  # type: ignore[union-attr]
    assert batch.rejected == {reason: 1}
    assert [(error.line, error.reason) for error in batch.errors] == [(4, reason)]


def test_a_record_that_is_not_utf_8_is_refused_among_clean_ones() -> None:
    batch = decode(HEADER + b"1,\xff,t\n2,\xc3\xa9,t\n")
    assert batch.columns["carrier"].values == ["\xe9"]
    assert batch.rejected == {"encoding": 1}


def test_a_stray_quote_gives_back_the_lines_it_swallowed() -> None:
    batch = decode(HEADER + b'1,"UA,t\n2,AA,f\n3,"DL",t\n4,"B\n6",f\n')
    assert batch.columns["delay"].values.tolist() == [2.0, 3.0, 4.0]  # type: ignore[union-attr]
    assert batch.columns["carrier"].values == ["AA", "DL", "B\n6"]
    assert [(error.line, error.reason) for error in batch.errors] == [(2, "malformed")]


def test_lines_are_numbered_from_the_first_line_of_the_file_also_after_a_cell_with_newlines() -> None:
    batch = Decoder(FLIGHTS).decode(HEADER + b'1,"U\n\nA",t\n2,UA\n', first_line=11)
    assert batch.errors[0].line == 15


def test_times_in_cells() -> None:
    layout = Layout((DELAY,), TimeField("at", "ns"))
    batch = decode(b"at,delay\n1360000000123999999,1\n,2\nsoon,x\n1_000,3\n1.5e9,4\n", layout)
    assert batch.times_ms is not None
    assert batch.times_ms.tolist() == [1360000000123, 1500]
    assert batch.columns["delay"].values.tolist() == [1.0, 4.0]  # type: ignore[union-attr]
    assert batch.rejected == {"bad_time": 3}
    assert [error.line for error in batch.errors] == [3, 4, 5]


def test_a_file_without_its_time_column_has_no_usable_record() -> None:
    batch = decode(b"delay\n1\n", Layout((DELAY,), TimeField("at")))
    assert (batch.rows, batch.rejected) == (0, {"bad_time": 1})


@pytest.mark.parametrize("data", [b"", b"\n\r\n", HEADER, HEADER[:-1]])
def test_no_records(data: bytes) -> None:
    batch = decode(data)
    assert (batch.rows, dict(batch.rejected)) == (0, {})
    assert all(len(column) == 0 for column in batch.columns.values())


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), max_size=5)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=8), st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]))
def test_what_the_standard_library_writes_is_read_back(rows: list[tuple[str, str]], separator: str, end: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator=end)
    writer.writerows([("a", "b"), *rows])
    specs = (FeatureSpec("a", "categorical"), FeatureSpec("b", "categorical"))
    batch = decode(out.getvalue().encode(), Layout(specs))
    kept = [row for row in rows if row != ("a", "b")]
    assert batch.columns["a"].values == [a or None for a, _ in kept]
    assert batch.columns["b"].values == [b or None for _, b in kept]
    assert not batch.rejected


LINES = st.lists(st.text('ab1",;\r \t\xe9', max_size=8).map(str.encode) | st.just(b"\xff,1"), max_size=8)


@given(LINES)
def test_a_bad_line_never_changes_what_the_good_ones_say(lines: list[bytes]) -> None:
    """Whatever stands before them, two good records of their own lines are counted, and so is every line."""
    layout = Layout((FeatureSpec("delay", "numeric"), FeatureSpec("carrier", "categorical")))
    noise = [line for line in lines if line.count(b'"') % 2 == 0]
    batch = decode(b"\n".join([b"delay,carrier", *noise, b"71,UA", b"72,AA"]), layout)
    assert batch.columns["carrier"].values[-2:] == ["UA", "AA"]
    records = sum(1 for line in noise if line.strip(b" \r"))
    assert batch.rows + sum(batch.rejected.values()) == records + 2


@pytest.mark.parametrize(
    "header", [b"delay\rcarrier", b"x" * 200_000, b"\xff\xfed\x00e\x00", b'"delay,carrier', b"\x00"]
)
def test_a_header_that_is_no_csv_is_refused_with_all_records(header: bytes) -> None:
    batch = decode(header + b"\n1,UA,t\n")
    assert batch.rows == 0
    assert sum(batch.rejected.values()) >= 1


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_raise(data: bytes, headed: bool) -> None:
    batch = decode(HEADER * headed + data, Layout((DELAY, CARRIER), TimeField("cancelled", "s")))
    assert batch.rows + sum(batch.rejected.values()) <= max(1, len(data))
