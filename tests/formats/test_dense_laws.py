"""Dense: records of plain values are read into one array, and it tells what reading them one by one tells."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import driftmon
from driftmon.formats import ndjson, words
from driftmon.formats.found import Found
from driftmon.formats.layout import Bounds, Layout, TimeField
from driftmon.formats.ndjson import Decoder
from driftmon.monitor.batch import Batch
from driftmon.stats.edges import FeatureSpec
from driftmon.stats.matrix import Matrix, Pivot
from tests.formats.test_ndjson_laws import ODD_LINES, SCALARS, broken_lines, plain

SPECS = (
    FeatureSpec("x", "numeric"),
    FeatureSpec("c", "categorical"),
    FeatureSpec("sparse", "numeric", absent="skip"),
    FeatureSpec("b", "boolean"),
    FeatureSpec("d", "categorical", absent="skip"),
    FeatureSpec("flag", "boolean", absent="skip"),
)
TIMES = [None, TimeField("t", "ms"), TimeField("t", "iso8601")]
TEXTS = st.sampled_from(["UA", "AA", "", "é", "{", "}\n{", "a" * 9]) | st.text(max_size=2)
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-3, 3) | st.none()
CLEAN = st.fixed_dictionaries(
    {"t": st.sampled_from([5, "1970-01-01T00:00:01Z"])},
    optional={
        "x": FLOATS,
        "c": TEXTS | st.none(),
        "sparse": FLOATS,
        "b": st.booleans() | st.none(),
        "d": TEXTS,
        "flag": st.booleans() | st.sampled_from([0, 1, 2, 0.5]),
        "unread": SCALARS,
    },
)
ODD = st.fixed_dictionaries({}, optional=dict.fromkeys(("x", "c", "sparse", "b", "d", "flag", "t"), SCALARS))


def line_of(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode(errors="surrogatepass").replace(b"\n", b"")


CLEAN_LINES = st.lists(CLEAN.map(line_of), min_size=1, max_size=6)
DIRTY_LINES = st.lists(CLEAN.map(line_of) | ODD.map(line_of) | broken_lines() | ODD_LINES, max_size=6)
BLOCKS = st.lists(CLEAN_LINES | CLEAN_LINES | DIRTY_LINES, max_size=6)


def told(batch: Batch) -> Any:
    columns = {name: plain(column) for name, column in batch.columns.items()}
    times = None if batch.times_ms is None else batch.times_ms.tolist()
    return batch.rows, columns, times, dict(batch.rejected), batch.errors


class Plainly(Decoder):
    """One that never uses the array."""

    def _begin(self, *given: Any) -> Found:
        found = super()._begin(*given)
        found.reader.__dict__["dense"] = None
        found.forget()
        return found


@given(blocks=BLOCKS, time=st.sampled_from(TIMES), ending=st.sampled_from([b"\n", b""]))
@example(blocks=[[b'{"c":"UA"}{"c":"AA"}', b"", b'{"x":'], [b'{"c":"UA","d":"UA","x":1}'] * 3], time=None, ending=b"")
@example(blocks=[[b'{"x":1}{"x":2}', b'{"x":', b"3}"], [b'{"c":"A"}'], [b'{"c":"B"}']], time=None, ending=b"")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@patch.multiple(words, ROWS=2, AGAIN=3, FEW=2)
@patch.object(ndjson, "PIECE_BYTES", 200)
def test_blocks_read_into_an_array_say_the_same(
    blocks: list[list[bytes]], time: TimeField | None, ending: bytes
) -> None:
    bounds, layout = Bounds(line_bytes=200, fields=2, text_length=8), Layout(SPECS, time)
    plainly, densely = Plainly(layout, bounds), Decoder(layout, bounds)
    for lines in blocks:
        data = b"\n".join(lines) + ending
        assert told(densely.decode(data)) == told(plainly.decode(data))
        one, other = (decoder.sampled(data, slice(1, None, 2)) for decoder in (densely, plainly))
        assert (told(one[0]), one[1]) == (told(other[0]), other[1])


def test_clean_blocks_are_matrices_and_texts_become_words() -> None:
    decoder = Decoder(Layout(SPECS))
    line = b'{"x":1,"c":"UA","sparse":2,"b":true,"d":"AA","flag":0,"unread":"z"}\n'
    first, second = decoder.decode(line * 300), decoder.decode(line + b'{"c":"ZZ"}\n')
    assert isinstance(first.columns, Matrix)
    assert isinstance(second.columns, Matrix)
    assert list(first.columns.beside) == ["c", "d"]
    assert not second.columns.beside
    assert second.columns["c"].values == ["UA", "ZZ"]
    assert list(second.columns["d"].absent) == [1]
    assert plain(second.columns["x"])[0] == ["1.0", "nan"]


def test_texts_that_are_numbers_in_between_end_the_words() -> None:
    decoder = Decoder(Layout([FeatureSpec("c", "categorical")]))
    decoder.decode(b'{"c":"UA"}\n' * 300)
    assert decoder.decode(b'{"c":7}\n{"c":"UA"}\n').columns["c"].values == ["7", "UA"]
    again = decoder.decode(b'{"c":7.0}\n{"c":"UA"}\n')
    assert isinstance(again.columns, Matrix)
    assert again.columns["c"].values == ["7.0", "UA"]


def test_many_different_texts_never_become_words() -> None:
    decoder = Decoder(Layout([FeatureSpec("c", "categorical")]))
    for start in range(0, 5_000, 1_000):
        data = b"".join(b'{"c":"%d"}\n' % at for at in range(start, start + 1_000))
        assert decoder.decode(data).columns["c"].values == [str(at) for at in range(start, start + 1_000)]
    assert decoder._lexicon.words == {}


def test_pieces_and_blocks_read_in_between_do_not_mix_up_what_is_no_word() -> None:
    decoder = Decoder(Layout([FeatureSpec("c", "categorical")]), Bounds(line_bytes=22))
    decoder.decode(b'{"c":"UA"}\n' * 300)
    with patch.object(ndjson, "PIECE_BYTES", 22):
        steps = decoder.batches(b'{"c":"X"}\n{"c":"A"}\n{"c":"UA"}\n{"c":"A"}\n{"c":"B"}\n')
        next(steps)
        assert decoder.decode(b'{"c":"Y"}\n{"c":"X"}\n').columns["c"].values == ["Y", "X"]
        (batch,) = [step for step in steps if step is not None]
    assert isinstance(batch.columns, Matrix)
    assert batch.columns["c"].values == ["X", "A", "UA", "A", "B"]


WIDE = [FeatureSpec(f"x{at}", "numeric", absent="skip" if at % 3 else "missing") for at in range(80)]
SPARSE = st.dictionaries(st.integers(0, 79).map("x{}".format), FLOATS, max_size=4)
SPARSE_LINES = st.tuples(
    SPARSE, st.fixed_dictionaries({"t": st.just("1970-01-01T00:00:01Z")}, optional={"c": TEXTS, "y": FLOATS})
)
ODD_SPARSE = st.dictionaries(st.sampled_from(["x0", "x1", "c", "t", "z"]), SCALARS, max_size=3)


@given(
    blocks=st.lists(
        st.lists(SPARSE_LINES.map(lambda pair: line_of(pair[0] | pair[1])), min_size=1, max_size=5)
        | st.lists(ODD_SPARSE.map(line_of) | SPARSE.map(line_of) | ODD_LINES, max_size=5),
        max_size=4,
    ),
    time=st.sampled_from(TIMES),
)
@example(blocks=[[b'{"x1":"3"}'], [b'{"x0":true}']], time=None)
@example(blocks=[[b'{"x0":1}'], [b'{"x0":null,"c":7}', b'{"x1":1,"x1":2}']], time=None)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_records_with_few_of_many_keys_say_the_same(blocks: list[list[bytes]], time: TimeField | None) -> None:
    bounds, layout = Bounds(line_bytes=200, fields=1, text_length=8), Layout([*WIDE, SPECS[1]], time)
    plainly, densely = Plainly(layout, bounds), Decoder(layout, bounds)
    for lines in blocks:
        data = b"\n".join(lines)
        assert told(densely.decode(data)) == told(plainly.decode(data))


def test_records_with_few_of_many_keys_are_read_by_the_keys_there_are() -> None:
    batch = Decoder(Layout(WIDE)).decode(b'{"x3":1,"x1":null,"other":"text"}\n{"x3":2}\n')
    assert isinstance(batch.columns, Pivot)
    assert plain(batch.columns["x3"])[0] == ["1.0", "2.0"]
    assert (batch.columns["x1"].absent, batch.columns["x4"].absent, batch.columns["x0"].absent) == ([1], [0, 1], ())


def test_features_that_read_the_same_field_each_have_its_values() -> None:
    values, texts = [float(at) for at in range(300)], ["ABC"[at % 3] for at in range(300)]
    columns = {"one": values, "other": values, "c": texts, "again": texts}
    specs = [FeatureSpec(name, "numeric", field="v") for name in ("one", "other")]
    specs += [FeatureSpec(name, "categorical", field="w") for name in ("c", "again")]
    decoder, reference = Decoder(Layout(specs)), driftmon.reference_of(columns)
    lines = b"".join(b'{"v":%d,"w":"%s"}\n' % (v, w.encode()) for v, w in zip(values, texts, strict=True))
    for _ in range(2):  # the second time the words are known
        monitor = driftmon.Monitor(reference)
        monitor.observe_batch(decoder.decode(lines), 0)
        assert monitor.snapshot().counts.tolist() == reference.counts.tolist()


def test_texts_of_records_that_did_not_fit_are_not_kept() -> None:
    decoder = Decoder(Layout([FeatureSpec("c", "categorical")]))
    decoder.decode(b'{"c":"a"}\n{"c":"b"}\n' * 200)
    decoder.decode(b'{"c":"a"}\n')
    for body in range(40):
        texts = b"".join(b'{"c":"%d/%d"}\n' % (body, at) for at in range(50))
        decoder.decode(texts + b'{"c":"a","nobody":{"reads":[1]}}\n')
    dense = decoder._rows.dense
    assert dense is not None
    assert [words.take() for words in dense.words.values()] == [[]]


@given(blocks=BLOCKS, time=st.sampled_from(TIMES))
@example(blocks=[[b"{}{}", b"{}"], [b"{}", b"", b"{}"], [b'{"x":', b"1}"], [b'{"x":1', b',"b":true}']], time=None)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@patch.multiple(words, ROWS=2, AGAIN=3, FEW=2)
def test_what_is_clean_is_a_good_record_a_line_and_reads_the_same(
    blocks: list[list[bytes]], time: TimeField | None
) -> None:
    decoder, plainly = Decoder(Layout(SPECS, time)), Decoder(Layout(SPECS, time))
    for lines in blocks:
        batch = decoder.clean(b"".join(line + b"\n" for line in lines))
        each = [plainly.decode(line + b"\n") for line in lines]
        if batch is not None:
            assert [(one.rows, one.rejected) for one in each] == [(1, {})] * len(lines)
            assert told(batch) == told(plainly.decode(b"".join(line + b"\n" for line in lines)))


def test_plain_lines_are_clean() -> None:
    decoder = Decoder(Layout(SPECS))
    for data in (b'{"x":1,"c":"UA"}\n{}\n', b'{"x":1,"unread":2}\n' * 3, b'{"x":null}\r\n', b'{"flag":0.5}'):
        batch = decoder.clean(data)
        assert batch is not None
        assert batch.rows == data.count(b"{")
