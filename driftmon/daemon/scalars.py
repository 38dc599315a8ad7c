"""One scalar of the file to one value: text, number, duration, size, path, or one of a few words.

Law: a value is refused rather than converted; the message says what was found as the file has it, so what a
variable holds, perhaps a secret, is not in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from msgspec import Struct

from driftmon.daemon.environment import VARIABLE, expand
from driftmon.daemon.faults import KeyFault, nearest
from driftmon.daemon.fields import Field
from driftmon.daemon.units import byte_count, milliseconds, size
from driftmon.daemon.yaml_nodes import Items, Node, Scalar, meaning
from driftmon.monitor.panes import span

EMPTY: Final = "empty"
LARGEST: Final = 2**62  # int64 with room to add
SHOWN: Final = 40  # characters of a value worth repeating

NUMBERS: Final[Mapping[type, tuple[tuple[type, ...], str, str]]] = {
    bool: ((bool,), "true or false", "write true or false, without quotes"),
    int: ((int,), "a whole number", "write it in digits, without quotes"),
    float: ((int, float), "a number", "write it in digits, without quotes"),
}
BOUNDS: Final[tuple[tuple[str, Callable[[Any, Any], bool], str, str], ...]] = (
    ("least", lambda value, limit: value >= limit, "at least", "raise"),
    ("above", lambda value, limit: value > limit, "more than", "raise"),
    ("most", lambda value, limit: value <= limit, "at most", "lower"),
)


class Scalars(Struct, frozen=True):
    """Reads values; paths start at `base`, variables come from `environ`. KeyFault says what is wrong."""

    base: Path
    environ: Mapping[str, str]

    def read(self, hint: Any, field: Field, node: Node) -> Any:
        """The value of a field, or of one item of it."""
        if get_origin(hint) is Literal:
            return self._choice(hint, field, node)
        if field.path:
            return hint(self._path(node))
        if field.duration or field.size:
            return self._measure(field, node)
        if hint is str:
            return self.text(node)
        if hint is object:
            return self._plain(node)
        words = field.bounds.get("words")
        return self._number(hint, node) if words is None else self._number_or_word(words, node)

    def text(self, node: Node) -> str:
        """Text; what looks like a number, a boolean or nothing must be quoted to be one."""
        if not isinstance(node, Scalar):
            raise KeyFault((), f"must be text, is {described(node)}", "write one value")
        if node.plain and not isinstance(meaning(node.text), str):
            raise KeyFault((), f"must be text, is {described(node)}", f'quote it: "{node.text}"')
        return expand(node.text, self.environ)

    def _plain(self, node: Node) -> object:
        """Text, a number or a boolean: whatever it looks like."""
        if not isinstance(node, Scalar):
            raise KeyFault((), f"must be one value, is {described(node)}", "write a number, text, true or false")
        return self._meaning(node)

    def _path(self, node: Node) -> Path:
        text = self.text(node)
        if not text or "\0" in text:
            raise KeyFault((), "is empty" if not text else "holds a zero byte", "write the path of a file")
        return self.base / text

    def _number(self, hint: type, node: Node) -> Any:
        value = self._meaning(node)
        types, called, cure = NUMBERS[hint]
        if type(value) not in types:
            raise KeyFault((), f"must be {called}, is {described(node)}", cure)
        if isinstance(value, int) and abs(value) > LARGEST:
            raise KeyFault((), f"{value:.3g} is too large", "use a smaller number")
        return hint(value)

    def _number_or_word(self, words: Mapping[str, float], node: Node) -> float:
        """A number, or the name of one."""
        value = self._meaning(node)
        if isinstance(value, str):
            if value not in words:
                raise KeyFault((), f"must be a number or one of {', '.join(words)}, is {described(node)}", "use one")
            return words[value]
        return float(self._number(float, node))

    def _measure(self, field: Field, node: Node) -> int:
        """A duration or a size; a bare 0 has any unit, and bytes need none."""
        value = self._meaning(node)
        if type(value) is int and (value == 0 or (field.size and value > 0)):
            return value
        read = (milliseconds if field.duration else byte_count)(value) if isinstance(value, str) else None
        if read is None:
            what, like = ("duration", "30s, 5m, 1h30m or 7d") if field.duration else ("size", "64KiB, 8MiB or 65536")
            raise KeyFault((), f"must be a {what}, is {described(node)}", f"write it like {like}")
        if read > LARGEST:
            raise KeyFault((), f"{described(node)} is too large", "use a smaller one")
        return read

    def _choice(self, hint: Any, field: Field, node: Node) -> str:
        value, choices = self.text(node), get_args(hint)
        if value in field.bounds.get("not_yet", ()):
            raise KeyFault((), f"{value} is not available yet", f"use {' or '.join(choices)}")
        if value not in choices:
            cure = nearest(value, choices, "use one of them") if len(choices) > 1 else f"use {choices[0]}"
            raise KeyFault((), f"{value} is none of {', '.join(choices)}", cure)
        return value

    def _meaning(self, node: Node) -> str | int | float | bool | None:
        """What a variable holds may be a number, quoted or not."""
        if not isinstance(node, Scalar):
            return None
        text = expand(node.text, self.environ)
        return meaning(text) if node.plain or VARIABLE.search(node.text) else text


def check_bounds(field: Field, value: Any) -> None:
    """Whether a value, or the number of items, is within what the field allows."""
    if isinstance(value, (str, tuple, Mapping)):
        if not value and (field.bounds.get("least") or isinstance(value, str)):
            raise KeyFault((), "is empty", f"write {field.bounds.get('example', 'at least one')}")
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise KeyFault((), f"must be finite, is {value}", "use a finite number")
    for bound, holds, words, cure in BOUNDS:
        limit = field.bounds.get(bound)
        if limit is not None and not holds(value, limit):
            fault = f"must be {words} {_written(field, limit)}, is {_written(field, value)}"
            raise KeyFault((), fault, f"{cure} it")


def described(node: Node) -> str:
    """What a node is, in the words of a message.

    >>> described(Scalar(1, "5", plain=True)), described(Scalar(1, "5", plain=False)), described(Items(1, ()))
    ('the number 5', 'the text "5"', 'a list')
    """
    if not isinstance(node, Scalar):
        return "a list" if isinstance(node, Items) else "a mapping"
    value = meaning(node.text) if node.plain else node.text
    if value is None:
        return EMPTY
    shown = node.text if len(node.text) <= SHOWN else node.text[:SHOWN] + "..."
    if isinstance(value, str):
        return f'the text "{shown}"'
    return f"the {'boolean' if isinstance(value, bool) else 'number'} {shown}"


def _written(field: Field, value: Any) -> str:
    if field.duration:
        return span(value)
    return size(value) if field.size else f"{value:g}"
