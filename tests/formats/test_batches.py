"""`batches` is `decode` in parts: the same rows and errors, and never many numbers at once."""

from collections import Counter
from typing import Any

import pytest

from driftmon.formats import arrays, ndjson
from driftmon.formats.layout import Layout
from driftmon.formats.ndjson import BATCH_CELLS, Decoder
from driftmon.monitor.batch import MAX_ERRORS
from driftmon.stats.edges import FeatureSpec

LAYOUT = Layout([FeatureSpec("x", "numeric"), FeatureSpec("c", "categorical"), FeatureSpec("ok", "boolean")])
RECORD = b'{"x": 1.5, "c": "},", "ok": true}'
ODD = b'{"x": NaN, "c": 3, "more": {"x": [1]}}'


def everything(batches: Any) -> tuple[Any, ...]:
    """Rows, columns, rejections and the first errors of several batches, as of one."""
    columns: dict[str, list[Any]] = {}
    rejected, errors, rows = Counter[str](), list[Any](), 0
    for batch in batches:
        for name, column in batch.columns.items():
            wrong = {row: why for why, found in column.invalid.items() for row in found}
            told = [(wrong.get(row), repr(value)) for row, value in enumerate(column.values)]
            columns.setdefault(name, []).extend(told)
        rows, rejected, errors = rows + batch.rows, rejected + Counter(batch.rejected), errors + list(batch.errors)
    return rows, columns, dict(rejected), errors[:MAX_ERRORS]


@pytest.mark.parametrize(
    "data",
    [
        b"\n".join([RECORD] * 40),
        b"\n".join([RECORD, ODD, b"[1]", b"no JSON", b""] * 12),
        b"[" + b",".join([RECORD] * 40) + b"]",
        b"[" + b", ".join([RECORD, ODD, b"7", b"[]", b"{}"] * 12) + b"]\n",
        b'[{"c": {"d": "},{"}},{"c": "\\ud800"},{}]',
        b"[" + b",".join([b'{"x": 1}'] * 40) + b",]",
        b"[" + b",".join([b'{"x": 1}'] * 40),
        b"[" + b",".join([b'{"x": 1}'] * 20) + b",," + b",".join([b'{"x": 1}'] * 20) + b"]",
        b"[[" + b",".join([b'{"x": 1}'] * 40) + b"]]",
        b" [ ] ",
        b"[1, 2]",
    ],
)
def test_in_parts_it_is_what_it_is_at_once(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = everything([Decoder(LAYOUT).decode(data)])
    monkeypatch.setattr(ndjson, "BATCH_ROWS", 3)
    monkeypatch.setattr(arrays, "STEP_ELEMENTS", 2)
    monkeypatch.setattr(arrays, "STEP_BYTES", 20)
    decoder = Decoder(LAYOUT)
    parts = [batch for batch in decoder.batches(data) if batch is not None]
    assert everything(parts) == at_once == everything([decoder.decode(data)])


@pytest.mark.parametrize("data", [b"{}\n" * 20_000, b"no\n" + b"{}\n" * 5000, b"[" + b"{}," * 20_000 + b"{}]"])
def test_empty_records_of_a_wide_stream_do_not_fill_the_memory(data: bytes) -> None:
    names = [f"f{at}" for at in range(300)]
    decoder = Decoder(Layout([FeatureSpec(name, "numeric") for name in names]))
    cells, rows = 0, 0
    for batch in decoder.batches(data[:30_000] if data[:1] == b"n" else data):
        if batch is not None:
            cells = max(cells, sum(map(len, batch.columns.values())))
            rows += batch.rows
            if rows > 2 * BATCH_CELLS // 300:
                break  # one has been seen in full
    assert 0 < cells <= 2 * BATCH_CELLS


def test_a_small_block_in_between_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pump reads large blocks in steps; the small one may be the first that shows the order of keys."""
    monkeypatch.setattr(arrays, "STEP_ELEMENTS", 2)
    monkeypatch.setattr(ndjson, "BATCH_ROWS", 3)
    layout = Layout([FeatureSpec(name, "numeric") for name in "abc"])
    large = b"[" + b",".join([b'{"a": 1, "b": 2, "c": 3}'] * 9) + b"]"
    decoder = Decoder(layout)
    steps = decoder.batches(large)
    found = [next(steps), next(steps)]
    assert decoder.decode(b'{"c": 6, "a": 4, "b": 5}\n').columns["c"].values[0] == 6
    assert everything([batch for batch in [*found, *steps] if batch]) == everything([Decoder(layout).decode(large)])
