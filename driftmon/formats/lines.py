"""Lines: a block of lines in pieces, and what can be told of many lines at once without reading their JSON.

Law: nothing here decides what a line means. It says of which lines no bound can be broken, and leaves the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

NOT_OPENERS: Final = bytes(byte for byte in range(256) if byte not in b"{[\n")
ONE_OPENER: Final = bytes.maketrans(b"[", b"{")
NOT_MARKS: Final = bytes(byte for byte in range(256) if byte not in b"{[\n:")
FIELD_BYTES: Final = 5  # "":0, at least
OPEN: Final = np.uint8(ord("{"))
END: Final = np.uint8(ord("\n"))


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


def is_text(piece: bytes) -> bool:
    """Whether all of it is UTF-8; msgspec does not look into the texts that it skips."""
    if piece.isascii():
        return True
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def flat_lines(piece: bytes, most_fields: int) -> int:
    """How many lines there are, if each begins with the only brace or bracket in it, and has few enough keys; else 0.

    If they are JSON, one record for each of these braces, then a line is a record: no text can hold a line end.

    >>> flat_lines(b'{"a":1}\\n{"b":2}', 9), flat_lines(b'{}{}\\n{"a":\\n1}\\n', 9), flat_lines(b'{"a":{}}\\n', 9)
    (2, 0, 0)
    """
    if b"[" in piece or piece[:1] != b"{":
        return 0
    marks = np.frombuffer(piece, np.uint8)
    opens, ends = marks == OPEN, marks == END
    if (opens[1:] != ends[:-1]).any() or not (_dense(ends, FIELD_BYTES * most_fields) or few_fields(piece, most_fields)):
        return 0
    return int(np.count_nonzero(opens))


def few_fields(piece: bytes, most: int) -> bool:
    """Whether no line can have more than so many keys.

    >>> few_fields(b'{"a":1,"b":2}\\n{}', 2), few_fields(b'{"a":1,"b":2,"c":3}\\n{}', 2)
    (True, False)
    """
    return _all_within(piece, FIELD_BYTES * most) or b":" * (most + 1) not in piece.translate(None, NOT_MARKS)


def shallow(piece: bytes, depth: int) -> bool:
    """Whether no line opens more than so many maps and lists, be they within each other or not.

    >>> shallow(b'{"a":[1]}\\n{"a":1}', 2), shallow(b'{"a":[[1]]}\\n{"a":1}', 2)
    (True, False)
    """
    return b"{" * (depth + 1) not in piece.translate(ONE_OPENER, NOT_OPENERS)


def _dense(ends: NDArray[np.bool_], most: int) -> bool:
    """Whether there is a line end in each half of so many bytes: then no line is longer. A no may be wrong.

    >>> _dense(np.array([0, 1, 1, 0, 0], dtype=bool), 4), _dense(np.array([0, 1, 0, 0, 1], dtype=bool), 4)
    (True, False)
    """
    half = max(1, most // 2)
    return bool(ends[: len(ends) // half * half].reshape(-1, half).any(axis=1).all())


def _all_within(piece: bytes, most: int) -> bool:
    """Whether no line is longer; in jumps of that length.

    >>> _all_within(b"1234\\n12\\n1234\\n", 4), _all_within(b"12\\n12345\\n", 4), _all_within(b"12345", 4)
    (True, False, False)
    """
    start = 0
    while start + most < len(piece):
        end = piece.rfind(b"\n", start, start + most + 1)
        if end < 0:
            return False
        start = end + 1
    return True
