"""Cells: the line cut where float32(x - centre) changes its first 18 bits, so that most codes are read from a table.

Law: subtraction and rounding keep the order, so a value in a cell above an edge's is above the edge, and one in a cell
below is below it. Only in a cell that holds an edge must values be compared: code(x) is exact for every float64.

Cells are 0.2 % wide around the centre, the middle edge; of a million normal values 0.2 % lie in one with an edge for 16
bins and 1 % for 64. Against numpy.searchsorted and bincount it is 7 to 10 times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.columns import Floats

Small: TypeAlias = NDArray[np.unsignedinteger[Any]]  # codes, of a type as small as holds them

BITS: Final = 18
CELLS: Final = 2**BITS
SHIFT: Final = np.uint32(32 - BITS)
HALF: Final = CELLS // 2
NAN: Final = 0xFF << (BITS - 9)  # the cell of +inf; those after it are NaN
PIECE: Final = 32_768  # values at a time: what is in between stays in the second-level cache
PAIRS: Final = 2**17  # at a time: bincount makes a copy, of 8 bytes each
FEW: Final = 8  # at least one value in so many in an edge's cell: compare all

TABLES: Final = 32  # kept at most, of 256 KiB up to 125 bins, else 512
MOST_EDGES: Final = 2**15 - 3
LEAST: Final = 1024  # values that are worth a look-up in a table there is
LONG: Final = 32_768  # values that are worth a table for them alone


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Table:
    """Of each cell how many edges lie in cells below it, and `mark` beside that where the cell holds one."""

    made_of: tuple[float, ...]
    centre: float
    codes: Small
    mark: int
    next_edge: Floats  # of a code, NaN where there is none
    most: int  # edges in one cell

    def __reduce__(self) -> tuple[object, ...]:
        return made, (self.made_of,)

    def fill(self, values: Floats, into: Small) -> None:
        """The code of each value; that of NaN is two more than the last bin's, past `invalid`."""
        most = min(PIECE, len(values))
        rounded, cells = np.empty(most, np.float32), np.empty(most, np.intp)
        with np.errstate(all="ignore"):  # what is beyond float32 is infinite, and in order
            for start in range(0, len(values), PIECE):
                piece, found = values[start : start + PIECE], into[start : start + PIECE]
                near, cell = rounded[: len(piece)], cells[: len(piece)]
                np.subtract(piece, self.centre, out=near, casting="same_kind")
                np.right_shift(near.view(np.uint32), SHIFT, out=cell)
                self.codes.take(cell, out=found, mode="clip")  # none is clipped: "raise" would copy
                self._compare(piece, found)

    def _compare(self, values: Floats, found: Small) -> None:
        at = np.flatnonzero(found >= self.mark)
        if self.most > 1:
            found[at] = np.searchsorted(self.made_of, values[at], side="right").astype(found.dtype)
        elif FEW * len(at) > len(values):
            found &= self.mark - 1
            found += values >= self.next_edge.take(found)
        else:
            below = found[at] - found.dtype.type(self.mark)
            found[at] = below + (values[at] >= self.next_edge.take(below))


def table_for(edges: tuple[float, ...], values: int) -> Table | None:
    """The table of these edges, if it pays for so many values; None: search. It is the caller's to keep if `kept`."""
    if values < LEAST or not 0 < len(edges) < MOST_EDGES:
        return None
    table = _kept.get(edges)
    if table is None and (len(_kept) < TABLES or values >= LONG):
        table = made(edges)
        if len(_kept) < TABLES:
            _kept[edges] = table
    return table


def kept(table: Table) -> bool:
    """Whether there is room for it as long as somebody needs it."""
    return _kept.get(table.made_of) is table


# A cache: what is in it decides the time, never a code. A table goes with the last binning that keeps it.
_kept: WeakValueDictionary[tuple[float, ...], Table] = WeakValueDictionary()


def made(edges: tuple[float, ...]) -> Table:
    """Half a millisecond."""
    rising = np.array(edges, dtype=np.float64)
    centre = float(rising[len(rising) // 2]) or -0.0  # -0.0: then 0.0 - centre and -0.0 - centre are the same
    missing = len(edges) + 2
    small: Any = np.uint8 if missing < 2**7 else np.uint16
    mark = 2**7 if small is np.uint8 else 2**15
    with np.errstate(all="ignore"):
        cells = ((rising - centre).astype(np.float32).view(np.uint32) >> SHIFT).astype(np.int64)
    ranks = np.where(cells < HALF, HALF + cells, CELLS - 1 - cells)  # negative ones run the other way
    held, first, times = np.unique(ranks, return_index=True, return_counts=True)
    ordered = np.repeat(np.arange(len(edges) + 1, dtype=small), np.diff(ranks + 1, prepend=0, append=CELLS))
    ordered[held] = first + mark  # first is the number of edges in cells below
    codes = np.concatenate((ordered[HALF:], ordered[HALF - 1 :: -1]))
    codes[NAN + 1 : HALF] = codes[HALF + NAN + 1 :] = missing
    next_edge = np.append(rising, (np.nan, np.nan, np.nan))
    return Table(edges, centre, codes, mark, next_edge, int(times.max()))


def counted(codes: Small, size: int) -> NDArray[np.int64]:
    """int64[size]: how often each code occurs. Small codes are read in pairs, which takes half the time."""
    if codes.dtype != np.uint8 or len(codes) < CELLS // 2:
        found: NDArray[np.int64] = np.bincount(codes, minlength=size)
        return found
    two = codes[: len(codes) // 2 * 2].view(np.uint16)
    times = np.zeros(2**16, dtype=np.int64)
    for start in range(0, len(two), PAIRS):
        times += np.bincount(two[start : start + PAIRS], minlength=2**16)
    pairs = times.reshape(2**8, 2**8)
    found = (pairs.sum(axis=0) + pairs.sum(axis=1))[:size]
    if len(codes) % 2:
        found[codes[-1]] += 1
    return found
