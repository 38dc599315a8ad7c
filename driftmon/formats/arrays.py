"""Arrays: one JSON array as a block, a record for each of its objects.

Law: an array is what its elements would be as lines; its errors count elements.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import msgspec

from driftmon.formats import records
from driftmon.formats.found import Found
from driftmon.formats.lines import NOT_MARKS, count_of
from driftmon.formats.rejections import RecordError
from driftmon.formats.rows import Rows
from driftmon.formats.structs import MISFIT

STEP_ELEMENTS: Final = 4096
STEP_BYTES: Final = 64 * 1024


class Arrays:
    """Reads them in batches of about `most_rows`."""

    def __init__(self, most_rows: int) -> None:
        self._most_rows = most_rows

    def take(self, data: bytes, found: Found) -> Generator[None, None, bool]:
        """The data is one array of records: take them; a step is about a millisecond."""
        if data.lstrip()[:1] != b"[":
            return False
        if self._clean(data, found):
            return True
        try:
            parts = yield from _parts(data)
        except RecordError:
            return False
        flat = _flat(data, sum(map(len, parts)), found.reader)
        step = min(STEP_ELEMENTS, self._most_rows)
        for part in parts:
            for start in range(0, len(part), step):
                self._elements(part[start : start + step], flat, found)
                yield
            part.clear()
        return True

    def _elements(self, elements: list[Any], flat: bool, found: Found) -> None:
        """Some of an array; those that are known to be `flat` go into the struct where they fit."""
        if flat:
            try:
                found.add_all(msgspec.convert(elements, found.reader.many.type))
                return
            except MISFIT:
                pass
        for element in elements:
            found.take(element)
            found.line += 1

    def _clean(self, data: bytes, found: Found) -> bool:
        """The fast way, if each element is one flat object that fits the struct, and they are not very many."""
        if not found.reader.plain or count_of(b"{", data) > 2 * self._most_rows:
            return False
        try:
            data.decode()
            rows = found.reader.many.decode(data)
        except MISFIT:
            return False
        if not _flat(data, len(rows), found.reader):
            return False
        found.add_all(rows)
        return True


def _flat(data: bytes, elements: int, reader: Rows) -> bool:
    """Whether each of so many elements of an array is a map that holds no other, of few enough fields."""
    marks = data.translate(None, NOT_MARKS).replace(b"\n", b"")
    flat = reader.plain and marks.count(b"{") == elements and marks.count(b"[") == 1
    return flat and b":" * (reader.most_fields + 1) not in marks  # without braces between: perhaps too many


def _parts(data: bytes) -> Generator[None, None, list[list[Any]]]:
    """The records in an array, in parts; RecordError where it is none.

    It is cut behind maps. If each cut is an array of something, then all of it is one, and these are its elements;
    else a cut went through a text or a map within, and the array is read in one piece.
    """
    inner = data.strip(b" \t\r\n")[1:-1] if data.rstrip(b" \t\r\n").endswith(b"]") else b""
    parts: list[list[Any]] = []
    start = 0
    while True:
        comma = inner.find(b"},", start + STEP_BYTES) + 1
        try:
            part = records.parse(b"[" + inner[start : comma or None] + b"]", len(data) + 2)
        except RecordError:
            break
        if not part or not any(isinstance(element, dict) for element in part):
            break
        parts.append(part)
        if not comma:
            return parts
        start = comma + 1
        yield
    return [records.elements(records.parse(data, len(data)))]
