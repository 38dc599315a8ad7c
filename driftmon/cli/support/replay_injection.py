"""Injection: a shift put into recorded data on purpose, to see what would be caught and how fast.

Law: which rows change, and how, depends on the row's time and its number in the input alone, so the same
input with the same injections gives the same bytes, whatever blocks it is read in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftmon.cli.support.faults import Fault
from driftmon.cli.support.replay_survey import Facts
from driftmon.formats.rejections import RecordError
from driftmon.formats.times import milliseconds
from driftmon.monitor.batch import Batch
from driftmon.stats.columns import TEXT, Column
from driftmon.stats.edges import FeatureSpec

Rows: TypeAlias = NDArray[np.bool_]

GRAMMAR: Final = """\
FEATURE:CHANGE@FROM[..TO], FROM and TO as ISO 8601 dates or times in UTC. CHANGE is one of

\b
  +0.5sd  -2      shift a numeric feature, by standard deviations of the input or by its own unit
  *1.3            spread a numeric feature about its mean
  missing 3%      lose so many of the values
  invalid 3%      make so many of them unreadable
  UA>AA           one category, or true or false, becomes another
  UA>AA 30%       the same for so many of its records
"""

NUMBER: Final = r"\d+(?:\.\d*)?|\.\d+"
SHIFT: Final = re.compile(rf"(?P<by>[+-](?:{NUMBER}))\s*(?P<sd>sd)?")
SPREAD: Final = re.compile(rf"[*x](?P<times>{NUMBER})")
LOSS: Final = re.compile(rf"(?P<what>missing|invalid)\s*(?P<percent>{NUMBER})\s*%")
SWAP: Final = re.compile(rf"(?P<old>.+?)>(?P<new>.+?)(?:\s+(?P<percent>{NUMBER})\s*%)?")
GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


class Change(Protocol):
    """What happens to the values of the rows chosen; `share` is how many of them are."""

    @property
    def kinds(self) -> Sequence[str]: ...
    @property
    def share(self) -> float: ...
    def applied(self, column: Column, rows: Rows, facts: Facts) -> Column: ...


@dataclass(frozen=True, slots=True)
class Moved:
    """x becomes mean + times (x - mean) + by + by_sd sd."""

    times: float = 1.0
    by: float = 0.0
    by_sd: float = 0.0
    share: float = 1.0
    kinds: Sequence[str] = ("numeric",)

    def applied(self, column: Column, rows: Rows, facts: Facts) -> Column:
        values = np.asarray(column.values, dtype=np.float64)
        offset = facts.mean * (1.0 - self.times) + self.by + self.by_sd * facts.sd
        return replace(column, values=np.where(rows, values * self.times + offset, values))


@dataclass(frozen=True, slots=True)
class Lost:
    """Values become missing, or, with a reason, unreadable."""

    share: float
    reason: str | None = None
    kinds: Sequence[str] = ("numeric", "categorical", "boolean")

    def applied(self, column: Column, rows: Rows, facts: Facts) -> Column:
        rows = rows.copy()
        rows[np.asarray(column.absent, dtype=np.int64)] = False
        kept = {reason: [row for row in at if not rows[row]] for reason, at in column.invalid.items()}
        if self.reason is not None:
            kept[self.reason] = sorted([*kept.get(self.reason, ()), *np.flatnonzero(rows).tolist()])
        if isinstance(column.values, np.ndarray):
            return Column(np.where(rows, np.nan, column.values), kept, column.absent)
        texts = [None if lost else text for text, lost in zip(column.values, rows.tolist(), strict=True)]
        return Column(texts, kept, column.absent)


@dataclass(frozen=True, slots=True)
class Swapped:
    """One category becomes another."""

    old: str
    new: str
    share: float = 1.0
    kinds: Sequence[str] = ("categorical", "boolean")

    def applied(self, column: Column, rows: Rows, facts: Facts) -> Column:
        if isinstance(column.values, np.ndarray):
            old, new = (float(text == "true") for text in (self.old, self.new))
            return replace(column, values=np.where(rows & (column.values == old), new, column.values))
        pairs = zip(column.values, rows.tolist(), strict=True)
        return replace(column, values=[self.new if chosen and text == self.old else text for text, chosen in pairs])


@dataclass(frozen=True, slots=True)
class Injection:
    """A change to one feature from `from_ms` until before `to_ms`; `text` is how it was asked for."""

    feature: str
    change: Change
    from_ms: int
    to_ms: int | None = None
    text: str = ""


def injected(batch: Batch, first_row: int, injections: Sequence[Injection], facts: Mapping[str, Facts]) -> Batch:
    """The batch as it would be had the shifts happened; `first_row` is its first row's number in the input."""
    columns = dict(batch.columns)
    for injection in injections:
        column = columns.get(injection.feature)
        if column is None or batch.times_ms is None:
            continue
        rows = batch.times_ms >= injection.from_ms
        if injection.to_ms is not None:
            rows &= batch.times_ms < injection.to_ms
        if injection.change.share < 1.0:
            rows &= chosen(first_row, batch.rows, injection.change.share)
        if rows.any():
            columns[injection.feature] = injection.change.applied(column, rows, facts[injection.feature])
    return replace(batch, columns=columns)


def chosen(first_row: int, rows: int, share: float) -> Rows:
    """bool[rows]: as if by chance, but by the row's number alone (the mixing of splitmix64).

    >>> float(chosen(0, 100_000, 0.03).mean().round(2)), bool((chosen(7, 9, 0.5) == chosen(0, 16, 0.5)[7:]).all())
    (0.03, True)
    """
    mixed = (np.arange(first_row, first_row + rows, dtype=np.uint64) + np.uint64(1)) * GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53 < share)


def parsed(text: str, specs: Sequence[FeatureSpec]) -> Injection:
    """One --inject; Fault with its place, what is wrong and what would do.

    >>> parsed("x:+0.5sd@2013-08-01..2013-09-01", [FeatureSpec("x", "numeric")]).change.by_sd
    0.5
    >>> parsed("c:UA>AA@2013-08-01", [FeatureSpec("c", "numeric")])
    Traceback (most recent call last):
    driftmon.cli.support.faults.Fault: --inject "c:UA>AA@2013-08-01": UA>AA does not go with c, which is numeric; \
say +0.5sd, -2, *1.3 or missing 3%
    """
    head, at, when = text.rpartition("@")
    if not at:
        raise _fault(text, "it does not say since when", "end it with @2013-08-01, or @2013-08-01..2013-09-01")
    fitting = [spec for spec in specs if head.startswith(f"{spec.name}:")]
    if not fitting:
        known = ", ".join(spec.name for spec in specs[:20])
        raise _fault(text, f"no feature {head.partition(':')[0]!r}", f"begin it with one of these and a colon: {known}")
    spec = max(fitting, key=lambda spec: len(spec.name))
    wanted = head[len(spec.name) + 1 :].strip()
    change = _change(text, wanted, spec.kind)
    since, dots, until = when.partition("..")
    from_ms, to_ms = _moment(text, since), _moment(text, until) if dots else None
    if to_ms is not None and to_ms <= from_ms:
        raise _fault(text, f"{until} is not after {since}", "swap the two")
    return Injection(spec.name, change, from_ms, to_ms, text)


def _change(text: str, wanted: str, kind: str) -> Change:
    change = _read(text, wanted)
    if change is None:
        forms = "+0.5sd, -2, *1.3, missing 3%, invalid 3%, UA>AA, UA>AA 30%"
        raise _fault(text, f"{wanted!r} is no change", f"there are, for example, {forms}")
    if kind not in change.kinds:
        cure = "+0.5sd, -2, *1.3 or missing 3%" if kind == "numeric" else "UA>AA, true>false or missing 3%"
        cure = "put it into another feature" if kind == "log_loss" else f"say {cure}"  # a loss is no value of a record
        raise _fault(text, f"{wanted} does not go with {text.partition(':')[0]}, which is {kind}", cure)
    if kind == "boolean" and isinstance(change, Swapped) and {change.old, change.new} != {"true", "false"}:
        raise _fault(text, "a boolean is true or false", "say true>false or false>true")
    return change


def _read(text: str, wanted: str) -> Change | None:
    if found := SHIFT.fullmatch(wanted):
        by = float(found["by"])
        return Moved(by_sd=by) if found["sd"] else Moved(by=by)
    if found := SPREAD.fullmatch(wanted):
        return Moved(times=float(found["times"]))
    if found := LOSS.fullmatch(wanted):
        return Lost(_share(text, found["percent"]), TEXT if found["what"] == "invalid" else None)
    if found := SWAP.fullmatch(wanted):
        return Swapped(found["old"], found["new"], _share(text, found["percent"] or "100"))
    return None


def _share(text: str, percent: str) -> float:
    share = float(percent) / 100
    if not 0 < share <= 1:
        raise _fault(text, f"{percent}% is no share", "say a number above 0 and up to 100")
    return share


def _moment(text: str, when: str) -> int:
    try:
        return milliseconds(when.strip(), "iso8601")
    except RecordError as wrong:
        raise _fault(text, f"{when!r} is no date", "write it as 2013-08-01 or 2013-08-01T06:00Z") from wrong


def _fault(text: str, fault: str, cure: str) -> Fault:
    return Fault(f'--inject "{text}": {fault}; {cure}')


def checked(injections: Sequence[Injection], facts: Mapping[str, Facts], span_ms: tuple[int, int]) -> None:
    """Fault where an injection would change nothing: a time without records, a category that never occurs."""
    for injection in injections:
        ends_ms = injection.to_ms
        if injection.from_ms > span_ms[1] or (ends_ms is not None and ends_ms <= span_ms[0]):
            first, last = (str(np.datetime64(ms, "ms"))[:16] for ms in span_ms)
            raise _fault(injection.text, "there are no records then", f"the input goes from {first} to {last}, UTC")
        change, known = injection.change, facts[injection.feature].commonest()
        if isinstance(change, Swapped) and change.old not in known:
            often = ", ".join(known[:8])
            raise _fault(injection.text, f"{change.old!r} never occurs", f"the most frequent are {often or 'none'}")
        if isinstance(change, Moved) and (change.by_sd or change.times != 1.0) and not facts[injection.feature].sd:
            cure = "shift it by its own unit, +1, if it is a number at all"
            raise _fault(injection.text, "the feature has no spread in this input", cure)
