"""Cells: what the text in a CSV cell means, by the kind of its feature.

Law: a cell becomes the JSON value it stands for, and from there the rules of JSON hold. An empty cell is null;
text that is no number stays text, which a numeric feature then counts as invalid.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from driftmon.formats.layout import Unit
from driftmon.monitor.scoring import ANY
from driftmon.stats.columns import Column, column_of

BOOLEANS: Final = {"true": True, "t": True, "yes": True, "1": True, "false": False, "f": False, "no": False, "0": False}


def column(kind: str, cells: Sequence[str]) -> Column:
    """One feature's cells as a column.

    >>> column("numeric", ["1.5", "", "-inf", "1_000"]).invalid
    {'text': [3]}
    >>> column("boolean", ["Yes", "F", "1", "2", "maybe", ""]).invalid
    {'number': [3], 'text': [4]}
    """
    if kind == "categorical":
        return Column([cell or None for cell in cells])
    if kind == ANY:
        return column_of(ANY, list(map(listed, cells)))
    if kind == "boolean":
        meaning = {cell: boolean(cell) for cell in set(cells)}  # few words, many rows
        return column_of("boolean", [meaning[cell] for cell in cells])
    try:
        values = np.array([float(cell) if cell else math.nan for cell in cells], np.float64)
    except ValueError:
        return column_of("numeric", list(map(number, cells)))
    return Column(values) if "_" not in "".join(cells) else column_of("numeric", list(map(number, cells)))


def listed(cell: str) -> object:
    """A list or a map, written as JSON.

    >>> listed("[0.5, 0.5]"), listed(" "), listed("[0.5")
    ([0.5, 0.5], None, '[0.5')
    """
    if not cell.strip():
        return None
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def number(cell: str) -> float | str | None:
    """
    >>> number("1e3"), number(" "), number("12 km"), number("1_000")
    (1000.0, None, '12 km', '1_000')
    """
    if not cell.strip():
        return None
    try:
        return float(cell) if "_" not in cell else cell  # Python's own spelling of 1000 is text to everyone else
    except ValueError:
        return cell


def boolean(cell: str) -> bool | float | str | None:
    """
    >>> boolean("TRUE"), boolean("no"), boolean("1.0"), boolean("?")
    (True, False, 1.0, '?')
    """
    word = cell.strip().lower()
    return BOOLEANS[word] if word in BOOLEANS else number(cell)


def time(unit: Unit, cell: str) -> int | float | str | None:
    """An event time: text for iso8601, else a number, whole if it is written so (nanoseconds need all their digits).

    >>> time("ns", "1360000000123456789"), time("s", "1.5"), time("iso8601", "2013-01-31"), time("s", "")
    (1360000000123456789, 1.5, '2013-01-31', None)
    """
    if unit == "iso8601":
        return cell.strip() or None
    try:
        return int(cell) if "_" not in cell else cell
    except ValueError:
        return number(cell)
