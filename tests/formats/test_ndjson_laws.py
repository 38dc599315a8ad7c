"""NDJSON: what holds for any lines. The oracle reads one line at a time with the standard library alone."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from driftmon.formats.layout import Bounds, Layout, TimeField
from driftmon.formats.ndjson import Decoder
from driftmon.monitor.batch import Batch
from driftmon.stats.columns import ABSENT, Column, column_of
from driftmon.stats.edges import FeatureSpec

SPECS = (
    FeatureSpec("x", "numeric"),
    FeatureSpec("sparse", "numeric", absent="skip"),
    FeatureSpec("c", "categorical"),
    FeatureSpec("b", "boolean"),
    FeatureSpec("deep", "categorical", field="m.c", absent="skip"),
    FeatureSpec("deeper", "numeric", field="m.n.x"),
    FeatureSpec("x as text", "categorical", field="x"),
)
LAYOUT = Layout(SPECS)
TIMED = Layout(SPECS, TimeField("t", "ms"))

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["UA", "{", "}\n{", "[[[[", 1e300, -(10**400), 10**400, 2**64]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)
MAPS = st.fixed_dictionaries(
    {}, optional={"c": SCALARS, "n": SCALARS | st.fixed_dictionaries({}, optional={"x": VALUES})}
)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "x": st.floats() | st.integers() | VALUES,
        "sparse": SCALARS,
        "c": st.text(max_size=3) | VALUES,
        "b": st.booleans() | SCALARS,
        "m": MAPS | SCALARS,
        "t": st.integers(0, 10**13) | st.floats(0, 1e13) | SCALARS,
        "unread": VALUES,
    },
)
GOOD_LINES: st.SearchStrategy[bytes] = st.builds(
    lambda record, escaped, end: (json.dumps(record, ensure_ascii=escaped) + end).encode(errors="surrogatepass"),
    RECORDS,
    st.booleans(),
    st.sampled_from(["", "\r", " "]),
)


@st.composite
def broken_lines(draw: st.DrawFn) -> bytes:
    """A good line with one byte changed, dropped or put in, or cut; without newlines of its own."""
    line = draw(GOOD_LINES)
    at = draw(st.integers(0, len(line)))
    put = draw(
        st.sampled_from(
            [b"", b"\xff", b"{", b"}", b"[", b"]", b'"', b",", b"\\", b"0", b"e", b".", b"-", b"\x00", b"{}"]
        )
    )
    return line[:at] + put + line[at + draw(st.integers(0, 2)) :]


ODD_LINES = st.sampled_from(
    [
        b"",
        b" \t\r",
        b"{}",
        b"7",
        b"[1,2]",
        b"{}{}",
        b'{"x":NaN}',
        b'{"x":1e400,"c":"\\ud83d"}',
        b'{"x"',
        b":1}",
        b"\xef\xbb\xbf{}",
    ]
)
# No line opens an array of objects or an object that another line may close: of those the next file tells.
LINES = st.lists(
    st.one_of(GOOD_LINES, GOOD_LINES, broken_lines(), ODD_LINES).map(lambda line: line.replace(b"\n", b"")), max_size=8
)


def follow(record: Any, path: list[str]) -> Any:
    for key in path:
        if not isinstance(record, dict) or key not in record:
            return ABSENT
        record = record[key]
    return record


def depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def read(line: bytes) -> dict[str, Any] | None:
    """The record of a line; None if it is to be rejected."""
    try:
        record = json.loads(line.decode())
        json.dumps(record, ensure_ascii=False).encode()
    except ValueError:
        return None
    return record if isinstance(record, dict) and depth(record) <= 8 else None


def oracle(lines: list[bytes]) -> tuple[dict[str, Column], int]:
    """Columns, and the number of records rejected."""
    read_lines = [read(line) for line in lines if line.strip()]
    records = [record for record in read_lines if record is not None]
    columns = {}
    for spec in SPECS:
        values = [follow(record, spec.field.split(".") if spec.field else [spec.name]) for record in records]
        columns[spec.name] = column_of(
            spec.kind, [None if value is ABSENT and spec.absent == "missing" else value for value in values]
        )
    return columns, len(read_lines) - len(records)


def plain(column: Column) -> tuple[list[str], dict[str, list[int]], list[int]]:
    """A column as something to compare; NaN equals NaN and 0.0 is not -0.0."""
    values = [
        repr(value) for value in (column.values.tolist() if isinstance(column.values, np.ndarray) else column.values)
    ]
    return values, {reason: list(rows) for reason, rows in column.invalid.items()}, list(column.absent)


def assert_equal(batch: Batch, columns: dict[str, Column], rejected: int) -> None:
    assert {name: plain(column) for name, column in batch.columns.items()} == {
        name: plain(column) for name, column in columns.items()
    }
    assert sum(batch.rejected.values()) == rejected


def is_plain(line: bytes) -> bool:
    return line.lstrip()[:1] != b"["


@given(st.lists(GOOD_LINES.map(lambda line: line.replace(b"\n", b"")), max_size=8))
def test_good_records_agree_with_the_oracle(lines: list[bytes]) -> None:
    assert_equal(Decoder(LAYOUT).decode(b"\n".join(lines)), *oracle(lines))


@settings(max_examples=300)
@given(LINES)
@example([b"{}{}", b'{"x"', b":1}"])
@example([b'{"unread":"\xff"}', b"{}"])
def test_any_lines_agree_with_the_oracle_and_rows_and_rejections_add_up(lines: list[bytes]) -> None:
    lines = [b"{}", *filter(is_plain, lines)]  # so that the data as a whole is neither an array nor one object
    batch = Decoder(LAYOUT).decode(b"\n".join(lines))
    assert_equal(batch, *oracle(lines))
    assert batch.rows + sum(batch.rejected.values()) == sum(1 for line in lines if line.strip())


@given(LINES, st.data())
def test_cutting_at_newlines_changes_nothing(lines: list[bytes], data: st.DataObject) -> None:
    """Rows, times, rejections and line numbers: all that a batch holds."""
    lines = list(filter(is_plain, lines))
    cut = data.draw(st.integers(0, len(lines)))
    decoder = Decoder(TIMED)
    first, second, whole = (
        decoder.decode(b"".join(line + b"\n" for line in [b"{}", *part]), at)
        for part, at in ((lines[:cut], 1), (lines[cut:], cut + 1), (lines, 1))
    )
    assert first.times_ms is not None
    assert second.times_ms is not None
    assert whole.times_ms is not None
    assert [*first.times_ms, *second.times_ms] == whole.times_ms.tolist()
    for spec in SPECS:
        halves = [plain(half.columns[spec.name])[0] for half in (first, second)]
        assert halves[0] + halves[1] == plain(whole.columns[spec.name])[0]
    assert (
        first.rejected["bad_time"] + second.rejected["bad_time"] == whole.rejected["bad_time"] + 1
    )  # of the second {}
    assert [e.line for e in first.errors] + [e.line for e in second.errors][1:] == [e.line for e in whole.errors]


@given(LINES)
def test_short_pieces_change_nothing(lines: list[bytes]) -> None:
    """A line limit of a few hundred bytes makes pieces of a line or two; no line here comes near it."""
    data = b"\n".join([b"{}", *filter(is_plain, lines)])
    longest = max(map(len, data.split(b"\n")))
    whole, short = Decoder(LAYOUT).decode(data), Decoder(LAYOUT, Bounds(line_bytes=longest)).decode(data)
    assert_equal(short, dict(whole.columns), sum(whole.rejected.values()))
    assert short.errors == whole.errors


@given(st.lists(RECORDS, max_size=6))
def test_an_array_equals_its_lines(records: list[dict[str, Any]]) -> None:
    lines = [json.dumps(record).encode() for record in records]
    array, ndjson = (
        Decoder(TIMED).decode(b"[" + b",".join(lines) + b"]"),
        Decoder(TIMED).decode(b"\n".join([b"{}", *lines])),
    )
    assert_equal(array, dict(ndjson.columns), sum(ndjson.rejected.values()) - 1)


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    batch = Decoder(TIMED).decode(data)
    assert batch.rows + sum(batch.rejected.values()) <= max(1, len(data))


@settings(max_examples=40)
@given(st.lists(RECORDS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_nothing(records: list[dict[str, Any]], chance: random.Random) -> None:
    """A decoder goes by the order of the first line that it sees."""

    def shuffled(record: Any) -> Any:
        if not isinstance(record, dict):
            return record
        return {key: shuffled(record[key]) for key in chance.sample(sorted(record), len(record))}

    lines = [json.dumps(record).encode() for record in records]
    decoder = Decoder(LAYOUT)
    for first in (*records, records[0]):
        assert decoder.decode(json.dumps(shuffled(first)).encode() + b"\n").rows <= 1
        assert_equal(decoder.decode(b"\n".join([b"{}", *lines])), *oracle([b"{}", *lines]))


@settings(max_examples=40)
@given(LINES, st.integers(0, 5), st.integers(1, 4), st.sampled_from([LAYOUT, TIMED]))
def test_a_sample_of_the_rows_is_what_it_is_among_all(
    lines: list[bytes], start: int, step: int, layout: Layout
) -> None:
    data = b"\n".join([b"{}", *filter(is_plain, lines)])
    whole, wanted = Decoder(layout).decode(data), slice(start, None, step)
    some, rows = Decoder(layout).sampled(data, wanted)
    assert (some.rows, rows) == (len(range(whole.rows)[wanted]), whole.rows)
    for spec in SPECS:
        assert plain(some.columns[spec.name])[0] == plain(whole.columns[spec.name])[0][wanted]


@settings(max_examples=40)
@given(LINES, LINES)
def test_lines_read_after_bad_ones_are_read_the_same(before: list[bytes], lines: list[bytes]) -> None:
    """After a line that does not fit a decoder reads line by line for a while."""
    lines = [b"{}", *filter(is_plain, lines)]
    decoder = Decoder(LAYOUT)
    decoder.decode(b"\n".join([b'{"x":NaN}', *filter(is_plain, before)]))
    assert_equal(decoder.decode(b"\n".join(lines)), *oracle(lines))
