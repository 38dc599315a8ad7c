"""Records out of bounds: one rejection each, with its reason, whichever way they are read; and never much memory."""

from __future__ import annotations

import gc
import json
import tracemalloc
from types import SimpleNamespace as Spec
from typing import Any

import pytest

from driftmon.formats import csv, ndjson
from driftmon.formats.layout import Bounds, Layout

LAYOUT = Layout(
    [
        Spec(name="x", kind="numeric", field=None, absent="missing"),
        Spec(name="c", kind="categorical", field=None, absent="missing"),
        Spec(name="deep", kind="categorical", field="m.c", absent="missing"),
    ]
)
BOUNDS = Bounds(line_bytes=4096, depth=3, fields=20, text_length=30)
PADDING = {f"k{at}": at for at in range(20)}
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "as many fields as may be": ({**PADDING, "x": 1, "c": "a"}, ""),
    "one more": ({**PADDING, "x": 1, "c": "a", "d": 0, "e": 0}, "too_many_fields"),
    "within": ({"m": {"c": "a", **PADDING, "y": 2}, "x": 1, "z": 1}, "too_many_fields"),
    "around and within": (
        {**dict.fromkeys("abdefghijkl", 1), "n": dict.fromkeys("abcdefghijklop", 1)},
        "too_many_fields",
    ),
    "in lists": ({"m": [{"a": at} for at in range(24)]}, "too_many_fields"),
    "many colons": ({"x": 1, "note": ":" * 100}, ""),
    "a category as long as may be": ({"c": "ü" * 30}, ""),
    "a longer one": ({"c": "ü" * 31}, "too_long"),
    "below": ({"m": {"c": "y" * 31}}, "too_long"),
    "a long text nobody reads": ({"note": "y" * 2000, "c": "a"}, ""),
    "depth as it may be": ({"m": {"c": [1]}}, ""),
    "deeper": ({"m": {"c": [[1]]}}, "too_deep"),
    "a long line": ({"note": "y" * 4096}, "too_long"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("odd", [False, True], ids=["clean", "tolerant"])
def test_one_rejection_with_its_reason_and_its_neighbours_are_kept(case: str, *, odd: bool) -> None:
    record, reason = CASES[case]
    if odd:
        record = {**record, "x": float("nan")}  # no msgspec reads it
    lines = [b'{"x": 1}', json.dumps(record, ensure_ascii=False).encode(), b'{"x": 2}']
    batch = ndjson.Decoder(LAYOUT, BOUNDS).decode(b"\n".join(lines))
    expected = {reason: 1} if reason else {}
    assert dict(batch.rejected) == expected
    assert batch.rows == (2 if reason else 3)
    assert [error.line for error in batch.errors] == ([2] if reason else [])
    array = ndjson.Decoder(LAYOUT, BOUNDS).decode(b"[" + b",".join(lines) + b"]")
    if case != "a long line":
        assert dict(array.rejected) == expected


def test_csv_has_the_same_bound_on_categories() -> None:
    data = 'x,c,note\n1,a,{0}\n2,{0},b\n3,a,b\n4,"a\n{0}",b\n'.format("y" * 31)
    batch = csv.Decoder(LAYOUT, BOUNDS).decode(data.encode())
    assert (batch.rows, dict(batch.rejected)) == (2, {"too_long": 2})


def test_a_schema_of_a_thousand_features_needs_no_other_limit() -> None:
    layout = Layout([Spec(name=f"f{at}", kind="numeric", field=None, absent="missing") for at in range(1000)])
    record = json.dumps({f"f{at}": at for at in range(1000)} | {f"extra{at}": 0 for at in range(200)}).encode()
    assert ndjson.Decoder(layout).decode(record + b"\n" + record).rows == 2


SIZE = 64 * 1024 - 16
BOMBS = {
    "deep": b'{"x":' + b"[" * SIZE,
    "deep maps": b'{"x":' + b'{"a":' * (SIZE // 5),
    "closed": b"[" * (SIZE // 2) + b"]" * (SIZE // 2),
    "digits": b'{"x": ' + b"9" * (SIZE - 8) + b"}",
    "fraction": b'{"x": 0.' + b"9" * (SIZE - 10) + b"}",
    "exponent": b'{"x": 1e' + b"9" * (SIZE - 10) + b"}",
    "integer category": b'{"c": ' + b"9" * (SIZE - 8) + b"}",
    "keys": b"{" + b",".join(b'"%d":1' % at for at in range(5000)) + b"}",
    "escapes": b'{"c": "' + rb"\u0041" * (SIZE // 6 - 2) + b'"}',
    "quotes": b'{"c": "' + b'\\"' * (SIZE // 2 - 6) + b'"}',
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_line_costs_at_most_twenty_five_times_its_bytes(bomb: str) -> None:
    decoder = ndjson.Decoder(LAYOUT)
    decoder.decode(b'{"x": 1}\n{"x": NaN}')
    tracemalloc.start()
    try:
        decoder.decode(BOMBS[bomb])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 25 * len(BOMBS[bomb])


def test_new_categories_and_names_leave_nothing_behind() -> None:
    decoder = ndjson.Decoder(LAYOUT)

    def flood(start: int) -> bytes:
        return b"".join(b'{"c": "category %d", "key %d": %d}\n' % (at, at, at) for at in range(start, start + 2000))

    decoder.decode(flood(0))
    tracemalloc.start()
    try:
        for start in range(2000, 20_000, 2000):
            decoder.decode(flood(start))
        gc.collect()  # Python keeps up to 2,000 freed tuples of each length
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < 100_000
