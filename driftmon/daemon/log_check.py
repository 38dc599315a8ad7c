"""Log check: whether SQLite's write-ahead log lost something that was committed.

Law: a torn end is no damage: those frames belong to a commit that did not return. SQLite itself goes on with what
comes before the first frame that is wrong, and says nothing of commits behind it.
Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

HEAD: Final = 32
FRAME_HEAD: Final = 24
ORDERS: Final = {0x377F0682: "<u4", 0x377F0683: ">u4"}

Words: TypeAlias = NDArray[np.uint32]


def damage_of(data: bytes) -> str:
    """What is wrong with a log, in words; empty where nothing that was committed is missing.

    Damage to the very last commit looks like a torn end, and a log cut short between two commits like a shorter one.
    """
    if len(data) <= HEAD:
        return ""
    magic, _, page_bytes, _, *salts, first, second = struct.unpack(">8I", data[:HEAD])
    if magic not in ORDERS:
        return "its log has no head"
    head = np.frombuffer(data[: HEAD - 8], dtype=ORDERS[magic]).astype(np.uint32)[None, :]
    if checksums(head, np.zeros((1, 2), dtype=np.uint32)).tolist() != [[first, second]]:
        return "the head of its log is damaged"
    size = FRAME_HEAD + page_bytes
    number = (len(data) - HEAD) // size
    frames = np.frombuffer(data, dtype=np.uint8, offset=HEAD, count=number * size).reshape(number, size)
    heads = np.ascontiguousarray(frames[:, :FRAME_HEAD]).view(">u4").astype(np.uint32)
    covered = np.concatenate([frames[:, :8], frames[:, FRAME_HEAD:]], axis=1)
    words = covered.view(ORDERS[magic]).astype(np.uint32)
    before = np.concatenate([np.array([[first, second]], dtype=np.uint32), heads[:-1, 4:]])
    sound = (heads[:, 2:4] == salts).all(axis=1) & (checksums(words, before) == heads[:, 4:]).all(axis=1)
    return _verdict(sound, heads[:, 1] != 0)


def _verdict(sound: NDArray[np.bool_], commits: NDArray[np.bool_]) -> str:
    """A commit begins after the one before it was flushed: behind a wrong frame's own, another proves damage."""
    if sound.all():
        return ""
    wrong = int(np.argmin(sound))
    ends = np.flatnonzero(commits[wrong:])
    later = sound[wrong + int(ends[0]) + 1 :] & commits[wrong + int(ends[0]) + 1 :] if ends.size else ends
    return f"frame {wrong + 1} of its log is damaged" if later.any() else ""


def checksums(words: Words, before: Words) -> Words:
    """SQLite's running sum of rows of words, each begun where `before` says.

    Every word w takes the two last terms to the next, t'' = t + t' + w mod 2**32: so a term is the sum of the words
    weighted by Fibonacci numbers.

    >>> checksums(np.array([[1, 2]], dtype=np.uint32), np.array([[10, 100]], dtype=np.uint32)).tolist()
    [[111, 213]]
    """
    number = words.shape[1]
    fibonacci = [0, 1]
    while len(fibonacci) < number + 2:
        fibonacci.append((fibonacci[-1] + fibonacci[-2]) & 0xFFFFFFFF)
    weights = np.array(fibonacci, dtype=np.uint32)
    falling = np.stack([weights[number - 1 :: -1], weights[number:0:-1]], axis=1)
    begun = np.array([[weights[number - 1], weights[number]], [weights[number], weights[number + 1]]], dtype=np.uint32)
    summed: Words = words @ falling + before @ begun
    return summed
