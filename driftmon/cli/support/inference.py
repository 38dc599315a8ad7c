"""What a column is: numeric, categorical, boolean, the time, or best left out; and why, in words.

Law: RULES are asked in order and the first that answers decides, so each rule may rely on those before
it. A guess is only a line of the configuration: it stands there with its reason, to be changed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final, Literal, TypeAlias

What: TypeAlias = Literal["numeric", "categorical", "boolean", "log_loss", "time", "left out"]

MOSTLY: Final = 0.95
TOP: Final = 64  # a categorical feature has so many bins of its own
TIME_WORDS: Final = frozenset({"time", "timestamp", "ts", "date", "datetime", "at", "epoch"})
ID_WORDS: Final = frozenset({"id", "uuid", "guid", "key", "index", "row", "hash", "token", "number", "unnamed"})
CODE_WORDS: Final = frozenset({"id", "code", "zip", "type", "class", "category", "status", "group", "version", "model"})
EPOCHS: Final = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
EPOCH_S: Final = (946_684_800.0, 4_102_444_800.0)  # 2000 to 2100


@dataclass(frozen=True, slots=True)
class Finding:
    """One column's line in the configuration; `unit` is that of a time."""

    field: str
    what: What
    why: str
    unit: str = ""


@dataclass(frozen=True)
class Seen:
    """A column's values in a sample, in order; None where the record had none."""

    field: str
    values: Sequence[object]

    @cached_property
    def present(self) -> list[object]:
        return [value for value in self.values if not _empty(value)]

    @cached_property
    def numbers(self) -> list[float]:
        numbers = (value for value in self.present if isinstance(value, (int, float)) and not isinstance(value, bool))
        return [_float(number) for number in numbers]

    @cached_property
    def texts(self) -> list[str]:
        return [value for value in self.present if isinstance(value, str)]

    @cached_property
    def times_of(self) -> Counter[object]:
        return Counter(value for value in self.present if isinstance(value, (int, float, str)))

    @cached_property
    def words(self) -> set[str]:
        """The words of the name: `storeId` and `store_id` have `store` and `id`."""
        return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", self.field)}

    @cached_property
    def whole(self) -> bool:
        """Whether all are whole numbers."""
        return len(self.numbers) == len(self.present) and all(number.is_integer() for number in self.numbers)

    @property
    def distinct_share(self) -> float:
        return len(self.times_of) / len(self.present)

    def share(self, some: Sequence[object]) -> float:
        return len(some) / len(self.present)


def findings(records: Iterable[Mapping[str, object]]) -> list[Finding]:
    """One finding a column, in the order in which the columns appear.

    >>> [found.what for found in findings([{"amount": n / 7, "kind": "ab"[n % 2]} for n in range(99)])]
    ['numeric', 'categorical']
    """
    rows = list(records)
    fields = dict.fromkeys(field for row in rows for field in row)
    return [finding(Seen(field, [row.get(field) for row in rows])) for field in fields]


def finding(seen: Seen) -> Finding:
    """What the first rule that answers says, and how much is missing."""
    for rule in RULES:
        found = rule(seen)
        if found is not None:
            missing = 1 - len(seen.present) / max(1, len(seen.values))
            extra = f"; {percent(missing)} missing" if missing and found.what != "left out" else ""
            return Finding(found.field, found.what, found.why + extra, found.unit)
    raise AssertionError("the last rule answers always")


def flat(record: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    r"""Nested objects as paths; a dot of a key on such a path is marked, because no `field` leads there.

    >>> flat({"a.b": 1, "meta": {"coupon": "X"}})
    {'a.b': 1, 'meta.coupon': 'X'}
    >>> print(*flat({"meta": {"v1.2": 1}}))
    meta.v1\.2
    """
    found: dict[str, object] = {}
    for key, value in record.items():
        marked = key.replace(".", "\\.")
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{marked}.")
        else:
            found[prefix + marked if prefix else key] = value
    return found


def cell(text: str) -> object:
    """A CSV cell as the JSON value it stands for; digits after a leading zero are a code and stay text.

    >>> cell("1.5"), cell("12"), cell("TRUE"), cell(""), cell("007"), cell("0.5")
    (1.5, 12, True, None, '007', 0.5)
    """
    if text == "":
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if "_" in text or re.fullmatch(r"0\d+", text):
        return text
    if re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


def percent(share: float) -> str:
    """
    >>> percent(0.0034), percent(0.5), percent(1.0)
    ('0.34 %', '50 %', '100 %')
    """
    return f"{100 * share:.2g} %" if share < 0.0995 else f"{100 * share:.0f} %"


def _float(number: float) -> float:
    """Integers beyond float64 are infinite, as they are for the formats."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


# The rules -------------------------------------------------------------------------------------------------


def _nothing(seen: Seen) -> Finding | None:
    return None if seen.present else Finding(seen.field, "left out", "always empty in the sample")


def _nested(seen: Seen) -> Finding | None:
    lists = [value for value in seen.present if isinstance(value, list)]
    return Finding(seen.field, "left out", "lists have no bins") if seen.share(lists) > 0.5 else None


def _written_time(seen: Seen) -> Finding | None:
    times = [text for text in seen.texts if _is_iso(text)]
    if seen.share(times) < MOSTLY:
        return None
    return Finding(seen.field, "time", f"dates and times such as {times[0]}", "iso8601")


def _epoch(seen: Seen) -> Finding | None:
    if not seen.words & TIME_WORDS or seen.share(seen.numbers) < MOSTLY:
        return None
    low, high = min(seen.numbers), max(seen.numbers)
    for unit, per_second in EPOCHS.items():
        if EPOCH_S[0] <= low / per_second and high / per_second <= EPOCH_S[1]:
            return Finding(seen.field, "time", f"named like a time, and {unit} since 1970 in range", unit)
    return None


def _identifier(seen: Seen) -> Finding | None:
    if len(seen.present) < 20 or seen.distinct_share < MOSTLY or not (seen.whole or seen.share(seen.texts) > 0.5):
        return None
    rises = seen.whole and all(a < b for a, b in zip(seen.numbers, seen.numbers[1:], strict=False))
    if not (rises or seen.texts or seen.words & ID_WORDS):
        return None
    reason = "whole numbers that only rise" if rises else "(nearly) every value is different"
    return Finding(seen.field, "left out", f"an id: {reason}")


def _boolean(seen: Seen) -> Finding | None:
    if all(isinstance(value, bool) for value in seen.present):
        return Finding(seen.field, "boolean", "true and false")
    if set(seen.numbers) == {0.0, 1.0} and seen.whole:
        return Finding(seen.field, "boolean", "only 0 and 1")
    return None


def _code(seen: Seen) -> Finding | None:
    if seen.whole and seen.words & CODE_WORDS and len(seen.times_of) <= TOP:
        return Finding(seen.field, "categorical", f"{_values(seen)}, whole numbers named like a code")
    return None


def _number(seen: Seen) -> Finding | None:
    if seen.share(seen.numbers) <= 0.5:
        return None
    others = [value for value in seen.present if isinstance(value, (str, bool, list))]
    extra = f"; {percent(seen.share(others))} are not numbers, such as {_shown(others[0])}: invalid" if others else ""
    finite = [number for number in seen.numbers if math.isfinite(number)] or [0.0]
    return Finding(seen.field, "numeric", f"numbers from {min(finite):g} to {max(finite):g}{extra}")


def _free_text(seen: Seen) -> Finding | None:
    covered = sum(times for _, times in seen.times_of.most_common(TOP)) / len(seen.present)
    if len(seen.times_of) <= TOP or (seen.distinct_share <= 0.5 and covered >= 0.1):
        return None
    return Finding(seen.field, "left out", f"an id or free text: {_values(seen)} in {len(seen.present)} records")


def _category(seen: Seen) -> Finding | None:
    many = f"; the {TOP} most frequent get a bin each" if len(seen.times_of) > TOP else ""
    return Finding(seen.field, "categorical", _values(seen) + many)


def _values(seen: Seen) -> str:
    return f"{len(seen.times_of)} different values" if len(seen.times_of) > 1 else "one value only so far"


def _shown(value: object) -> str:
    return repr(value) if len(repr(value)) <= 24 else repr(value)[:20] + "...'"


def _is_iso(text: str) -> bool:
    if len(text) < 8 or text[4:5] != "-":
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


RULES: Final[tuple[Callable[[Seen], Finding | None], ...]] = (
    _nothing,
    _nested,
    _written_time,
    _epoch,
    _identifier,
    _boolean,
    _code,
    _number,
    _free_text,
    _category,
)
