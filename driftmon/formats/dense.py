"""Dense: records of plain values, decoded into structs of floats, and these into one array in one step.

Law: the matrix reads as the columns that are made of the same records otherwise. Where something else stands than a
value of the feature's kind, msgspec refuses, and the records are read the other way.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, compress, repeat
from typing import Any, Final

import msgspec
import numpy as np
from msgspec.structs import astuple
from numpy.typing import NDArray

from driftmon.formats.layout import Reading, path_of
from driftmon.formats.structs import TIME_ISO, TIME_NUMBER, TYPES, Path, Wants, leaf
from driftmon.formats.words import Words
from driftmon.stats.columns import Floats
from driftmon.stats.matrix import ABSENT_NUMBER, Fields

NUMBERS: Final = {"numeric", "boolean"}
TEXTS: Final = {"categorical", TIME_ISO}
WIDE: Final = 64  # fields: records may have few of them
FEW_LISTS: Final = 8
SPARSE_BYTES: Final = 2  # of a record for each field, at most: two in five of them are there at best
KINDS: Final = {*NUMBERS, "categorical", TIME_ISO, TIME_NUMBER}


class Dense:
    """Of paths that are one key each and read once, `words` of those texts that have some."""

    def __init__(
        self, readings: Sequence[Reading], wants: Wants, text_length: int, words: Mapping[Path, Sequence[str]]
    ) -> None:
        self.sparse = _sparse(wants)  # words would be in its way, and are few among so many
        known = words.items() if self.sparse is None else ()
        self.words = {path: Words(texts, text_length) for path, texts in known}
        self._fields: list[tuple[str, Any, Any]] = []
        self.places: dict[Path, int] = {}  # in the array
        self.lists: dict[Path, int] = {}  # by path, which field
        skips, flags = set(), set()
        for path, want in wants.items():
            ((kind, absent),) = want
            type_, default = leaf(frozenset(want), text_length)
            if path in self.words or kind in NUMBERS:
                type_ = self.words[path].type | None if path in self.words else TYPES[kind]
                default = ABSENT_NUMBER if absent == "skip" else math.nan
                place = self.places[path] = len(self.places)
                skips |= {place} if absent == "skip" else set()
                flags |= {place} if kind == "boolean" else set()
            else:
                self.lists[path] = len(self._fields)
            self._fields.append((f"f{len(self._fields)}", type_, default))
        self._keys = {name: path[0] for (name, _, _), path in zip(self._fields, wants, strict=True)}
        self._text_length = text_length
        self._place_of_key = {path[0]: place for path, place in self.places.items()}
        place_of = {one.name: self.places[path_of(one)] for one in readings if path_of(one) in self.places}
        self.beside = [one for one in readings if path_of(one) in self.lists]
        by_place = {self.places[path]: one.texts for path, one in self.words.items()}
        self.fields = Fields(place_of, by_place, frozenset(flags), frozenset(skips))

    @cached_property
    def strict(self) -> msgspec.json.Decoder[Any]:
        """It takes no record with keys that nobody reads. So nothing was skipped, and no value is nested."""
        return self._decoder(strict=True)

    @cached_property
    def loose(self) -> msgspec.json.Decoder[Any]:
        """It skips what nobody reads."""
        return self._decoder(strict=False)

    def _decoder(self, *, strict: bool) -> msgspec.json.Decoder[Any]:
        keys, fields = self._keys, self._fields
        row = msgspec.defstruct("Row", fields, gc=False, frozen=True, rename=keys, forbid_unknown_fields=strict)
        return msgspec.json.Decoder(row)

    def flat(self, structs: Sequence[Any], lists: Mapping[Path, list[Any]]) -> Floats:
        """float64[len(structs), places]; what is no number goes into the lists."""
        values = [*chain.from_iterable(map(astuple, structs))]
        width = len(self._fields)
        for path, at in reversed(self.lists.items()):  # the last first, so that the others stay where they are
            lists[path] += values[at::width]
            del values[at::width]
            width -= 1
        return floats(values).reshape(len(structs), width)

    def forget(self) -> None:
        """The texts of records that did not fit after all."""
        for words in self.words.values():
            words.take()

    def is_sparse(self, piece: bytes, records: int) -> bool:
        """Whether they have few of the fields, and may be read as maps by `sparse`."""
        return self.sparse is not None and len(piece) < SPARSE_BYTES * len(self._fields) * records

    def entries(
        self, rows: Sequence[Mapping[str, Any]], most_keys: int, lists: Mapping[Path, list[Any]]
    ) -> Entries | None:
        """What is there of records that have few of the fields; None where something is no value of its kind."""
        if max(map(len, rows), default=0) > most_keys:
            return None
        texts = {path: [row.get(path[0], self._fields[at][2]) for row in rows] for path, at in self.lists.items()}
        for text in chain.from_iterable(texts.values()):
            if isinstance(text, float) or (isinstance(text, str) and len(text) > self._text_length):
                return None
        found = map(self._place_of_key.get, chain.from_iterable(rows), repeat(-1))
        place = np.fromiter(found, np.int64, sum(map(len, rows)))
        values: Sequence[Any] = [*chain.from_iterable(row.values() for row in rows)]
        row = np.repeat(np.arange(len(rows)), np.fromiter(map(len, rows), np.int64, len(rows)))
        known = place >= 0
        if not known.all():
            values, place, row = [*compress(values, known.tolist())], place[known], row[known]
        if not set(map(type, values)) <= {float, type(None)}:
            return None
        for path, column in texts.items():
            lists[path] += column
        return Entries(len(rows), row, place, floats(values))


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Of `rows` the numbers that are there, each with its row and place."""

    rows: int
    row: NDArray[np.int64]
    place: NDArray[np.int64]
    values: Floats


def _sparse(wants: Wants) -> msgspec.json.Decoder[Any] | None:
    """Records as maps, where there are many numbers and nothing but few texts beside them."""
    kinds = Counter(kind for want in wants.values() for kind, _ in want)
    texts = sum(kinds[kind] for kind in TEXTS)
    able = len(wants) >= WIDE and texts <= FEW_LISTS and texts + kinds["numeric"] == len(wants)
    return msgspec.json.Decoder(dict[str, float | str | None]) if able else None


def floats(values: Sequence[Any]) -> Floats:
    """Floats, true and false, and None for NaN; TypeError where there is anything else. Packing takes no None."""
    found = np.empty(len(values))
    try:
        struct.pack_into(f"{len(values)}d", found.data, 0, *values)
    except struct.error:
        return np.fromiter(values, np.float64, len(values))
    return found
