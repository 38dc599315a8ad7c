"""Single: the bin of one value at a time, without arrays.

Law: it is the bin that the value has in a column, whatever the value is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from math import isnan
from typing import Any, Final, NamedTuple, TypeAlias

from driftmon.stats.columns import ABSENT, boolean, number, text
from driftmon.stats.schema import NOT_COUNTED, Binning, Feature

CodeOf: TypeAlias = Callable[[object], int]


class Single(NamedTuple):
    """How a feature's values are read: those of the type `plain` by `table`, others by `code_of`.

    `table` has the edges of numbers, else the bins of texts or of booleans; `last` is the bin of what is in none of
    them: above all edges, or unseen.
    """

    plain: Any  # a type
    table: Any
    last: int
    code_of: CodeOf


def single(feature: Feature) -> Single:
    """
    >>> from driftmon.stats.binnings import categorical, numeric
    >>> code_of = single(Feature("x", numeric.Binning((0.0, 10.0)))).code_of
    >>> [code_of(value) for value in (-1, 10.0, float("inf"), None, ABSENT, "10", True)]
    [0, 2, 2, 4, 4, 3, 3]
    >>> code_of = single(Feature("c", categorical.Binning(("UA", "7")), absent="skip")).code_of
    >>> [code_of(value) for value in ("UA", 7, "AA", None, ABSENT, [])]
    [0, 1, 2, 4, -1, 3]
    """
    found = _KINDS[feature.kind](feature.binning)
    return found._replace(code_of=_unless_absent(found.code_of)) if feature.absent == "skip" else found


def _unless_absent(code_of: CodeOf) -> CodeOf:
    return lambda value: NOT_COUNTED if value is ABSENT else code_of(value)


def _numeric(binning: Binning) -> Single:
    assert binning.cuts is not None
    edges, size = binning.cuts[0].tolist(), binning.size

    def code_of(value: object) -> int:
        found = number(value)
        if isinstance(found, str):
            return size - 2
        return size - 1 if isnan(found) else bisect_right(edges, found)

    return Single(float, edges, binning.regular - 1, code_of)


def _categorical(binning: Binning) -> Single:
    assert binning.places is not None
    places: Mapping[str | None, int] = binning.places
    unseen, size = binning.regular, binning.size

    def code_of(value: object) -> int:
        found = text(value)
        return size - 2 if isinstance(found, tuple) else places.get(found, unseen)

    return Single(str, places, unseen, code_of)


def _boolean(binning: Binning) -> Single:
    size = binning.size

    def code_of(value: object) -> int:
        found = boolean(value)
        if isinstance(found, str):
            return size - 2
        return size - 1 if isnan(found) else int(found)

    return Single(bool, {False: 0, True: 1}, size - 2, code_of)


_KINDS: Final[Mapping[str, Callable[[Binning], Single]]] = {
    "numeric": _numeric,
    "log_loss": _numeric,
    "categorical": _categorical,
    "boolean": _boolean,
}
