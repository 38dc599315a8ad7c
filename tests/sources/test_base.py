"""Lines and pieces: cutting at line ends loses nothing, doubles nothing, and never tears a record."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from driftmon.sources.base import Lines, pieces, with_header

LINE_BYTES = 64
texts = st.binary(max_size=LINE_BYTES).map(lambda data: data.replace(b"\n", b"."))


def chunked(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[low:high] for low, high in pairwise(places)]


@given(st.lists(texts), texts, st.lists(st.integers(min_value=0), max_size=8))
def test_lines_are_the_same_however_the_bytes_arrive(lines: list[bytes], torn: bytes, cuts: list[int]) -> None:
    data = b"".join(line + b"\n" for line in lines) + torn
    cutter = Lines(LINE_BYTES)
    whole = [cutter.feed(chunk) for chunk in chunked(data, cuts)]
    assert all(part == b"" or part.endswith(b"\n") for part in whole)
    assert b"".join(whole) + cutter.rest() == data
    assert cutter.rest() == b""


@given(st.integers(min_value=1, max_value=50))
def test_a_line_without_end_is_held_within_the_limit_and_shows_as_too_long_once(chunks: int) -> None:
    cutter = Lines(LINE_BYTES)
    for chunk in range(chunks):
        assert cutter.feed(b"x" * LINE_BYTES) == b""
        assert cutter.torn_bytes == LINE_BYTES * (chunk + 1), "all of it would have to be read again"
        assert len(cutter._torn) <= LINE_BYTES + 1
    lines = (cutter.feed(b"x\nnext\n") + cutter.rest()).splitlines()
    assert lines[1:] == [b"next"]
    assert LINE_BYTES < len(lines[0]) <= 2 * LINE_BYTES + 2


@given(st.lists(st.lists(st.text(alphabet='ab\n,"', max_size=6), min_size=1, max_size=3), max_size=6), st.data())
def test_a_line_end_between_quotes_is_no_place_to_cut(rows: list[list[str]], data: st.DataObject) -> None:
    records = [",".join('"' + cell.replace('"', '""') + '"' for cell in row).encode() + b"\n" for row in rows]
    whole = b"".join(records)
    cutter = Lines(LINE_BYTES, quotes=b'"')
    cuts = data.draw(st.lists(st.integers(min_value=0), max_size=6))
    parts = [part for chunk in chunked(whole, cuts) if (part := cutter.feed(chunk))]
    assert b"".join(parts) + cutter.rest() == whole
    ends = {sum(map(len, records[: n + 1])) for n in range(len(records))}
    reached = 0
    for part in parts:
        reached += len(part)
        assert reached in ends


def test_an_unclosed_quote_holds_up_no_more_than_one_line_may_have() -> None:
    cutter = Lines(LINE_BYTES, quotes=b'"')
    assert cutter.feed(b'1,"open\n') == b""
    assert cutter.feed(b"2,fine\n" * 20).endswith(b"2,fine\n")


@given(st.lists(texts), st.integers(min_value=1, max_value=200))
def test_pieces_are_the_body_and_their_first_lines_are_those_of_the_body(lines: list[bytes], size: int) -> None:
    body = b"\n".join(lines)
    cut = list(pieces(body, size))
    assert b"".join(piece for _, piece in cut) == body
    for number, piece in cut:
        assert body.split(b"\n")[number - 1 :][: len(piece.split(b"\n")) - 1] == piece.split(b"\n")[:-1]


def test_a_csv_block_opens_with_the_header_of_its_input() -> None:
    first, header = with_header("csv", b"", b"a,b\n1,2\n")
    later, _ = with_header("csv", header, b"3,4\n")
    assert (first, later) == (b"a,b\n1,2\n", b"a,b\n3,4\n")
    assert with_header("ndjson", b"", b"{}\n") == (b"{}\n", b"")
