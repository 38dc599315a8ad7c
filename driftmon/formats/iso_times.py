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
MOST: Final = np.array([12, 31, 23, 59, 59])  # of month, day, hour, minute, second
LEAST: Final = np.array([1, 1, 0, 0, 0])
DAY_S: Final = 86_400


def milliseconds(texts: Sequence[object]) -> Times | None:
    """int64[rows] since 1970 in UTC; None where they are not all of one form, or one of them is no time.

    >>> milliseconds(["1970-01-01T00:00:01.5Z", "1969-12-31T23:59:59.9Z"]), milliseconds(["1970-01-01", "1970-02-30"])
    (array([1500, -100]), None)
    """
    table = _table(texts)
    if table is None or table.shape[1] < len(DIGITS) + len(SEPARATORS):
        return None
    end = bytes(table[0])
    zone = next(zone for zone in ZONES if end.endswith(zone))
    last = table.shape[1] - len(zone)
    fraction = list(range(20, last))
    written = {
        **SEPARATORS,
        **({19: b"."} if last > 19 else {}),
        **{last + at: zone[at : at + 1] for at in range(len(zone))},
    }
    if last == 20 or any(not np.isin(table[:, at], list(allowed)).all() for at, allowed in written.items()):
        return None
    digits = table[:, DIGITS + fraction].astype(np.int64) - ord("0")
    if (digits < 0).any() or (digits > 9).any():
        return None
    pairs = digits[:, 0:14:2] * 10 + digits[:, 1:14:2]
    seconds = _seconds(pairs[:, 0] * 100 + pairs[:, 1], pairs[:, 2:])
    scale = np.array([100, 10, 1])[: len(fraction)]
    return None if seconds is None else seconds * 1000 + digits[:, 14 : 14 + len(scale)] @ scale


def _table(texts: Sequence[object]) -> NDArray[np.uint8] | None:
    """uint8[rows, length]: the characters of texts that are all of one length, and ASCII."""
    try:
        lengths = set(map(len, texts))  # type: ignore[arg-type]
        data = "".join(texts).encode("ascii")  # type: ignore[arg-type]
    except (TypeError, UnicodeEncodeError):
        return None
    return np.frombuffer(data, np.uint8).reshape(len(texts), -1) if len(lengths) == 1 and data else None


def _seconds(years: Times, parts: Times) -> Times | None:
    """Of month, day, hour, minute and second of each row; None where there is no such time."""
    if (years < 1).any() or (parts < LEAST).any() or (parts > MOST).any():
        return None
    months = (years - 1970) * 12 + parts[:, 0] - 1
    first, following = (
        at.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for at in (months, months + 1)
    )
    if (parts[:, 1] > following - first).any():
        return None
    return np.asarray((first + parts[:, 1] - 1) * DAY_S + parts[:, 2:] @ np.array([3600, 60, 1]))
