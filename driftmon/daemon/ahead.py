"""Ahead: large requests are decoded before anything of them is counted, so that small ones have their turns meanwhile.

Law: reading changes nothing, so what comes between leaves no trace in it. At most AHEAD_BYTES are held; what is
beyond is read while it is counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np

from driftmon.daemon.mailbox import QUICK_BYTES, Question
from driftmon.daemon.overload import PUSHED
from driftmon.daemon.streams import Stream
from driftmon.monitor.batch import Batch
from driftmon.sources.base import Block

AHEAD_BYTES: Final = 12 * 1024 * 1024
NUMBER_BYTES: Final = 8
TEXT_BYTES: Final = 64  # of a short text
QUOTE: Final = ord('"')
QUOTES: Final = 4  # around a key and its text


@dataclass(frozen=True, slots=True)
class Ahead:
    """A block as `stream` reads it, and how long that took so far."""

    stream: Stream
    batches: Iterable[Batch | None]
    took_s: float


class Reader:
    """What has been read ahead for one turn. `between` is called every millisecond or so."""

    def __init__(self, streams: Mapping[str, Stream], between: Callable[[], None]) -> None:
        self._streams = streams
        self._between = between
        self._held = 0

    def read(self, items: Iterable[Block | Question]) -> dict[int, Ahead]:
        """By the id of the block; small ones, and those that may be thinned first, are read when they are counted."""
        found: dict[int, Ahead] = {}
        for block in items:
            if isinstance(block, Question) or not (block.more or len(block.data) > QUICK_BYTES):
                continue
            stream = self._streams.get(block.stream)
            if stream is not None and not (stream.samples and block.source in PUSHED) and self._held < AHEAD_BYTES:
                found[id(block)] = self._read(stream, block)
        return found

    def _read(self, stream: Stream, block: Block) -> Ahead:
        steps, batches, took_s = stream.read(block), list[Batch](), 0.0
        self._held += TEXT_BYTES * (int(np.count_nonzero(np.frombuffer(block.data, np.uint8) == QUOTE)) // QUOTES)
        while self._held < AHEAD_BYTES:
            started_s = time.perf_counter()
            try:
                batch = next(steps)
            except StopIteration:
                break
            except Exception as fault:  # a bug: told to the sender where the block would be counted; nothing of it is
                return Ahead(stream, _raising(fault), took_s)
            took_s += time.perf_counter() - started_s
            if batch is None:
                self._between()
            else:
                batches.append(batch)
                self._held += size_of(batch)
        return Ahead(stream, chain(batches, steps), took_s)


def size_of(batch: Batch) -> int:
    """Bytes that it takes without its texts: a number or a place for each row."""
    return NUMBER_BYTES * batch.rows * len(batch.columns)


def _raising(fault: Exception) -> Iterator[Batch]:
    raise fault
    yield
