"""Layout: what a format has to take out of each record, and where it stands there.

Law: a decoder reads the fields of the layout and nothing else; what else a record carries costs it only the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, Protocol, TypeAlias

from driftmon.monitor import scoring
from driftmon.stats.columns import Column

Unit: TypeAlias = Literal["iso8601", "s", "ms", "us", "ns"]

LINE_BYTES: Final = 65_536  # the longest record that is read
DEPTH: Final = 8  # the deepest nesting of maps and lists in a record, itself included
FIELDS: Final = 256  # keys that nobody reads
TEXT_LENGTH: Final = 1024  # characters


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one record may hold; one that holds more is rejected. Numbers and unread texts are bounded by the line.

    `depth`: nested maps and lists, the record included. `fields`: keys of all its maps together, besides as many
    as the layout reads. `text_length`: characters of a text in a categorical feature.
    """

    line_bytes: int = LINE_BYTES
    depth: int = DEPTH
    fields: int = FIELDS
    text_length: int = TEXT_LENGTH


class Reading(Protocol):
    """A feature as a format sees it: a Feature (bins chosen) or a FeatureSpec (bins still to choose)."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...  # "numeric", "categorical", "boolean", "log_loss"; "any" of a part (scoring.py)
    @property
    def field(self) -> str | None: ...  # "meta.coupon", a path into nested records; None: the name itself
    @property
    def absent(self) -> Literal["missing", "skip"]: ...


@dataclass(frozen=True, slots=True)
class TimeField:
    """Where the event time stands in a record, and its unit; a time without zone is UTC."""

    field: str
    unit: Unit = "iso8601"


@dataclass(frozen=True)
class Layout:
    """The fields of one stream: its features in order, and the event time (None: arrival time counts).

    Raises ValueError if one field is read both as a value and as a map.
    """

    features: Sequence[Reading]
    time: TimeField | None = None

    def __post_init__(self) -> None:
        paths = set(self.paths())
        for path in sorted(paths):
            for length in range(1, len(path)):
                if path[:length] in paths:
                    value, nested = ".".join(path[:length]), ".".join(path)
                    raise ValueError(f"{value} is read as one value and, by {nested}, as a map: drop one of the two")

    def paths(self) -> Iterator[tuple[str, ...]]:
        """The keys that lead to each field: of the time first, then of each feature."""
        if self.time is not None:
            yield tuple(self.time.field.split("."))
        yield from map(path_of, self.readings)

    @cached_property
    def readings(self) -> Sequence[Reading]:
        """The features, those of a probability and its label as the values they are scored from."""
        return scoring.readings(self.features)

    def columns(self, read: Mapping[str, Column]) -> dict[str, Column]:
        """By feature, from the columns of readings."""
        return scoring.with_losses(self.features, read) if len(self.readings) > len(self.features) else dict(read)


def path_of(reading: Reading) -> tuple[str, ...]:
    """The keys that lead to a feature's value. A name is one key, dots and all; `field` is a path.

    >>> from types import SimpleNamespace as Spec
    >>> path_of(Spec(name="coupon", field="meta.coupon")), path_of(Spec(name="user.age", field=None))
    (('meta', 'coupon'), ('user.age',))
    """
    return (reading.name,) if reading.field is None else tuple(reading.field.split("."))
