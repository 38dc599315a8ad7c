"""Event times: ISO 8601 text or a number since 1970 in UTC -> int64 milliseconds, rounded down.

Law: the column equals the scalar, value by value; the scalar is the definition.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

import numpy as np

from driftmon.formats import iso_times
from driftmon.formats.layout import Unit
from driftmon.formats.records import shown
from driftmon.formats.rejections import BAD_TIME, RecordError, Rejections
from driftmon.monitor.batch import Times

_Row = TypeVar("_Row")

FIRST_MS: Final = -62_135_596_800_000  # 0001-01-01, the years a datetime can say:
LAST_MS: Final = 253_402_300_799_999  # 9999-12-31; what lies outside was given in another unit
ENDLESS: Final = 1e22  # beyond the years in every unit
UNITS_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

_EPOCH: Final = datetime(1970, 1, 1)
_EPOCH_UTC: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS: Final = 86_400_000


def milliseconds(value: object, unit: Unit) -> int:
    """One JSON value as milliseconds since 1970 in UTC; RecordError says why it is none.

    A float is first rounded to whole microseconds, so that 1.001 s is 1001 ms and not 1000.

    >>> milliseconds("1970-01-01T01:00:00.0019+01:00", "iso8601"), milliseconds("1969-12-31 23:59:59.9999", "iso8601")
    (1, -1)
    >>> milliseconds(1.001, "s"), milliseconds(1_999_999, "ns"), milliseconds(-1, "us")
    (1001, 1, -1)
    """
    if value is None:
        raise RecordError(BAD_TIME, "the record has no time: send one, or leave `time:` out of the configuration")
    if unit == "iso8601":
        if not isinstance(value, str):
            raise RecordError(BAD_TIME, f"the time is {shown(value)}, not ISO 8601 text: is `unit` s, ms, us or ns?")
        try:
            return _iso(value)
        except ValueError:
            raise RecordError(
                BAD_TIME, f"the time {shown(value)} is not ISO 8601, as 2013-01-31T05:00:00Z is"
            ) from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RecordError(BAD_TIME, f"the time is {shown(value)}, not a number of {unit}: is `unit` iso8601?")
    per_second = UNITS_PER_SECOND[unit]
    if isinstance(value, int):
        found = value * 1_000 // per_second
    else:
        found = round(value * (1_000_000 / per_second)) // 1_000 if abs(value) < ENDLESS else LAST_MS + 1
    if not FIRST_MS <= found <= LAST_MS:
        raise RecordError(BAD_TIME, f"the time {shown(value)} {unit} is not in the years 1 to 9999: is the unit right?")
    return found


def keep(
    rows: list[_Row], lines: Sequence[int], values: Sequence[object], unit: Unit, rejections: Rejections
) -> tuple[list[_Row], Times]:
    """The rows that have a readable time and int64[rows] of their times; the other ones are rejected."""
    times_ms, unreadable = column(values, unit)
    if not unreadable:
        return rows, times_ms
    for row, why in unreadable.items():
        rejections.add(lines[row], why)
    kept = [row for row in range(len(rows)) if row not in unreadable]
    return [rows[row] for row in kept], times_ms[kept]


def column(values: Sequence[object], unit: Unit) -> tuple[Times, dict[int, RecordError]]:
    """int64[rows] of milliseconds, and why the rows are unreadable that are (their time is 0)."""
    found = _texts(values) if unit == "iso8601" else _numbers(values, UNITS_PER_SECOND[unit])
    return (found, {}) if found is not None else _one_by_one(values, unit)


def _iso(text: str) -> int:
    moment = datetime.fromisoformat(text)
    since = moment - (_EPOCH if moment.tzinfo is None else _EPOCH_UTC)
    return since.days * _DAY_MS + since.seconds * 1_000 + since.microseconds // 1_000


def _texts(values: Sequence[object]) -> Times | None:
    if (found := iso_times.milliseconds(values)) is not None:
        return found
    try:
        return np.fromiter(map(_iso, values), np.int64, len(values))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _numbers(values: Sequence[object], per_second: int) -> Times | None:
    """All integers or all floats, and within the years; else None."""
    types = set(map(type, values))
    if types == {int}:
        low, high = min(values), max(values)  # type: ignore[type-var]
        if FIRST_MS * per_second <= low * 1_000 and high * 1_000 <= LAST_MS * per_second:  # type: ignore[operator]
            return np.fromiter((value * 1_000 // per_second for value in values), np.int64, len(values))  # type: ignore[operator]
    elif types == {float}:
        numbers = np.array(values, np.float64)
        if np.all(np.abs(numbers) < 6e10 * per_second):  # 1,900 years either way; false for NaN, too
            return np.rint(numbers * (1_000_000 / per_second)).astype(np.int64) // 1_000
    return None


def _one_by_one(values: Sequence[object], unit: Unit) -> tuple[Times, dict[int, RecordError]]:
    found, unreadable = np.zeros(len(values), np.int64), {}
    for row, value in enumerate(values):
        try:
            found[row] = milliseconds(value, unit)
        except RecordError as why:
            unreadable[row] = why
    return found, unreadable
