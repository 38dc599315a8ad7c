"""ISO times: many texts of one form at once, as a table of digits.

Law: what is read here, `datetime.fromisoformat` reads the same; all else is left to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.batch import Times

SEPARATORS: Final = {4: b"-", 7: b"-", 10: b"T ", 13: b":", 16: b":"}
DIGITS: Final = [at for at in range(19) if at not in SEPARATORS]  # YYYY-MM-DDThh:mm:ss
ZONES: Final = (b"+00:00", b"Z", b"")
MOST: Final = np.array([[12], [31], [23], [59], [59]])  # of month, day, hour, minute, second
LEAST: Final = np.array([[1], [1], [0], [0], [0]])
ZERO: Final = np.uint8(ord("0"))


def milliseconds(texts: Sequence[object]) -> Times | None:
    """int64[rows] since 1970 in UTC; None where they are not all of one form, or one of them is no time.

    >>> milliseconds(["1970-01-01T00:00:01.5Z", "1969-12-31T23:59:59.9Z"]), milliseconds(["1970-01-01", "1970-02-30"])
    (array([1500, -100]), None)
    """
    table = _table(texts)
    if table is None or len(table) < len(DIGITS) + len(SEPARATORS):
        return None
    form = bytes(table[:, 0])
    zone = next(zone for zone in ZONES if form.endswith(zone))
    last = len(form) - len(zone)
    written = [*SEPARATORS, *range(last, len(form)), *range(19, min(last, 20))]
    if (
        last == 20
        or form[19:last][:1] not in b"."
        or any(form[at] not in allowed for at, allowed in SEPARATORS.items())
    ):
        return None
    digits = table[DIGITS + list(range(20, last))] - ZERO
    if (digits > 9).any() or (table[written] != table[written, :1]).any():
        return None
    numbers = digits.astype(np.int64)
    pairs = numbers[0:14:2] * 10 + numbers[1:14:2]
    seconds = _seconds(pairs[0] * 100 + pairs[1], pairs[2:])
    if seconds is None:
        return None
    found: Times = seconds * 1000
    for digit, scale in zip(numbers[14:17], (100, 10, 1), strict=False):
        found += digit * scale
    return found


def _table(texts: Sequence[object]) -> NDArray[np.uint8] | None:
    """uint8[length, rows]: the characters of texts that are all of one length, and ASCII."""
    try:
        lengths = set(map(len, texts))  # type: ignore[arg-type]
        data = "".join(texts).encode("ascii")  # type: ignore[arg-type]
    except (TypeError, UnicodeEncodeError):
        return None
    if len(lengths) != 1 or not data:
        return None
    return np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(len(texts), -1).T)


def _seconds(years: Times, parts: Times) -> Times | None:
    """Of month, day, hour, minute and second of each row; None where there is no such time."""
    if (years < 1).any() or (parts < LEAST).any() or (parts > MOST).any():
        return None
    months = (years - 1970) * 12 + parts[0] - 1
    first, following = (_day(months), _day(months + 1))
    if (parts[1] > following - first).any():
        return None
    found: Times = ((first + parts[1] - 1) * 24 + parts[2]) * 3600 + parts[3] * 60 + parts[4]
    return found


def _day(months: Times) -> Times:
    """On which each of them begins; both since 1970."""
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
