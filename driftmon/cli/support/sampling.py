"""Systematic: every stride-th item of a stream of unknown length, at most `most` of them and at least half as many.

Law: the sample depends on the items and their order alone, not on the blocks they come in, so the same
input gives the same bins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

Block = TypeVar("Block")

ROWS: Final = 131_072  # even the cuts at 0.1 % have 65 rows beyond them


def wanted(offered: int, stride: int) -> slice:
    """Of the items after so many, those that a stride asks for.

    >>> wanted(5, 4)
    slice(3, None, 4)
    """
    return slice(-offered % stride, None, stride)


class Systematic(Generic[Block]):
    """Offer blocks of items in order; when the sample is full, every second item goes and the stride doubles.

    `thin(block, items)` is a block of the items in that slice.

    >>> sample = Systematic(lambda block, items: block[items], most=4)
    >>> sample.offer([0, 1, 2], 3); sample.offer([3, 4, 5, 6, 7, 8, 9], 7)
    >>> sample.blocks, sample.stride
    ([[0], [4, 8]], 4)
    """

    def __init__(self, thin: Callable[[Block, slice], Block], most: int = ROWS) -> None:
        self.stride = 1
        self._thin = thin
        self._most = most
        self.offered = 0
        self._sizes: list[int] = []
        self._kept: list[Block] = []

    @property
    def blocks(self) -> list[Block]:
        """The sample, in order."""
        return self._kept

    @property
    def wanted(self) -> slice:
        """Of the items of the next block."""
        return wanted(self.offered, self.stride)

    def offer(self, block: Block, size: int) -> None:
        """Take what the sample wants of a block of `size` items."""
        self.add(self._thin(block, self.wanted), size)

    def add(self, wanted: Block, size: int) -> None:
        """Take the items that are `wanted` of a block of `size` items."""
        kept = len(range(size)[self.wanted])
        if kept:
            self._kept.append(wanted)
            self._sizes.append(kept)
        self.offered += size
        while sum(self._sizes) > self._most:
            self._halve()

    def stride_after(self, offered: int) -> int:
        """What the stride is once so many items have been offered."""
        stride = self.stride
        while len(range(0, offered, stride)) > self._most:
            stride *= 2
        return stride

    def add_of(self, stride: int, some: Block, size: int) -> None:
        """As `add` of `some` that another stride wants: a lesser one, or one that the sample will have after them."""
        while self.stride < stride:
            self._halve()
        first = (self.wanted.start - wanted(self.offered, stride).start) // stride
        self.add(some if stride == self.stride else self._thin(some, slice(first, None, self.stride // stride)), size)

    def _keep(self, block: Block, size: int, first: int, stride: int) -> None:
        if first < size:
            self._kept.append(self._thin(block, slice(first, None, stride)))
            self._sizes.append(len(range(first, size, stride)))

    def _halve(self) -> None:
        held, sizes, before = self._kept, self._sizes, 0
        self._kept, self._sizes = [], []
        for block, size in zip(held, sizes, strict=True):
            self._keep(block, size, before % 2, 2)
            before += size
        self.stride *= 2
