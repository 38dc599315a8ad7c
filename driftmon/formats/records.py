"""Records: one line of JSON, read the tolerant and exact way.

Law: this is the definition of what a line means. It takes the bare words NaN, Infinity and -Infinity, 1e400
and integers of any length, and says of a line it refuses why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

from driftmon.formats.layout import Bounds
from driftmon.formats.rejections import (
    ENCODING,
    MALFORMED,
    NOT_OBJECT,
    TOO_DEEP,
    TOO_LONG,
    TOO_MANY_FIELDS,
    RecordError,
)

Record: TypeAlias = Mapping[str, Any]

LONG_INTEGER: Final = 1_000  # digits; Python refuses to read integers of more than 4,300
BYTE_ORDER_MARK: Final = "\ufeff"


def parse(line: bytes, limit_bytes: int) -> Any:
    """The JSON value of a line; RecordError says why it is none. The last of equal keys wins.

    >>> parse(b'{"x": NaN, "y": 1e400, "y": -Infinity}', 100)
    {'x': nan, 'y': -inf}
    """
    if len(line) > limit_bytes:
        raise RecordError(TOO_LONG, f"the record has {len(line):,} bytes, more than {limit_bytes:,}: send less")
    text = _text(line)
    try:
        return msgspec.json.decode(line)  # five times faster, stricter, and where it reads a line it reads the same
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _tolerant(text)


def elements(value: Any) -> list[Any]:
    """The records in a JSON value: an array that holds an object is its elements, all else is one.

    >>> elements([{"x": 1}, 2]), elements([1, 2]), elements([]), elements({})
    ([{'x': 1}, 2], [[1, 2]], [], [{}])
    """
    if isinstance(value, list) and (not value or any(isinstance(element, dict) for element in value)):
        return value
    return [value]


def record(value: Any, bounds: Bounds, read: int) -> Record:
    """The value, if it is an object within its bounds; else RecordError. `read`: how many fields somebody reads."""
    if not isinstance(value, dict):
        raise RecordError(NOT_OBJECT, f"the record is {shown(value)}, not an object: send {{...}}")
    keys, most = _keys(value, bounds.depth), bounds.fields + read
    if keys > most:
        raise RecordError(TOO_MANY_FIELDS, f"the record has {keys:,} fields, more than {most:,}: send fewer")
    return value


def shown(value: object) -> str:
    """A value for a message, cut short: it comes from outside."""
    if isinstance(value, (dict, list)):
        return "a list" if isinstance(value, list) else "a map"
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _keys(value: dict[str, Any] | list[Any], depth: int, level: int = 1) -> int:
    """How many keys there are in all maps; RecordError where they are nested deeper than `depth`."""
    if level > depth:
        raise RecordError(TOO_DEEP, f"the record is nested deeper than {depth} maps and lists: flatten it")
    found = len(value) if isinstance(value, dict) else 0
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, (dict, list)):
            found += _keys(inner, depth, level + 1)
    return found


def _tolerant(text: str) -> Any:
    try:
        value = _JSON.decode(text)
        if "\\u" in text:
            _refuse_half_characters(value)
    except RecursionError:
        raise RecordError(TOO_DEEP, "the record is nested deeper than can be read: flatten it") from None
    except ValueError as fault:
        raise RecordError(MALFORMED, f"not JSON: {fault}") from None
    return value


def _text(line: bytes) -> str:
    try:
        text = line.decode()
    except UnicodeDecodeError as fault:
        raise RecordError(ENCODING, f"byte {fault.start + 1} of the record is not UTF-8: send UTF-8") from None
    if text.startswith(BYTE_ORDER_MARK):
        raise RecordError(ENCODING, "the record starts with a byte order mark: write UTF-8 without it")
    return text


def _refuse_half_characters(value: Any) -> None:
    """An escape such as \\ud800 without its other half is no character, so no text can hold it."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise RecordError(ENCODING, "the record has half of a surrogate pair (\\ud800 to \\udfff): send both") from None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONG_INTEGER else float(digits)


_JSON: Final = json.JSONDecoder(parse_int=_integer)
