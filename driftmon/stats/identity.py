"""Identity: the values of an array of Python objects told apart by where they are in memory, not by what they say.

Law: two rows of one number have the very same object, so what is true of one is true of the other. Whoever reads texts
from a file makes each once, mostly: of a million rows there are as many objects as texts, and ten times as fast as to
hash a million texts is it to hash their addresses, and then a text once. Nothing is ever read at an address.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Addresses: TypeAlias = NDArray[np.intp]
Factorize: TypeAlias = Callable[[Addresses], tuple[NDArray[np.intp], Addresses]]  # as pandas does it

SAMPLE: Final = 4096  # rows looked at before it is tried
SHARED: Final = 8  # rows of the sample that one object must have on average
PIECE: Final = 32_768  # rows at a time
ADDRESSES: Final = sys.implementation.name == "cpython"  # elsewhere id() is not one


class _Memory:
    """What numpy has to know to see an array's addresses. It keeps the array."""

    def __init__(self, array: NDArray[np.object_]) -> None:
        self.array = array
        kept = {key: array.__array_interface__[key] for key in ("shape", "strides", "data", "version")}
        self.__array_interface__ = {**kept, "typestr": np.dtype(np.intp).str}


def addresses(array: NDArray[np.object_]) -> Addresses:
    """intp of the array's shape, without a copy and not to be written.

    >>> texts = np.array(["UA", "AA"], dtype=object)
    >>> addresses(texts).tolist() == [id(text) for text in texts]
    True
    """
    seen = np.asarray(_Memory(array))
    seen.flags.writeable = False
    return seen


def shared(array: NDArray[np.object_], factorize: Factorize) -> tuple[NDArray[np.intp], NDArray[np.object_]] | None:
    """The number of each row's object, as `factorize` gives them, and the objects; None: they are too many.

    >>> numbers, objects = shared(np.array(["UA", None, "UA"] * 9), lambda at: np.unique(at, return_inverse=True)[::-1])
    >>> len(objects), objects[numbers][:4].tolist()
    (2, ['UA', None, 'UA', 'UA'])
    """
    if not ADDRESSES or array.ndim != 1 or not array.flags.aligned:
        return None
    where = addresses(array)
    sample = where[:: max(1, len(where) // SAMPLE)]
    if SHARED * len(np.unique(sample)) > len(sample):
        return None
    numbers, distinct = factorize(where)
    rows = _a_row_of_each(numbers, len(distinct))
    objects = array[rows]
    # An array may have no object in a row, and then it says None; somebody may have put another there meanwhile.
    return (numbers, objects) if [*map(id, objects)] == distinct.tolist() else None


def _a_row_of_each(numbers: NDArray[np.intp], many: int) -> NDArray[np.intp]:
    rows = np.full(many, -1, dtype=np.intp)
    for start in range(0, len(numbers), PIECE):
        piece = numbers[start : start + PIECE]
        rows[piece] = np.arange(start, start + len(piece))
        if rows.min() >= 0:
            break
    return rows
