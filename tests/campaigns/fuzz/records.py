"""Records: the NDJSON and CSV decoders against naive ones, and the decompressor against its bound.

Law: the naive readers know the standard library alone and read a line at a time; they agree on every value.
"""

from __future__ import annotations

import csv as standard
import gzip
import json
import random
import zlib
from typing import Any, Final

import numpy as np
import zstandard

from driftmon.formats import csv, ndjson
from driftmon.formats.compression import DecompressionError, decompress
from driftmon.formats.layout import Bounds, Layout, path_of
from driftmon.formats.rejections import REASONS
from driftmon.monitor.batch import Batch
from driftmon.stats.columns import ABSENT, Column, column_of
from driftmon.stats.edges import FeatureSpec
from tests.campaigns.fuzz.mutation import mutated, value

LAYOUT: Final = Layout(
    (
        FeatureSpec("x", "numeric"),
        FeatureSpec("sparse", "numeric", absent="skip"),
        FeatureSpec("c", "categorical"),
        FeatureSpec("b", "boolean"),
        FeatureSpec("deep", "categorical", field="m.c", absent="skip"),
        FeatureSpec("x as text", "categorical", field="x"),
    )
)
READ: Final = 5  # fields
BOUNDS: Final = Bounds(line_bytes=2000, depth=5, fields=12, text_length=30)
LINES: Final = (
    b'{"x": 1.5, "c": "UA", "b": true, "m": {"c": "a"}, "sparse": null}',
    b'{"x": NaN, "c": 7, "b": 0, "unread": [1, {"a": "\\u00e9"}]}',
    b'{"x": 1e400, "c": "\xc3\xa9", "x": -Infinity}',
    b"{" + b",".join(b'"k%d": %d' % (at, at) for at in range(17)) + b"}",
)
TABLES: Final = (
    b'x,c,b,note\n1,UA,true,a\n,AA,0,\n1e400,"a,b",no,x\n',
    b'c;x\nUA;3\n"two\nlines";4\n',
    b'b\tx\tc\nt\tNaN\t"q""q"\n',
)


def ndjson_input(chance: random.Random) -> bytes:
    """Lines behind a first one that closes, so that each counts for itself."""
    lines = [b"{}"]
    for _ in range(chance.randint(1, 5)):
        if chance.random() < 0.5:
            keys = chance.choices(["x", "sparse", "c", "b", "m", "unread", "é"], k=4)
            made = json.dumps({key: value(chance) for key in keys}, ensure_ascii=chance.random() < 0.5)
            lines.append(made.encode(errors="surrogatepass"))
        else:
            lines.append(mutated(chance, LINES))
    return b"\n".join(lines)


def check_ndjson(data: bytes) -> None:
    batch = ndjson.Decoder(LAYOUT, BOUNDS).decode(data)
    records, rejected = [], 0
    for line in data.split(b"\n"):
        found = _elements(line) if line.strip() else []
        records += [record for record in found if record is not None]
        rejected += found.count(None)
    assert (batch.rows, sum(batch.rejected.values())) == (len(records), rejected), (batch.rejected, rejected)
    for reading in LAYOUT.features:
        values = [_follow(record, path_of(reading)) for record in records]
        if reading.absent == "missing":
            values = [None if one is ABSENT else one for one in values]
        expected, found_column = _plain(column_of(reading.kind, values)), _plain(batch.columns[reading.name])
        assert found_column == expected, (reading.name, found_column, expected)
    _within(batch)


def check_any(data: bytes) -> None:
    """Whatever it is, an array or one object over many lines among it: nothing but rows and rejections."""
    _within(ndjson.Decoder(LAYOUT, BOUNDS).decode(data))
    _within(csv.Decoder(LAYOUT, BOUNDS).decode(data))


def any_input(chance: random.Random) -> bytes:
    return mutated(chance, (b"[" + b",\n".join(LINES[:3]) + b"]", b'{\n"x": 1,\n"c": "a"\n}', *TABLES, *LINES))


def csv_input(chance: random.Random) -> bytes:
    """A good header; then lines without quotes, as the naive reader has no patience for those."""
    table = chance.choice((b"x,c,b\n", b"c;x\n"))
    changed = mutated(chance, (b"1,UA,true\n2,,f\n", b"UA;3\n;1e400\n"))
    return table + changed.replace(b'"', b"").replace(b"\x00", b"").replace(b"\r", b"")


def check_csv(data: bytes) -> None:
    batch = csv.Decoder(LAYOUT, BOUNDS).decode(data)
    lines = data.removesuffix(b"\n").split(b"\n")
    separator = "," if b"," in lines[0] else ";"
    names = lines[0].decode().split(separator)
    rows, rejected = [], 0
    for line in lines[1:]:
        if not line.strip(b" \r"):
            continue
        cells = _cells(line, separator, len(names))
        if cells is None or _longest(cells, names) > BOUNDS.text_length:
            rejected += 1
        elif [cell.strip() for cell in cells] != names:
            rows.append(cells)
    assert (batch.rows, sum(batch.rejected.values())) == (len(rows), rejected), (batch.rejected, rejected, rows)
    found = batch.columns["c"].values
    assert found == [row[names.index("c")] or None for row in rows]


def packed_input(chance: random.Random) -> bytes:
    plain = bytes(chance.choice(b"ab\n") for _ in range(chance.randint(0, 300))) * chance.choice((1, 40))
    packed = (gzip.compress(plain, mtime=0), zstandard.compress(plain), zlib.compress(plain), gzip.compress(b"") * 3)
    return mutated(chance, packed)


def check_packed(data: bytes) -> None:
    for encoding in ("gzip", "zstd"):
        try:
            assert len(decompress(data, encoding, 5000)) <= 5000
        except DecompressionError:
            continue


def _elements(line: bytes) -> list[Any]:
    """The records of one line, None for each that is rejected."""
    if len(line) > BOUNDS.line_bytes:
        return [None]
    try:
        text = line.decode()
        read = json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= 1000 else float(digits))
        json.dumps(read, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return [None]
    several = isinstance(read, list) and (not read or any(isinstance(one, dict) for one in read))
    return [_bounded(one) for one in (read if several else [read])]


def _bounded(record: Any) -> Any:
    if not isinstance(record, dict) or _depth(record) > BOUNDS.depth or _keys(record) > BOUNDS.fields + READ:
        return None
    texts = (_follow(record, path) for path in (("c",), ("m", "c"), ("x",)))
    return None if any(isinstance(text, str) and len(text) > BOUNDS.text_length for text in texts) else record


def _inner(one: Any) -> list[Any]:
    return list(one.values()) if isinstance(one, dict) else one if isinstance(one, list) else []


def _depth(one: Any) -> int:
    return 1 + max(map(_depth, _inner(one)), default=0) if isinstance(one, (dict, list)) else 0


def _keys(one: Any) -> int:
    return (len(one) if isinstance(one, dict) else 0) + sum(map(_keys, _inner(one)))


def _follow(record: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(record, dict) or key not in record:
            return ABSENT
        record = record[key]
    return record


def _cells(line: bytes, separator: str, width: int) -> list[str] | None:
    try:
        cells = next(standard.reader([line.decode()], delimiter=separator, strict=True))
    except (ValueError, standard.Error):
        return None
    return cells if len(cells) == width and len(line) <= BOUNDS.line_bytes else None


def _longest(cells: list[str], names: list[str]) -> int:
    return max(len(cells[names.index(name)]) for name in ("c", "x"))  # both are read as categories


def _plain(column: Column) -> object:
    values = column.values.tolist() if isinstance(column.values, np.ndarray) else column.values
    return list(map(repr, values)), {why: list(rows) for why, rows in column.invalid.items()}, list(column.absent)


def _within(batch: Batch) -> None:
    assert set(batch.rejected) <= set(REASONS)
    assert len(batch.errors) <= 10
    assert all(len(column.values) == batch.rows for column in batch.columns.values())
