"""Groups: small blocks of one stream that were taken together, read and counted as one.

Law: outcomes and counts are those of block by block. Blocks are a group only if each of their lines is a good record
of its own, so that each block is as many records as it has lines; all others go one by one. Reading changes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from driftmon.daemon.mailbox import QUICK_BYTES, Question
from driftmon.daemon.overload import PUSHED
from driftmon.daemon.streams import Stream
from driftmon.formats.lines import count_of
from driftmon.monitor.batch import Batch
from driftmon.sources.base import Block

log: Final = logging.getLogger("driftmon.pump")


class Group(NamedTuple):
    """Blocks as `stream` reads them together, the records of each, and how long that took."""

    stream: Stream
    blocks: Sequence[Block]
    records: Sequence[int]
    batch: Batch
    took_s: float


Item: TypeAlias = Block | Question | Group


def grouped(items: Iterable[Block | Question], streams: Mapping[str, Stream]) -> Iterator[Item]:
    """The same, blocks of a stream together where they can be, and in their order; so with questions.

    All that was taken together is not much, so neither is a group.
    """
    waiting: dict[str, list[Block]] = {}
    for item in items:
        if isinstance(item, Question):
            for name in [*waiting]:
                yield from _read(streams[name], waiting.pop(name))
            yield item
        elif _joins(item, streams):
            waiting.setdefault(item.stream, []).append(item)
        else:
            if item.stream in waiting:
                yield from _read(streams[item.stream], waiting.pop(item.stream))
            yield item
    for name, blocks in waiting.items():
        yield from _read(streams[name], blocks)


def _joins(block: Block, streams: Mapping[str, Stream]) -> bool:
    """Small, whole, each record worth one; a block with a position waits for nobody."""
    if block.format != "ndjson" or block.more or block.position is not None or block.weight != 1:
        return False
    stream = streams.get(block.stream)
    if stream is None or not stream.joins or len(block.data) > QUICK_BYTES:
        return False
    return not (stream.samples and block.source in PUSHED)


def _read(stream: Stream, blocks: Sequence[Block]) -> Sequence[Item]:
    """As a group, or each for itself."""
    group = _together(stream, blocks) if len(blocks) > 1 else None
    return blocks if group is None else (group,)


def _together(stream: Stream, blocks: Sequence[Block]) -> Group | None:
    started_s = time.perf_counter()
    ended = [block.data if block.data.endswith(b"\n") else block.data + b"\n" for block in blocks]
    try:
        batch = stream.read_clean(b"".join(ended))
    except Exception:  # a bug; the block that trips it is told of it when it is read by itself
        log.exception("stream %s: %d blocks could not be read as one", stream.settings.name, len(blocks))
        return None
    records = [count_of(b"\n", lines) for lines in ended]
    if batch is None or batch.rows != sum(records):
        return None
    return Group(stream, blocks, records, batch, time.perf_counter() - started_s)
