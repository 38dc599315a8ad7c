"""Model: what must have been counted, as a dict of records, and what must have been told. No numpy, no daemon code.

Law: the last time a record was observed is the time it was counted: an earlier observation of the same record must
have died with its process, or the totals disagree.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

FUTURE_MS: Final = 60_000
Place: TypeAlias = tuple[str, str, int]  # stream, key or origin, line


@dataclass(frozen=True)
class Shape:
    """How a stream bins: per feature its edges or its vocabulary; and its time field."""

    edges: Mapping[str, Sequence[float]]
    words: Mapping[str, Sequence[str]]
    time: str | None = None
    lateness_ms: int = 0
    pane_ms: int = 5000


@dataclass(frozen=True)
class Row:
    """A record that was counted, or not; `mark_ms` is how far it moves the watermark."""

    pane: int
    bins: tuple[tuple[str, str], ...] = ()
    verdict: str = "counted"
    mark_ms: int | None = None


class Model:
    """Everything by place; `observe` as the records come, `forget` after a crash."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self.shapes = shapes
        self.rows: dict[Place, Row] = {}
        self.faults: list[str] = []
        self._begin()

    def _begin(self) -> None:
        self._panes: dict[str, dict[int, Counter[tuple[str, str]]]] = {name: {} for name in self.shapes}
        self._marks: dict[str, int] = {}

    def observe(self, stream: str, origin: str, first_line: int, data: bytes, at_ms: int) -> None:
        for number, line in enumerate(data.splitlines(), first_line):
            place = (stream, origin, number)
            if place in self.rows:
                self.faults.append(f"{place} was taken to be counted twice")
            self._add(place, _row(self.shapes[stream], line, at_ms, self._marks.get(stream)))

    def forget(self, died: Callable[[Place], bool]) -> None:
        """These were observed by a process that was killed before it had committed them."""
        old = self.rows
        self.rows = {}
        self._begin()
        for place, row in old.items():
            if not died(place):
                self._add(place, row)

    def by_pane(self, stream: str) -> Mapping[int, Counter[tuple[str, str]]]:
        """Observations by (feature, bin), of each pane."""
        return self._panes[stream]

    def totals(self, stream: str) -> Counter[tuple[str, str]]:
        total: Counter[tuple[str, str]] = Counter()
        for counts in self._panes[stream].values():
            total.update(counts)
        return total

    def verdicts(self, stream: str, origin: str) -> Counter[str]:
        """What became of the records of a request."""
        return Counter(row.verdict for place, row in self.rows.items() if place[:2] == (stream, origin))

    def share_missing(self, stream: str, feature: str, pane: int, panes: int = 60) -> tuple[float, int]:
        """Over the newest panes: the share, and of how many."""
        total: Counter[tuple[str, str]] = Counter()
        for number in range(pane - panes + 1, pane + 1):
            total.update(self._panes[stream].get(number, {}))
        seen = sum(count for (name, _), count in total.items() if name == feature)
        return (total[feature, "missing"] / seen if seen else 0.0), seen

    def _add(self, place: Place, row: Row) -> None:
        self.rows[place] = row
        if row.verdict == "counted":
            self._panes[place[0]].setdefault(row.pane, Counter()).update(row.bins)
        if row.mark_ms is not None:
            self._marks[place[0]] = max(row.mark_ms, self._marks.get(place[0], row.mark_ms))


def _row(shape: Shape, line: bytes, at_ms: int, mark_ms: int | None) -> Row:
    try:
        record = json.loads(line)
    except ValueError:
        return Row(0, verdict="malformed")
    bins = tuple((name, _bin(shape, name, record.get(name))) for name in (*shape.edges, *shape.words))
    if shape.time is None:
        return Row(at_ms // shape.pane_ms, bins)
    time_ms = record[shape.time]
    if time_ms > at_ms + FUTURE_MS:
        return Row(0, verdict="future")
    pane, own_ms = time_ms // shape.pane_ms, time_ms - shape.lateness_ms
    late = mark_ms is not None and (pane + 1) * shape.pane_ms <= mark_ms
    return Row(pane, bins, "late" if late else "counted", own_ms)


def _bin(shape: Shape, name: str, value: Any) -> str:
    """The number of a regular bin, or the name of a special one."""
    if value is None:
        return "missing"
    if name in shape.words:
        if not isinstance(value, str):
            return "invalid" if not isinstance(value, bool) else str(int(value))
        return str(shape.words[name].index(value)) if value in shape.words[name] else "unseen"
    if isinstance(value, bool | str):
        return "invalid"
    return str(bisect_right(shape.edges[name], value))
