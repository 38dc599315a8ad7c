"""Pieces: what a join took since it was last kept, to be appended to what is kept, and a join out of all of them.

Law: a join restored from its pieces and its head does what the join itself would have done. The order of the pieces
does not matter; one that is missing costs the ids in it, which then neither wait nor match.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from driftmon.monitor.batch import Times
from driftmon.monitor.id_ring import Digests, Places
from driftmon.monitor.labels import LABEL, MATCHED, PREDICTION, Join, Kinds, Tally
from driftmon.stats.columns import Floats


class Piece(Struct, frozen=True):
    """Ids from place `first` on, with all that is known of each; `matched`: places that no longer wait."""

    first: int
    ids: Digests
    kinds: Kinds
    since_ms: Times
    times_ms: Times
    values: Floats
    matched: Places

    @property
    def last(self) -> int:
        """The newest place it says something of."""
        return max(self.first + len(self.ids) - 1, int(self.matched.max(initial=-1)))


class Head(Struct, frozen=True):
    """Of a join: the clock, the place of its oldest id, one after that of its newest, and how labels fared."""

    clock_ms: int
    first: int
    end: int
    tally: Tally


class KeptLabels(Struct, frozen=True):
    """Of one stream: for which meaning of its records, with which key ids were digested, and what waits."""

    meaning: str
    key: bytes
    head: Head | None
    pieces: tuple[Piece, ...]


def head_of(join: Join) -> Head:
    """What is not of one id; small."""
    return Head(join.clock_ms, join.ring.first, join.ring.end, join.tally)


def piece_of(join: Join, since: int | None = None) -> Piece:
    """What came since `kept`, or place `since`; ids that came and went within it are no longer there."""
    first = max(join.ring.first, join.kept if since is None else since)
    places = np.arange(first, join.ring.end)
    slots = join.ring.slots(places)
    matched = np.concatenate([np.zeros(0, dtype=np.int64), *(join.matched or ())])
    matched = matched[(matched >= join.ring.first) & (matched < first)]
    taken = (join.kinds[slots], join.since_ms[slots], join.times_ms[slots], join.values[slots])
    return Piece(first, join.ring.ids(places), *taken, matched)


def keep(join: Join) -> None:
    """All that was taken is on the disk, or nobody asks for it."""
    join.kept = join.ring.end
    join.matched = []


def restore(join: Join, head: Head | None, pieces: Sequence[Piece]) -> None:
    """Fill an empty join; it may have another `wait` and other bounds: what they leave no room for is dropped.

    Without a head the ids are all there is.
    """
    first = min((piece.first for piece in pieces), default=0) if head is None else head.first
    end = max((piece.last + 1 for piece in pieces), default=first) if head is None else head.end
    ids, kinds = np.arange(end - first, dtype=np.uint64), np.full(end - first, MATCHED, dtype=np.uint8)
    since_ms, times_ms = np.zeros(end - first, dtype=np.int64), np.zeros(end - first, dtype=np.int64)
    values = np.zeros((end - first, join.values.shape[1]))
    for piece in pieces:
        skip = min(max(0, first - piece.first), len(piece.ids))
        at = slice(piece.first + skip - first, piece.first + len(piece.ids) - first)
        ids[at], kinds[at], values[at] = piece.ids[skip:], piece.kinds[skip:], piece.values[skip:]
        since_ms[at], times_ms[at] = piece.since_ms[skip:], piece.times_ms[skip:]
    for piece in pieces:
        kinds[piece.matched[piece.matched >= first] - first] = MATCHED
    since_ms = np.maximum.accumulate(since_ms)  # of ids that are lost: as long as the one before
    if head is not None:
        join.tally, join.clock_ms = head.tally, head.clock_ms
    else:
        join.clock_ms = int(since_ms.max(initial=0))
    cut = max(0, end - first - join.ring.entries)
    join.tally.outcomes["expired"] += int((kinds[:cut] == PREDICTION).sum())
    join.tally.outcomes["orphan"] += int((kinds[:cut] == LABEL).sum())
    slots = join.ring.slots(np.arange(first + cut, end))
    join.ring.begin(first + cut, ids[cut:])
    join.kinds[slots], join.since_ms[slots] = kinds[cut:], since_ms[cut:]
    join.times_ms[slots], join.values[slots] = times_ms[cut:], values[cut:]
    join.waiting = [int((kinds[cut:] == kind).sum()) for kind in (PREDICTION, LABEL)]
    join.kept, join.matched = end, []
