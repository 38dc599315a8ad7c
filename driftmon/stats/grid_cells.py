"""Grid cells: each column of numbers cut in cells of equal width, so that most hold no edge and few more than one.

Law: cell(x) = whole part of factor * x + summand never falls when x rises, and edges are put in cells by the very
same steps. So of a value in another cell than an edge it is known on which side of the edge it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.columns import Floats
from driftmon.stats.matrix import Fields

if TYPE_CHECKING:
    from driftmon.stats.schema import Feature

Codes: TypeAlias = NDArray[np.int64]
Texts: TypeAlias = tuple[int, Mapping[str | None, int], int]  # the first bin, codes of texts, and the code of others

MOST: Final = 4  # edges in one cell: where there are more, cells of equal width are the wrong ones
MARGIN: Final = 0.25  # of the width between the outermost edges, on either side
NO_EDGES: Final = np.zeros(0)


class Planned(NamedTuple):
    """`edges` of one of numbers, else `bins` of all its cells but the last."""

    feature: int
    place: int
    start: int
    missing: int
    edges: Floats = NO_EDGES
    bins: Sequence[int] = ()


class Cells(NamedTuple):
    """Of the columns of numbers; not `able` where too many edges are in one."""

    factor: Floats
    summand: Floats
    bins: Codes  # [columns, size]
    most: Codes
    able: NDArray[np.bool_]

    @classmethod
    def of(cls, columns: Sequence[Planned], size: int) -> Cells:
        """`size` cells for each: three and more."""
        many = np.array([len(one.edges) for one in columns], dtype=np.int64)
        edges = np.concatenate([NO_EDGES, *(one.edges for one in columns)])
        which = np.repeat(np.arange(len(many)), many)
        first = np.cumsum(many) - many
        with np.errstate(all="ignore"):
            lowest, width = edges[first], edges[first + many - 1] - edges[first]
            margin = MARGIN * np.where(width > 0, width, np.maximum(1.0, np.abs(lowest)))
            factor = (size - 3) / (width + 2 * margin)
            summand = 1 - (lowest - margin) * factor
            able = (factor > 0) & np.isfinite(factor) & np.isfinite(summand)
            factor, summand = np.where(able, factor, 1.0), np.where(able, summand, 0.0)
            at = np.clip(edges * factor[which] + summand[which], 0, size - 2).astype(np.int64)
        times = np.bincount(at + which * size, minlength=len(columns) * size).reshape(-1, size)
        starts, missing = (np.array([one[at] for one in columns], dtype=np.int64) for at in (2, 3))
        bins = np.cumsum(times, axis=1) - times + starts[:, None]
        bins[:, -1] = missing
        most = times.max(axis=1, initial=0)
        return cls(factor, summand, bins, most, able & (most <= MOST))


def planned(
    features: Sequence[Feature], starts: Codes, fields: Fields
) -> tuple[list[Planned], list[Planned], dict[int, Texts], list[str]]:
    """Columns of numbers, those whose cells can be listed, texts by place, and names of what wants something else."""
    index_of = {feature.name: index for index, feature in enumerate(features)}
    numbers, listed, words, rest = [], [], {}, []
    for name, place in fields.place.items():
        if (index := index_of.get(name)) is None:
            continue
        binning, start, texts = features[index].binning, int(starts[index]), fields.words.get(place)
        missing = start + binning.size - 1
        if texts is not None and binning.places is not None:
            words[place] = start, binning.places, binning.regular
            codes = [binning.regular, *(binning.places.get(text, binning.regular) for text in texts)]
            listed.append(Planned(index, place, start, missing, bins=[start + code for code in codes]))
        elif binning.kind == "boolean" and place in fields.flags:
            listed.append(Planned(index, place, start, missing, bins=(start, start + 1)))
        elif binning.kind == "numeric" and texts is None and binning.cuts is not None:
            edges = binning.cuts[0]
            if len(edges):
                numbers.append(Planned(index, place, start, missing, edges))
            else:
                listed.append(Planned(index, place, start, missing, bins=(start,)))
        else:
            rest.append(name)
    return numbers, listed, words, rest
