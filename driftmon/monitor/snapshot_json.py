"""Snapshot JSON: the bytes of a snapshot as a tree, and the checksum that stands at their end.

Law: whatever a file holds, the tree is the one that json.loads makes of it, but for keys that nobody reads.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Any, Required, TypedDict

import msgspec


class Entry(TypedDict, total=False):
    """A feature; its labels, most of the file, are for people and are not read."""

    name: Required[str]
    type: Required[str]
    field: str | None
    absent: str
    edges: list[float]
    categories: list[str]
    outcome: Any
    counts: Required[list[int]]


class File(TypedDict, total=False):
    """What `to_bytes` writes."""

    format: Any
    version: Any
    fingerprint: Any
    windows: Any
    features: Required[list[Entry]]
    panes: Any
    slots_by: Any
    slots: Any
    excess: Any
    first_ms: Any
    watermark_ms: Any
    invalid: Any
    sums: Any
    dispersion: Any
    provenance: Any
    checksum: Any


def decoded(data: bytes) -> Any:
    """What msgspec refuses is left to json, which takes six times as long and says what is wrong: ValueError."""
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # of half a surrogate pair
        return msgspec.json.decode(data, type=File)
    return json.loads(data)


def body_of(data: bytes) -> memoryview:
    """What is before the checksum, the last pair; no copy, for it may be megabytes."""
    return memoryview(data)[1 : max(data.rfind(b',\n"checksum"'), 1)]


def checksum_of(body: bytes | memoryview) -> str:
    """
    >>> checksum_of(body_of(b'{"a": 1,\\n"checksum": "?"}')) == checksum_of(b'"a": 1')
    True
    """
    return hashlib.sha256(body).hexdigest()[:16]
