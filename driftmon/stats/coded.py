"""Coded: a column of texts as numbers into a short list of the texts that occur, and where such a column comes from.

Law: it reads as the list of its texts. Arrow, pandas and polars hold texts that way, or can; a text becomes an object
of Python's once for all rows that have it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.identity import shared

PIECE: Final = 32_768  # rows at a time: what is in between stays in the second-level cache

Objects: TypeAlias = NDArray[np.object_]
Codes: TypeAlias = NDArray[np.signedinteger[Any]]  # as wide as whoever made them left them


@dataclass(frozen=True, slots=True, eq=False)
class Coded(Sequence[str | None]):
    """`codes` int[rows], -1 where there is no text.

    >>> texts = Coded(np.array([1, -1, 0]), ["UA", "AA"])
    >>> [*texts], texts[0], [*texts[1:]]
    (['AA', None, 'UA'], 'AA', [None, 'UA'])
    """

    codes: Codes
    texts: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, row: int) -> str | None: ...
    @overload
    def __getitem__(self, row: slice) -> Coded: ...
    def __getitem__(self, row: int | slice) -> str | Coded | None:
        if isinstance(row, slice):
            return Coded(self.codes[row].copy(), self.texts)  # a view would keep the whole block in memory
        code = int(self.codes[row])
        return None if code < 0 else self.texts[code]

    def __iter__(self) -> Iterator[str | None]:
        return map([*self.texts, None].__getitem__, self.codes.tolist())

    def times(self) -> NDArray[np.int64]:
        """int64[texts + 1]: how often each occurs, last none."""
        none_first = np.zeros(len(self.texts) + 1, dtype=np.int64)
        step = max(PIECE, len(none_first))
        room = np.empty(min(step, len(self.codes)), dtype=np.int64)
        for start in range(0, len(self.codes), step):
            piece = self.codes[start : start + step]
            none_first += np.bincount(
                np.add(piece, 1, out=room[: len(piece)], dtype=np.int64), minlength=len(none_first)
            )
        return np.concatenate((none_first[1:], none_first[:1]))


def encoded(values: Any) -> tuple[Codes, Sequence[Any]] | None:
    """Codes and distinct values of an Arrow, pandas or polars column of texts; None: it is something else."""
    if isinstance(values, Coded):
        return values.codes, values.texts
    for library, read in (("pyarrow", _arrow), ("pandas", _pandas), ("polars", _polars)):
        module = sys.modules.get(library)  # nobody who never imported it has a column of its
        if module is not None and (found := read(module, values)) is not None:
            return found
    return None


def _arrow(arrow: Any, values: Any) -> tuple[Codes, list[Any]] | None:
    if not isinstance(values, (arrow.Array, arrow.ChunkedArray)):
        return None
    kinds, kind = arrow.types, values.type
    numbered = kinds.is_dictionary(kind)
    if not _is_text(kinds, kind.value_type if numbered else kind):
        return None
    one = values if numbered else values.dictionary_encode()
    chunks = one.chunks if isinstance(one, arrow.ChunkedArray) else [one]
    if not all(chunk.dictionary.equals(chunks[0].dictionary) for chunk in chunks):
        try:
            chunks = one.unify_dictionaries().chunks
        except arrow.ArrowInvalid:  # a dictionary with a null in it
            return _arrow(arrow, values.cast(kind.value_type))
    codes = [_numbers(arrow, chunk.indices) for chunk in chunks]
    return (np.concatenate(codes), chunks[0].dictionary.to_pylist()) if chunks else (np.zeros(0, np.int64), [])


def _numbers(arrow: Any, indices: Any) -> Codes:
    """Without a copy, where they have a sign and there is no null."""
    signed = indices.cast(arrow.int64()) if arrow.types.is_unsigned_integer(indices.type) else indices
    found: Codes = (signed.fill_null(-1) if signed.null_count else signed).to_numpy(zero_copy_only=False)
    return found


def _is_text(kinds: Any, kind: Any) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind))


def _pandas(pandas: Any, values: Any) -> tuple[Codes, list[Any]] | None:
    if not isinstance(values, pandas.Series):
        return None
    if isinstance(values.dtype, pandas.CategoricalDtype):
        texts = values.cat.categories.tolist()
        return values.cat.codes.to_numpy().astype(np.int64), texts
    if isinstance(values.dtype, pandas.StringDtype) and values.dtype.storage == "pyarrow":
        found = _arrow(sys.modules["pyarrow"], values.array.__arrow_array__())
        if found is not None:
            return found
    if values.dtype == object:
        return _objects(pandas, values.to_numpy())
    if isinstance(values.dtype, pandas.StringDtype) or pandas.api.types.infer_dtype(values, skipna=True) == "string":
        codes, texts = values.factorize()
        return codes.astype(np.int64, copy=False), texts.tolist()
    return None


def _objects(pandas: Any, array: Objects) -> tuple[Codes, list[Any]] | None:
    """None where they are not all texts or missing: of others pandas would take 1, 1.0 and True for one another."""
    if (found := shared(array, pandas.factorize)) is not None:
        numbers, array = found
    if pandas.api.types.infer_dtype(array, skipna=True) != "string":
        return None
    codes, texts = pandas.factorize(array)
    if found is not None:
        codes = codes.take(numbers)
    return codes.astype(np.int64, copy=False), texts.tolist()


def _polars(polars: Any, values: Any) -> tuple[Codes, list[Any]] | None:
    if not isinstance(values, polars.Series):
        return None
    if values.dtype not in (polars.String, polars.Categorical, polars.Enum):
        return None
    physical = (values.cast(polars.Categorical) if values.dtype == polars.String else values).to_physical()
    number = physical.cast(polars.Int64).fill_null(-1).to_numpy()
    distinct, first, codes = np.unique(number, return_index=True, return_inverse=True)
    texts = values.gather(first.tolist()).cast(polars.String).to_list()
    return codes.astype(np.int64) - (distinct[:1] == -1).sum(), [text for text in texts if text is not None]
