"""Mutation: good inputs made bad, a few changes at a time, the same ones for the same seed.

Law: what comes out depends on the random generator alone, so that a number replays it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

_WORDS: Final = (
    b'{ } [ ] , : " \\ \r \t \x00 \xff \xef\xbb\xbf \xed\xa0\x80 \\ud800 \\udc00 \\u0000 NaN Infinity -Infinity '
    b"1e400 -0.0 0 -1 1e-400 9007199254740993 18446744073709551616 true false null {}{} [[]] ; ' # & * ! | > % @ ` "
    b"- ~ ${ ${X} ${X:-y} $$ *a &a !!python/object --- ... << 1_000 0x1F 1e3 .inf \xe2\x80\xae"
)
_LONG: Final = (b"9" * 70, b"9" * 5000, b"[" * 300, b'{"a":' * 200, b"x" * 2000, b'"x":1,"x":2')
TOKENS: Final = (*_WORDS.split(b" "), *_LONG, b" ", b"\n")

Change = Callable[[random.Random, bytearray, Sequence[bytes]], None]


def _flip(chance: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _put(chance: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    at = chance.randint(0, len(data))
    data[at:at] = chance.choice(TOKENS)


def _replace(chance: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    at = chance.randint(0, len(data))
    data[at : at + chance.randint(1, 12)] = chance.choice(TOKENS)


def _drop(chance: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    at = chance.randint(0, len(data))
    del data[at : at + chance.randint(1, 30)]


def _repeat(chance: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    at = chance.randint(0, len(data))
    part = data[at : at + chance.randint(1, 60)]
    data[at:at] = part * chance.randint(1, 4)


def _cut(chance: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    del data[chance.randint(0, len(data)) :]


def _splice(chance: random.Random, data: bytearray, corpus: Sequence[bytes]) -> None:
    other = chance.choice(corpus)
    data[chance.randint(0, len(data)) :] = other[chance.randint(0, len(other)) :]


CHANGES: Final[tuple[Change, ...]] = (_flip, _put, _put, _replace, _replace, _drop, _repeat, _cut, _splice)


def mutated(chance: random.Random, corpus: Sequence[bytes]) -> bytes:
    """One of the corpus, changed in none to six places."""
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.choice((0, 1, 1, 2, 3, 6))):
        chance.choice(CHANGES)(chance, data, corpus)
    return bytes(data)


def value(chance: random.Random, depth: int = 0) -> object:
    """Any JSON value, small."""
    kind = chance.randrange(9 if depth < 4 else 7)
    if kind == 7:
        return [value(chance, depth + 1) for _ in range(chance.randrange(3))]
    if kind == 8:
        return {chance.choice("abcmnx"): value(chance, depth + 1) for _ in range(chance.randrange(3))}
    texts = ["", "UA", "x" * chance.choice((5, 40)), '"{[', "\ud800", "\u202e", "a\nb", "NaN", "1"]
    numbers = [0, -0.0, 1, 1.5, -3, 2**53 + 1, 2**63, 10**400, 1e308, float("inf"), float("nan"), -1e-320]
    choices: list[object] = [None, True, False, chance.choice(texts), chance.choice(numbers), chance.gauss(0, 9)]
    return choices[min(kind, 5)]
