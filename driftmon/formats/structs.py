"""Structs: a msgspec struct made for a layout, and many of them as one sequence per field.

Law: a struct holds only the fields of the layout, so msgspec skips the rest of a record unread. What does not
fit it is no error: it is read the tolerant way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import astuple

from driftmon.formats.layout import Layout
from driftmon.monitor.scoring import ANY

Path: TypeAlias = tuple[str, ...]
Values: TypeAlias = dict[Path, list[Any]]  # raw, in the order of the rows
Wants: TypeAlias = Mapping[Path, set[tuple[str, str]]]  # each path with the (kind, absent) pairs that read it

TIME_ISO: Final = "iso8601"
TIME_NUMBER: Final = "time"

# What msgspec raises for a record that does not fit: wrong type or not JSON; not UTF-8; nested a thousand deep.
MISFIT: Final = (msgspec.MsgspecError, ValueError, RecursionError)
# What a clean value looks like. A boolean may come as 0 or 1, a category as a number; all else goes the slow way.
TYPES: Final[Mapping[str, Any]] = {
    "numeric": float | None,
    "boolean": bool | float | None,
    TIME_ISO: str | None,
    TIME_NUMBER: int | float | None,
}


class Shape:
    """A field for each first key of the paths; where a key leads to a map, a struct within."""

    def __init__(self, wants: Wants, text_length: int, above: Path = ()) -> None:
        self._fields: list[tuple[Path, Shape | None]] = []
        fields: list[tuple[str, Any, Any]] = []
        keys: dict[str, str] = {}
        for key in dict.fromkeys(path[0] for path in wants):
            attribute = f"f{len(fields)}"
            keys[attribute] = key if is_plain(key) else attribute
            inner: Shape | None = None
            if (key,) in wants:
                fields.append((attribute, *leaf(frozenset(wants[(key,)]), text_length)))
            else:
                below = {path[1:]: want for path, want in wants.items() if path[0] == key}
                inner = Shape(below, text_length, (*above, key))
                fields.append((attribute, inner.struct, inner.struct()))
            self._fields.append(((*above, key), inner))
        # No cycles, so nothing for the garbage collector to track; frozen, so that one empty map can be the default.
        self.struct: type[msgspec.Struct] = msgspec.defstruct("Row", fields, gc=False, frozen=True, rename=keys)

    def extend(self, values: Values, structs: Iterable[Any]) -> None:
        """Add theirs to the values of each path. A tuple a struct, then all turned: half the time of a getter a field.

        >>> shape = Shape({("x",): {("numeric", "missing")}, ("m", "y"): {("numeric", "skip")}}, 10)
        >>> values = {("x",): [], ("m", "y"): []}
        >>> shape.extend(values, msgspec.json.decode(b'[{"x": 1}, {"m": {"y": 2}}]', type=list[shape.struct]))
        >>> values
        {('x',): [1.0, None], ('m', 'y'): [UNSET, 2.0]}
        """
        columns = zip(*map(astuple, structs), strict=True)
        for (path, inner), column in zip(self._fields, columns, strict=False):  # no structs, no columns
            if inner is None:
                values[path] += column
            else:
                inner.extend(values, column)


def wanted(layout: Layout) -> Wants:
    """What is read of a record: its time first, then the features."""
    wants: dict[Path, set[tuple[str, str]]] = {}
    paths = layout.paths()
    if layout.time is not None:
        kind = TIME_ISO if layout.time.unit == "iso8601" else TIME_NUMBER
        wants[next(paths)] = {(kind, "missing")}
    for reading, path in zip(layout.readings, paths, strict=True):
        wants.setdefault(path, set()).add((reading.kind, reading.absent))
    return wants


def in_order_of(record: Any, wants: Wants) -> Wants:
    """The same, in the order in which a record has them; those it does not have come last, in their own order.

    msgspec looks for a key among the fields from the last one found: what comes in order is there at once, else it
    compares half of the fields. Of 300 features in another order that is 15 times the time of all the rest.

    >>> [*in_order_of({"m": {"z": 1, "y": 2}, "x": 3}, {("w",): set(), ("x",): set(), ("m", "y"): set()})]
    [('m', 'y'), ('x',), ('w',)]
    """
    places: dict[Path, int] = {}
    _note(record, (), places)
    return dict(sorted(wants.items(), key=lambda item: places.get(item[0], len(places))))


def _note(record: Any, above: Path, places: dict[Path, int]) -> None:
    for key, value in record.items():
        places[*above, key] = len(places)
        if isinstance(value, dict):
            _note(value, (*above, key), places)


def is_plain(key: str) -> bool:
    """Whether msgspec takes it as a field's name: it refuses what JSON would have to escape."""
    return key.isprintable() and '"' not in key and "\\" not in key


@lru_cache  # thousands of features are of a few kinds
def leaf(wants: frozenset[tuple[str, str]], text_length: int) -> tuple[Any, Any]:
    """Type and default of a value; any scalar goes where it is a category or read in several ways."""
    scalar = Annotated[str, msgspec.Meta(max_length=text_length)] | int | float | bool | None
    kinds = {kind for kind, _ in wants}
    kind = Any if ANY in kinds else TYPES.get(next(iter(kinds)), scalar) if len(wants) == 1 else scalar
    return (kind | UnsetType, UNSET) if any(absent == "skip" for _, absent in wants) else (kind, None)
