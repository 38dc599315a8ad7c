"""CSV records: lines of text cut into cells, and why a record cannot be used.

Law: the clean way gives what the tolerant way gives, or nothing. A bad record costs one line: after a quote that
never closes, reading goes on with the very next line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from typing import TypeAlias

from driftmon.formats.rejections import ENCODING, MALFORMED, TOO_LONG, RecordError

Cells: TypeAlias = list[str]


def clean(lines: list[str], separator: str, width: int, limit_bytes: int) -> list[Cells] | None:
    """All records at once if each is one line of `width` cells and short; else None.

    As many records as lines means that none spans two, for each takes at least one.
    """
    # A character has at most four bytes, so a quarter of the limit is safe without measuring them.
    if width < 2 or max(map(len, lines)) > limit_bytes // 4:
        return None
    try:
        records = list(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error:
        return None
    return records if len(records) == len(lines) and set(map(len, records)) == {width} else None


def tolerant(
    lines: list[str], separator: str, width: int, limit_bytes: int
) -> Iterator[tuple[int, Cells | RecordError]]:
    """Each record, or why it is none, with the index of its first line; blank lines are no records.

    Bytes that were not UTF-8 stand in the lines as escaped surrogates.

    >>> list(tolerant(['a,"b', 'c"', "", '1,"2', "3,4"], ",", 2, 100))
    [(0, ['a', 'b\\nc']), (3, RecordError('not CSV: unexpected end of data')), (4, ['3', '4'])]
    """
    at = 0
    while at < len(lines):
        start = at
        reader = csv.reader((line + "\n" for line in islice(lines, start, None)), delimiter=separator, strict=True)
        while at < len(lines):
            cells = _next(reader)
            end = start + reader.line_num
            record = _checked(cells, lines[at:end], width, limit_bytes)
            if cells and (end > at + 1 or lines[at].strip(" \r")):
                yield at, record
            if isinstance(record, RecordError) and end > at + 1:
                at += 1
                break  # a stray quote has swallowed lines: give them back
            at = end


def _next(reader: Iterator[Cells]) -> Cells | csv.Error:
    try:
        return next(reader)
    except csv.Error as fault:
        return fault


def _checked(cells: Cells | csv.Error, lines: list[str], width: int, limit_bytes: int) -> Cells | RecordError:
    size = len("\n".join(lines).encode(errors="surrogateescape"))
    if isinstance(cells, csv.Error) and (size <= limit_bytes or len(lines) > 1):
        return RecordError(MALFORMED, f"not CSV: {cells}")
    if isinstance(cells, csv.Error) or size > limit_bytes:
        return RecordError(TOO_LONG, f"the record has {size:,} bytes, more than {limit_bytes:,}: send less")
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return RecordError(ENCODING, "the record is not UTF-8: save the file as UTF-8")
    if len(cells) != width:
        return RecordError(MALFORMED, f"{len(cells)} cells where the header has {width}: quote separators in a cell")
    return cells
