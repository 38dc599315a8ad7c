"""Scoring: the columns of a prediction and of its label become one column of losses, with what adds beside its counts.

Law: a row's loss depends on its own probabilities and label alone, whatever else is in its batch, so that a join, a
shard or a replay scores as the live run did. A row without label or probability is missing; one that has both and
cannot be scored is invalid, for the first reason found: of its probabilities, unreadable, then those of losses.REASONS;
then of its label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from driftmon.stats.binnings.log_loss import Outcome
from driftmon.stats.columns import NUMBER, Column, Floats, column_of, number
from driftmon.stats.losses import UNKNOWN_CLASS, WORD, binary, multiclass, units
from driftmon.stats.schema import Absent, Codes, Counts

LOG_LOSS: Final = "log_loss"
POSITIVE: Final = {"1": 1, "1.0": 1, "true": 1, "0": 0, "0.0": 0, "false": 0}
ANY: Final = "any"
Rows: TypeAlias = NDArray[np.bool_]


class Reading(Protocol):
    """A feature, whether its bins are chosen or not."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def absent(self) -> Absent: ...


class Part(Struct, frozen=True):
    """One value that a format reads for a log_loss feature, as if it were a feature of its own.

    `kind` is "any" for a list or a map of probabilities, of `keys` entries.
    """

    name: str
    kind: Literal["numeric", "categorical", "any"]
    field: str
    absent: Absent
    keys: int = 1


def parts(feature: Any) -> tuple[Part, ...]:
    """What is read for a log_loss feature: its probabilities, then its label.

    >>> from types import SimpleNamespace as Spec
    >>> feature = Spec(name="churn", absent="missing", outcome=Outcome("y", "p"))
    >>> [(part.kind, part.field) for part in parts(feature)]
    [('numeric', 'p'), ('categorical', 'y')]
    """
    outcome: Outcome = feature.outcome
    paths = outcome.fields or (outcome.probability or feature.name,)
    listed = not outcome.fields and not outcome.binary
    kind: Literal["numeric", "any"] = ANY if listed else "numeric"
    keys = len(outcome.classes) if listed else 1
    found = [Part(f"{feature.name}\0{at}", kind, path, feature.absent, keys) for at, path in enumerate(paths)]
    return (*found, Part(f"{feature.name}\0label", "categorical", outcome.label, feature.absent))


def readings(features: Iterable[Any]) -> list[Any]:
    """The features, with the parts of log_loss features in their place: what formats read."""
    return [part for feature in features for part in (parts(feature) if feature.kind == LOG_LOSS else (feature,))]


def with_losses(features: Iterable[Any], columns: Mapping[str, Column]) -> dict[str, Column]:
    """Columns by feature, from those by reading; a feature of which any part has no column has none."""
    found = {}
    for feature in features:
        if feature.kind != LOG_LOSS:
            if feature.name in columns:
                found[feature.name] = columns[feature.name]
            continue
        read = [columns[part.name] for part in parts(feature) if part.name in columns]
        if len(read) == len(parts(feature)):
            found[feature.name] = scored(feature.outcome, read[:-1], read[-1])
    return found


def key_of(reading: Any) -> str:
    """The name of a reading's column in a table: a feature's own, a part's field."""
    return reading.field if isinstance(reading, Part) else str(reading.name)


def typed_columns(features: Sequence[Any], table: Mapping[str, Any]) -> dict[str, Column]:
    """The columns of a table by feature, each typed; what the features do not know is ignored."""
    known = [reading for reading in readings(features) if key_of(reading) in table]
    return with_losses(features, {one.name: column_of(one.kind, table[key_of(one)]) for one in known})


def scored(outcome: Outcome, probabilities: Sequence[Column], label: Column) -> Column:
    """The losses of rows, float64[rows] in nats, NaN where missing or invalid; with their tallies.

    `probabilities` has one column per field, or one of numbers, or one of lists and maps; `label` has texts.

    >>> column = scored(Outcome("y", "p"), [Column(np.array([0.5, 0.9, np.nan, 7.0]))], Column(["1", "0", "1", "1"]))
    >>> column.values.round(4).tolist(), dict(column.invalid)
    ([0.6931, 2.3026, nan, nan], {'probabilities_not_one': [3]})
    """
    read = [*probabilities, label]
    table, unreadable = table_of(outcome, probabilities)
    codes = codes_of(outcome, label.values)
    scores = binary(table, codes) if outcome.binary else multiclass(table, codes)
    taken = np.logical_or.reduce([is_missing(column) for column in read])
    invalid: dict[str, list[int]] = {}
    unknown = {why: at for why, at in scores.invalid.items() if why == UNKNOWN_CLASS}
    given = [(reason, rows) for column in probabilities for reason, rows in column.invalid.items()]
    unfit = [(reason, rows) for reason, rows in scores.invalid.items() if reason not in unknown]
    for reason, rows in chain(given, unreadable.items(), unfit, label.invalid.items(), unknown.items()):
        at = np.asarray(rows, dtype=np.int64)
        at = at[~taken[at]]
        taken[at] = True
        if at.size:
            invalid[reason] = sorted([*invalid.get(reason, ()), *at.tolist()])
    loss = np.where(taken, np.nan, scores.loss)
    entropy = np.where(taken, 0.0, scores.entropy)
    tallies = np.stack([*_words(loss), *_words(loss * loss), *_words(entropy), (scores.correct & ~taken).astype(int)])
    absent = sorted({row for column in read for row in column.absent})
    return Column(loss, invalid, absent, tallies)


def _words(nats: Floats) -> tuple[Counts, Counts]:
    """Sums of 2^31 rows of either fit an int64."""
    whole = units(nats)
    return whole // WORD, whole % WORD


def is_missing(column: Column) -> Rows:
    """bool[rows]: empty, and not for being unreadable."""
    values = column.values
    if isinstance(values, np.ndarray):
        empty = np.isnan(values)
    else:
        empty = np.array([value is None for value in values], dtype=np.bool_)
    for rows in column.invalid.values():
        empty[np.asarray(rows, dtype=np.int64)] = False
    return empty


def codes_of(outcome: Outcome, labels: Any) -> Codes:
    """int64[rows]: 1 is the positive class of two, else the place among `classes`; -1 is none of them."""
    meaning = {text: _code(outcome, text) for text in set(labels)}
    return np.array([meaning[text] for text in labels], dtype=np.int64)


def _code(outcome: Outcome, text: str | None) -> int:
    """A class may come as 3 or as 3.0."""
    if text is None:
        return -1
    if outcome.binary and outcome.positive is None:
        return POSITIVE.get(text.strip().lower(), -1)
    known = next((name for name in (text, text.removesuffix(".0")) if name in (*outcome.classes, outcome.positive)), "")
    if outcome.binary:
        return int(known == outcome.positive) if known or not outcome.classes else -1
    return outcome.classes.index(known) if known else -1


def table_of(outcome: Outcome, probabilities: Sequence[Column]) -> tuple[Floats, Mapping[str, Sequence[int]]]:
    """float64[rows] or float64[rows, classes], NaN where there is none; the rows of a list or map that do not fit."""
    if outcome.fields:
        return np.stack([np.asarray(column.values, dtype=np.float64) for column in probabilities], axis=1), {}
    values: Any = probabilities[0].values
    if outcome.binary:
        return np.asarray(values, dtype=np.float64), {}
    places = {name: at for at, name in enumerate(outcome.classes)}
    table = np.full((len(values), len(places)), np.nan)
    unreadable: dict[str, list[int]] = {}
    for row, value in enumerate(values):
        found = _vector(value, places)
        if isinstance(found, str):
            unreadable.setdefault(found, []).append(row)
        else:
            table[row] = found
    return table, unreadable


def _vector(value: Any, places: Mapping[str, int]) -> list[float] | str:
    """One row's probabilities in the order of the classes, or why there are none; what a map leaves out is 0.

    >>> places = {"a": 0, "b": 1}
    >>> _vector([0.3, 0.7], places), _vector({"b": 1}, places), _vector({"c": 1.0}, places), _vector([1.0], places)
    ([0.3, 0.7], [0.0, 1.0], 'unknown_class', 'unknown_class')
    """
    if isinstance(value, Mapping):
        if not value.keys() <= places.keys():
            return UNKNOWN_CLASS
        value = [value.get(name, 0.0) for name in places]
    elif not isinstance(value, (list, tuple, np.ndarray)):
        found = number(value)
        return found if isinstance(found, str) else NUMBER
    if len(value) != len(places):
        return UNKNOWN_CLASS
    read = [number(one) for one in value]
    return next((one for one in read if isinstance(one, str)), [one for one in read if not isinstance(one, str)])
