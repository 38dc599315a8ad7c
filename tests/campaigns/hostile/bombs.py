"""Bombs: bodies that nobody honest sends, and honest ones of their size.

Law: a mate has as many bytes on the wire as its bomb, in the same encoding and the same shape, lines or an array.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

PATH: Final = "/api/v1/ingest/s"
KIB, MIB = 1024, 1024 * 1024
GZIP: Final = "Content-Encoding: gzip\r\n"


@cache
def honest(rows: int) -> bytes:
    """Records as the reference has them."""
    chance = random.Random(rows)
    return b"".join(
        json.dumps({"x": chance.gauss(0, 1), "c": chance.choice("abc"), "ok": chance.random() < 0.5}).encode() + b"\n"
        for _ in range(rows)
    )


def _categories() -> bytes:
    """A word and a key per record that was never seen."""
    start = random.randrange(10**12)
    return b"".join(
        b'{"x": 1, "c": "word %d %s", "key %d": 1}\n' % (at, b"y" * 60, at) for at in range(start, start + 8000)
    )


@cache
def _bomb() -> bytes:
    return gzip.compress(b" " * (16 * MIB), 9)


@cache
def _packed_lines() -> bytes:
    """As much as the ratio allows."""
    return gzip.compress(honest(400) * 400, 9)


@cache
def _many(line: bytes, size: int) -> bytes:
    return (line + b"\n") * (size // len(line))


LINE: Final = 60 * KIB
BODIES: Final[Mapping[str, Callable[[], tuple[bytes, str]]]] = {
    "gzip bomb 1000:1": lambda: (_bomb(), GZIP),
    "gzip near the ratio": lambda: (_packed_lines(), GZIP),
    "deep JSON": lambda: (_many(b'{"x":' + b"[" * LINE, 4 * MIB), ""),
    "deep maps": lambda: (_many(b'{"a":' * (LINE // 5), 4 * MIB), ""),
    "a huge line": lambda: (b'{"c": "' + b"x" * (7 * MIB), ""),
    "giant numbers": lambda: (_many(b'{"x": ' + b"9" * LINE + b"}", 4 * MIB), ""),
    "thousands of keys": lambda: (_many(b"{" + b",".join(b'"%d":NaN' % at for at in range(5000)) + b"}", 4 * MIB), ""),
    "an array of maps": lambda: (b"[" + b"{}," * (MIB // 3 - 4) + b"{}]", ""),
    "new categories": lambda: (_categories(), ""),
}


OVERLOAD: Final = "overload"
OVERLOAD_ROWS: Final = 4800  # few bytes on the wire, so that it is counting that they overload


def body(kind: str) -> tuple[bytes, str]:
    """The body and its headers."""
    return (_overload(), GZIP) if kind == OVERLOAD else BODIES[kind]()


@cache
def mate(kind: str) -> tuple[bytes, str]:
    """Honest records instead."""
    if kind == OVERLOAD:
        return body(kind)
    bomb, headers = BODIES[kind]()
    if headers == GZIP:
        return _packed(max(1, 400 * len(bomb) // len(_packed(400)))), GZIP
    lines = honest(5000).split(b"\n")[:-1]
    many = lines * (len(bomb) // len(honest(5000)) + 1)
    shaped = b"[" + b",".join(many) if bomb.startswith(b"[") else b"\n".join(many)
    cut = shaped[: shaped.rindex(b"}", 0, len(bomb)) + 1]
    return cut + (b"]" if bomb.startswith(b"[") else b"\n"), headers


@cache
def _overload() -> bytes:
    return gzip.compress(honest(400) * (OVERLOAD_ROWS // 400), 9)


@cache
def _packed(rows: int) -> bytes:
    return gzip.compress(honest(rows), 9)
