"""Rejections: the records a format could not use, each with its reason and line.

Law: a record is a row or a rejection, never both, never neither.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from driftmon.monitor.batch import MAX_ERRORS, LineError

MALFORMED: Final = "malformed"  # not JSON, or not as many cells as the header
NOT_OBJECT: Final = "not_object"  # JSON, but no object
TOO_LONG: Final = "too_long"
TOO_DEEP: Final = "too_deep"
TOO_MANY_FIELDS: Final = "too_many_fields"
ENCODING: Final = "encoding"  # not UTF-8
BAD_TIME: Final = "bad_time"  # the event time is missing or unreadable
REASONS: Final = (MALFORMED, NOT_OBJECT, TOO_LONG, TOO_DEEP, TOO_MANY_FIELDS, ENCODING, BAD_TIME)


class RecordError(Exception):
    """One record cannot be used: `reason` for the counters, `message` for a person."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Rejections:
    """Counts by reason, and the first ten errors in the order of their lines."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._errors: list[LineError] = []

    def add(self, line: int, why: RecordError) -> None:
        """Lines of one reason come in rising order, so its first ten are all that can be among the first ten."""
        self.counts[why.reason] += 1
        if self.counts[why.reason] <= MAX_ERRORS:
            self._errors.append(LineError(line, why.reason, why.message))

    @property
    def errors(self) -> tuple[LineError, ...]:
        return tuple(sorted(self._errors, key=lambda error: error.line)[:MAX_ERRORS])
