"""Lines: a block of lines in pieces, and what can be told of many lines at once without reading their JSON.

Law: nothing here decides what a line means. It says of which lines no bound can be broken, and leaves the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

LINE_END: Final = np.uint8(ord("\n"))
OPENER: Final = np.uint8(ord("{"))
NOT_OPENERS: Final = bytes(byte for byte in range(256) if byte not in b"{[\n")
ONE_OPENER: Final = bytes.maketrans(b"[", b"{")
NOT_MARKS: Final = bytes(byte for byte in range(256) if byte not in b"{[\n:")
NOT_COLONS: Final = bytes(byte for byte in range(256) if byte not in b"\n:")
FIELD_BYTES: Final = 5  # "":0, at least
SHORT: Final = 4096  # bytes that Python has counted before numpy has begun


def pieces(data: bytes, line_bytes: int) -> Iterator[bytes]:
    """Whole lines of at most `line_bytes` together, so that in them no line is too long; such a line alone."""
    start = 0
    while start < len(data):
        end = start + line_bytes
        cut = len(data) if end >= len(data) else data.rfind(b"\n", start, end) + 1
        if not cut:
            cut = data.find(b"\n", end) + 1 or len(data)
        yield data[start:cut]
        start = cut


def count_of(mark: bytes, data: bytes) -> int:
    """How often one byte is there. Python's own search goes from one to the next, which takes five times as long.

    >>> count_of(b"\\n", b"1\\n2\\n3"), count_of(b"\\n", b"12\\n" * 5000)
    (2, 5000)
    """
    if len(data) < SHORT:
        return data.count(mark)
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord(mark)))


def is_text(piece: bytes) -> bool:
    """Whether all of it is UTF-8; msgspec does not look into the texts that it skips."""
    if piece.isascii():
        return True
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def records_by_line(piece: bytes) -> int:
    """How many lines there are, if each begins with a brace; else 0.

    If they are JSON, and as many maps with none within them, then a line is a record: no text can hold a line end.

    >>> records_by_line(b'{"a":1}\\n{"b":2}'), records_by_line(b'{}{}\\n{"a":\\n1}\\n'), records_by_line(b"{}\\n\\n")
    (2, 0, 0)
    """
    if len(piece) < SHORT:
        lines = piece.count(b"\n") + (not piece.endswith(b"\n"))
        return lines if piece.startswith(b"{") and piece.count(b"\n{") == lines - 1 else 0
    marks = np.frombuffer(piece, np.uint8)
    (ends,) = (marks == LINE_END).nonzero()
    begins = ends[: len(ends) - piece.endswith(b"\n")] + 1
    whole = piece.startswith(b"{") and bool((marks[begins] == OPENER).all())
    return 1 + len(begins) if whole else 0


def flat(piece: bytes, records: int) -> bool:
    """Whether no map or list begins in so many records but themselves.

    >>> flat(b'{"a":1}\\n{"b":2}', 2), flat(b'{"a":[]}\\n', 1), flat(b'{"a":{}}\\n', 1)
    (True, False, False)
    """
    return b"[" not in piece and count_of(b"{", piece) == records


def few_fields(piece: bytes, most: int) -> bool:
    """Whether no line can have more than so many keys.

    >>> few_fields(b'{"a":1,"b":2}\\n{}', 2), few_fields(b'{"a":1,"b":{"c":3}}\\n{}', 2)
    (True, False)
    """
    return all_within(piece, FIELD_BYTES * most) or b":" * (most + 1) not in piece.translate(None, NOT_COLONS)


def shallow(piece: bytes, depth: int) -> bool:
    """Whether no line opens more than so many maps and lists, be they within each other or not.

    >>> shallow(b'{"a":[1]}\\n{"a":1}', 2), shallow(b'{"a":[[1]]}\\n{"a":1}', 2)
    (True, False)
    """
    return b"{" * (depth + 1) not in piece.translate(ONE_OPENER, NOT_OPENERS)


def all_within(piece: bytes, most: int) -> bool:
    """Whether no line is longer; in jumps of that length.

    >>> all_within(b"1234\\n12\\n1234\\n", 4), all_within(b"12\\n12345\\n", 4), all_within(b"12345", 4)
    (True, False, False)
    """
    start = 0
    while start + most < len(piece):
        end = piece.rfind(b"\n", start, start + most + 1)
        if end < 0:
            return False
        start = end + 1
    return True
