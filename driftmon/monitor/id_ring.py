"""IdRing: the last ids of a stream in the order they came, each found again by its 64-bit digest.

Law: `find` gives the place of an id that came and was not dropped, else -1. Places are numbers that only grow; the
oldest are dropped first. Two of a million ids share a digest with probability 3e-8; then they count as one id.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Digests: TypeAlias = NDArray[np.uint64]
Places: TypeAlias = NDArray[np.int64]

EMPTY: Final = -1
LEAST_CELLS: Final = 4096
CELLS_PER_ID: Final = 4  # at least, when the table is made anew; it is at most half full before the next time
AT_ONCE: Final = 65_536
CELL_BYTES: Final = np.dtype(np.int32).itemsize
ID_BYTES: Final = np.dtype(np.uint64).itemsize + 2 * CELLS_PER_ID * CELL_BYTES  # a power of two: up to twice as many


def digests(ids: Iterable[str], key: bytes = b"") -> Digests:
    """uint64[rows]: the same in every process that has the same key; nobody without it can make them collide.

    >>> int(digests(["a"])[0] != digests(["a"], b"key")[0])
    1
    """
    found = b"".join([blake2b(one.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest() for one in ids])
    return np.frombuffer(found, dtype="<u8").astype(np.uint64)


class IdRing:
    """At most `entries` ids; the memory of slots that were never used is not touched.

    Their places lie in a table with linear probing, whose cells are left behind when an id is dropped, and swept when
    half are used: that costs each id about as much again as to add it.

    >>> ring = IdRing(2)
    >>> ring.add(digests(["a", "b"])).tolist(), ring.find(digests(["b", "c", "a"])).tolist()
    ([0, 1], [1, -1, 0])
    >>> ring.drop(1); ring.add(digests(["c"])).tolist(), ring.find(digests(["b", "c", "a"])).tolist()
    ([2], [1, 2, -1])
    """

    def __init__(self, entries: int) -> None:
        self.entries = entries
        self.first = 0  # the place of the oldest id
        self.end = 0  # one after that of the newest
        self._ids = np.empty(entries, dtype=np.uint64)
        self._cells = np.full(LEAST_CELLS, EMPTY, dtype=np.int32)
        self._used = 0

    def __len__(self) -> int:
        return self.end - self.first

    @property
    def nbytes(self) -> int:
        """Of all slots, used or not, and the table as it is."""
        return self._ids.nbytes + self._cells.nbytes

    def slots(self, places: Places) -> Places:
        """Where arrays of `entries` rows keep what belongs to these ids."""
        return places % self.entries

    def ids(self, places: Places) -> Digests:
        return self._ids[self.slots(places)]

    def find(self, ids: Digests) -> Places:
        """int64[rows]; -1 where an id is not there."""
        found = np.full(len(ids), EMPTY, dtype=np.int64)
        rows, cells = np.arange(len(ids)), self._home(ids)
        while rows.size:
            slots = self._cells[cells]
            places = self.end - 1 - (self.end - 1 - slots) % self.entries  # the newest that a slot can be of
            here = (slots != EMPTY) & (self._ids[slots] == ids[rows]) & (places >= self.first)
            found[rows[here]] = places[here]
            on = (slots != EMPTY) & ~here
            rows, cells = rows[on], self._next(cells[on])
        return found

    def add(self, ids: Digests) -> Places:
        """Their places. They must differ, none may be there yet, and there must be room."""
        assert len(self) + len(ids) <= self.entries, "drop the oldest first"
        places = np.arange(self.end, self.end + len(ids))
        self._ids[self.slots(places)] = ids
        self.end += len(ids)
        if 2 * (self._used + len(ids)) > len(self._cells):
            self._sweep()
        else:
            self._enter(ids, self.slots(places))
        return places

    def drop(self, first: int) -> None:
        """All before this place."""
        self.first = max(self.first, first)

    def begin(self, first: int, ids: Digests) -> None:
        """Anew: these ids, the oldest at place `first`."""
        self.first = self.end = first
        self._sweep()
        self.add(ids)

    def _home(self, ids: Digests) -> Places:
        return (ids & np.uint64(len(self._cells) - 1)).astype(np.int64)

    def _next(self, cells: Places) -> Places:
        return (cells + 1) & (len(self._cells) - 1)

    def _sweep(self) -> None:
        """A table of what is there now, in parts, so that it takes little memory besides."""
        wanted = max(LEAST_CELLS, CELLS_PER_ID * len(self))
        self._cells = np.full(1 << (wanted - 1).bit_length(), EMPTY, dtype=np.int32)
        self._used = 0
        for low in range(self.first, self.end, AT_ONCE):
            places = np.arange(low, min(low + AT_ONCE, self.end))
            self._enter(self.ids(places), self.slots(places))

    def _enter(self, ids: Digests, slots: Places) -> None:
        """Each into the first free cell from its home on; where two want one cell, one of them goes on."""
        self._used += len(ids)
        cells = self._home(ids)
        while slots.size:
            free = self._cells[cells] == EMPTY
            self._cells[cells[free]] = slots[free]
            on = self._cells[cells] != slots
            slots, cells = slots[on], self._next(cells[on])
