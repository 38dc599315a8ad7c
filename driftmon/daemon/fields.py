"""How a dataclass field reads in the file: its key, its kind, its bounds. The builder and the schema share it.

Law: key and unit follow from the field's name (see settings.py), so nothing is declared twice.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import Struct


class OneOf(Struct, frozen=True):
    """Marks `Annotated[PluginSettings, OneOf(...)]`: a mapping whose `type` names the dataclass of the other keys."""

    what: str  # "source", for messages
    shapes: Callable[[], Mapping[str, type]]
    not_yet: tuple[str, ...] = ()
    placed: bool = True  # whether it is told where it stands; nobody asks a feature, and there are a thousand


@dataclass(frozen=True)
class Field:
    """One key of a shape; `hint` is its type without None."""

    name: str
    key: str
    hint: Any
    optional: bool
    default: Any
    bounds: Mapping[str, Any]

    @property
    def required(self) -> bool:
        return self.default is MISSING

    @property
    def duration(self) -> bool:
        return self.hint is int and self.name.endswith("_ms")

    @property
    def size(self) -> bool:
        return self.hint is int and self.name.endswith("_bytes")

    @property
    def path(self) -> bool:
        return self.hint is Path or (self.hint is str and (self.name == "path" or self.name.endswith("_file")))


@cache
def fields_of(shape: type) -> Mapping[str, Field]:
    """The fields of a dataclass by key; field `time` of a frozen dataclass is key `time`.

    >>> from driftmon.daemon.settings import TimeSettings
    >>> list(fields_of(TimeSettings))
    ['field', 'unit', 'lateness']
    """
    hints = get_type_hints(shape, include_extras=True)
    found = {}
    for field in dataclasses.fields(shape):
        hint, optional = _without_none(hints[field.name])
        default = field.default if field.default_factory is MISSING else field.default_factory()
        made = Field(field.name, _key(field.name, hint), hint, optional, default, field.metadata)
        found[made.key] = made
    return found


def not_yet(shape: type) -> tuple[str, ...]:
    """The keys a later release will read."""
    return getattr(shape, "NOT_YET", ())


def _key(name: str, hint: Any) -> str:
    return name.removesuffix("_ms") if hint is int else name


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, types.UnionType):
        rest = [part for part in get_args(hint) if part is not type(None)]
        assert len(rest) == 1, f"{hint}: one type, or one type and None"
        return rest[0], True
    return hint, False
