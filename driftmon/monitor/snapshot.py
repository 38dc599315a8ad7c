"""Snapshot: counts as a file. A reference is one, a monitor's state is one, and two of them add.

Law: merge is addition of integers, so shards merged in any order give the same bytes. The file is
JSON, a feature a line, so that it can be read, compared and written by hand or by other tools.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, Final

import numpy as np

from driftmon.monitor.panes import Window
from driftmon.monitor.slots import COUNT as SLOTS
from driftmon.monitor.slots import Slots, label
from driftmon.monitor.snapshot_json import body_of, checksum_of, decoded
from driftmon.stats import dispersion
from driftmon.stats.binnings import boolean, categorical, log_loss, numeric
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.schema import Binning, Counts, Feature, Schema

FORMAT: Final = "driftmon.snapshot"
VERSION: Final = 1
TAIL: Final = 64  # bytes, of which the checksum and what stands behind it are less

BINNINGS: Mapping[str, Callable[[Mapping[str, Any]], Binning]] = {
    "numeric": lambda entry: numeric.Binning(tuple(map(float, entry["edges"]))),
    "categorical": lambda entry: categorical.Binning(tuple(map(str, entry["categories"]))),
    "boolean": lambda entry: boolean.Binning(),
    "log_loss": lambda entry: log_loss.Binning(
        tuple(float(edge) for edge in entry["edges"]), log_loss.Outcome.from_dict(entry["outcome"])
    ),
}


class SnapshotError(ValueError):
    """A snapshot that cannot be read or added; the message says which part and what to do."""


Panes = Mapping[int, Counts]


@dataclass(frozen=True)
class Snapshot:
    """`counts` int64[width]: all observations; `rings`: the panes of each window; `open_panes`: of the finest pane.
    Panes are state vectors: counts, then tallies; those of all observations are in `sums` by name (tallies.py).

    `watermark_ms` is None for a monitor on arrival time. `invalid` counts unreadable values by
    (feature, reason). `provenance` says where the counts come from; merge keeps what both agree on.
    `slots` are the counts of each hour of a day or a week (`slots_by`), all of `counts`, or there are none.
    `excess` has w² - w beside each count w of a row that stands for w records; None where all stand for themselves.
    """

    schema: Schema
    counts: Counts
    rings: Mapping[Window, Panes] = field(default_factory=dict)
    open_panes: Panes = field(default_factory=dict)
    watermark_ms: int | None = None
    invalid: Mapping[tuple[str, str], int] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    sums: Mapping[str, int] = field(default_factory=dict)
    dispersion: Mapping[str, Any] = field(default_factory=dict)
    first_ms: int | None = None
    slots_by: Slots | None = None
    slots: Panes = field(default_factory=dict)
    excess: Snapshot | None = None

    def measured_dispersion(self) -> Dispersion:
        """What the panes of this reference showed; phi = 1 where it keeps none. SnapshotError if it does not fit."""
        try:
            return dispersion.from_dict(self.schema, self.dispersion) or dispersion.independent(self.schema)
        except ValueError as fault:
            raise SnapshotError(str(fault)) from fault

    @cached_property
    def identity(self) -> str:
        """16 hex digits over bins and counts: two daemons compare with the same reference where it agrees."""
        return hashlib.sha256(self.schema.fingerprint.encode() + self.counts.tobytes()).hexdigest()[:16]

    def merge(self, other: Snapshot) -> Snapshot:
        """The counts of both; SnapshotError where a bin or a pane does not mean the same in the other."""
        if difference := self.schema.difference(other.schema):
            raise SnapshotError(f"snapshots of different schemas do not add: {difference}; count both with one schema")
        if self.rings and other.rings and set(self.rings) != set(other.rings):
            names = sorted({window.name for window in set(self.rings) ^ set(other.rings)})
            raise SnapshotError(f"snapshots of different windows do not add: {', '.join(names)}; use one configuration")
        slots_by, slots = self._merged_slots(other)
        try:
            measured = dispersion.merged(self.dispersion, other.dispersion)
        except (KeyError, TypeError, ValueError) as fault:
            raise SnapshotError(f"the dispersion is garbled ({fault!r}); build the reference again") from fault
        marks = [mark for mark in (self.watermark_ms, other.watermark_ms) if mark is not None]
        return Snapshot(
            self.schema,
            self.counts + other.counts,
            {
                window: _added(self.rings.get(window, {}), other.rings.get(window, {}))
                for window in {**self.rings, **other.rings}
            },
            _added(self.open_panes, other.open_panes),
            max(marks, default=None),
            {key: self.invalid.get(key, 0) + other.invalid.get(key, 0) for key in {**self.invalid, **other.invalid}},
            _merged_provenance(self.provenance, other.provenance),
            {key: self.sums.get(key, 0) + other.sums.get(key, 0) for key in {**self.sums, **other.sums}},
            measured,
            first_ms=min((at for at in (self.first_ms, other.first_ms) if at is not None), default=None),
            slots_by=slots_by,
            slots=slots,
            excess=other.excess if self.excess is None else self.excess.merge(other.excess or _none(self.schema)),
        )

    def _merged_slots(self, other: Snapshot) -> tuple[Slots | None, Panes]:
        """Slots of both; none where one side has counts without slots, because they would not be all of them."""
        kinds = {snapshot.slots_by for snapshot in (self, other) if snapshot.slots_by or snapshot.counts.any()}
        if len(kinds - {None}) > 1:
            raise SnapshotError("counts by hour of day and by hour of week do not add: build both with the same slots")
        slots_by = kinds.pop() if len(kinds) == 1 else None
        return slots_by, _added(self.slots, other.slots) if slots_by else {}

    def to_bytes(self) -> bytes:
        """The file; the same counts always give the same bytes."""
        head: dict[str, Any] = {"format": FORMAT, "version": VERSION, "fingerprint": self.schema.fingerprint}
        tail: dict[str, Any] = {
            "first_ms": self.first_ms,
            "watermark_ms": self.watermark_ms,
            "invalid": _nested(self.invalid),
        }
        tail |= {"sums": dict(sorted(self.sums.items())), "dispersion": self.dispersion, "provenance": self.provenance}
        head["windows"] = [_shape(window) for window in sorted(self.rings, key=lambda window: window.name)]
        lines = [f'"features": [\n{_lines(self._features())}\n]', f'"panes": [{_lines(self._panes())}]']
        if self.slots_by is not None:
            lines += [_pair("slots_by", self.slots_by), f'"slots": [\n{_lines(self._slots(self.slots_by))}\n]']
        if self.excess is not None:
            whole = {"window": None, "pane": None, "counts": self.excess.counts.tolist()}
            lines.append(f'"excess": [{_lines(chain([whole], self.excess._panes()))}]')
        lines = [*(_pair(key, head[key]) for key in head), *lines, *(_pair(key, tail[key]) for key in tail)]
        body = ",\n".join(lines).encode("utf-8", "surrogatepass")
        return b"{" + body + f',\n"checksum": "{checksum_of(body)}"}}\n'.encode()

    def _features(self) -> Iterator[dict[str, Any]]:
        for index, feature in enumerate(self.schema.features):
            counts = self.counts[self.schema.bins(index)].tolist()
            yield {**feature.as_dict(), "labels": list(feature.binning.labels()), "counts": counts}

    def _panes(self) -> Iterator[dict[str, Any]]:
        for window in sorted(self.rings, key=lambda window: window.name):
            for pane, counts in sorted(self.rings[window].items()):
                yield {"window": window.name, "pane": pane, **self._pane(counts)}
        for pane, counts in sorted(self.open_panes.items()):
            yield {"window": None, "pane": pane, **self._pane(counts)}

    def _pane(self, state: Counts) -> dict[str, list[int]]:
        counts, tallies = np.split(state, [self.schema.width])
        return {"counts": counts.tolist(), **({"sums": tallies.tolist()} if len(tallies) else {})}

    def _slots(self, by: Slots) -> Iterator[dict[str, Any]]:
        for slot, counts in sorted(self.slots.items()):
            yield {"slot": slot, "label": label(by, slot), "counts": counts.tolist()}

    @classmethod
    def from_bytes(cls, data: bytes) -> Snapshot:
        """Read a file; SnapshotError names what is wrong with it."""
        try:
            return _read(data)
        except SnapshotError:
            raise
        except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError) as fault:
            raise SnapshotError(f"the snapshot lacks or garbles a part: {fault!r}; build it again") from fault


def shape_from_bytes(data: bytes, known: Iterable[Schema]) -> Snapshot:
    """A snapshot without counts: schema and windows. Where one of the schemas known is its own that is soon done."""
    try:
        head = json.loads(data[: data.find(b',\n"features"')] + b"}")
        schema = next((schema for schema in known if schema.fingerprint == head["fingerprint"]), None)
        shapes = head["windows"]
        if schema is None or not data[-TAIL:].rstrip().endswith(
            f'"checksum": "{checksum_of(body_of(data))}"}}'.encode()
        ):
            return Snapshot.from_bytes(data)
    except (ValueError, LookupError, TypeError):
        return Snapshot.from_bytes(data)
    return Snapshot(schema, np.zeros(schema.width, dtype=np.int64), {window: {} for window in _windows(shapes)})


def _windows(shapes: Iterable[Mapping[str, Any]]) -> list[Window]:
    return [Window(str(shape["name"]), int(shape["pane_ms"]), shape["half_life_ms"]) for shape in shapes]


def _read(data: bytes) -> Snapshot:
    tree = _tree(data)
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise SnapshotError(f'not a snapshot: "format" must be "{FORMAT}"')
    if tree.get("version") != VERSION:
        raise SnapshotError(
            f"snapshot version {tree.get('version')}, this driftmon reads {VERSION}: use a newer driftmon"
        )
    _verify(data, tree.get("checksum"))
    schema = Schema(tuple(_feature(entry) for entry in tree["features"]))
    if isinstance(tree.get("fingerprint"), str) and isinstance(tree.get("checksum"), str):
        schema = schema.known_as(tree["fingerprint"])  # the checksum says that it is as it was written
    elif tree.get("fingerprint", schema.fingerprint) != schema.fingerprint:
        raise SnapshotError(
            "the fingerprint is not that of the features: if they were edited on purpose, drop that line"
        )
    flat = _all_counts([entry["counts"] for entry in tree["features"]], schema)
    rings: dict[Window, dict[int, Counts]] = {window: {} for window in _windows(tree.get("windows", ()))}
    open_panes = _read_panes(tree.get("panes", ()), rings, schema)
    invalid = {
        (name, reason): int(n) for name, reasons in tree.get("invalid", {}).items() for reason, n in reasons.items()
    }
    extras = {key: _mapping(tree, key) for key in ("provenance", "sums", "dispersion")}
    first_ms, watermark_ms = (None if tree.get(key) is None else int(tree[key]) for key in ("first_ms", "watermark_ms"))
    slots_by, slots = _read_slots(tree, schema, flat)
    return Snapshot(
        schema,
        flat,
        rings,
        open_panes,
        watermark_ms,
        invalid,
        **extras,
        first_ms=first_ms,
        slots_by=slots_by,
        slots=slots,
        excess=_read_excess(tree.get("excess"), rings, schema),
    )


def _tree(data: bytes) -> Any:
    try:
        return decoded(data)
    except (ValueError, RecursionError) as fault:
        raise SnapshotError(
            f"not a snapshot: {fault}; expected JSON as `driftmon reference build` writes it"
        ) from fault


def _read_panes(
    entries: Iterable[Mapping[str, Any]], rings: Mapping[Window, dict[int, Counts]], schema: Schema
) -> dict[int, Counts]:
    """Into the rings; those that are open are returned."""
    open_panes: dict[int, Counts] = {}
    panes_of = {window.name: panes for window, panes in rings.items()} | {None: open_panes}
    for entry in entries:
        counts, tallies = _counts(entry["counts"], schema.width), len(schema.tally_names)
        if tallies:
            counts = np.concatenate((counts, _counts(entry["sums"], tallies)))
        panes_of[entry["window"]][int(entry["pane"])] = counts
    return open_panes


def _read_excess(entries: Any, rings: Mapping[Window, Panes], schema: Schema) -> Snapshot | None:
    if not entries:
        return None
    whole, *panes = entries
    beside: dict[Window, dict[int, Counts]] = {window: {} for window in rings}
    open_panes = _read_panes(panes, beside, schema)
    return Snapshot(schema, _counts(whole["counts"], schema.width), beside, open_panes)


def _none(schema: Schema) -> Snapshot:
    return Snapshot(schema, np.zeros(schema.width, dtype=np.int64))


def _mapping(tree: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = tree.get(key) or {}
    if not isinstance(found, dict):
        raise SnapshotError(f"{key} is no map: drop it, or build the snapshot again")
    if key == "sums" and not all(type(number) is int for number in found.values()):
        raise SnapshotError("sums must be whole numbers")
    return found


def _read_slots(tree: Mapping[str, Any], schema: Schema, counts: Counts) -> tuple[Slots | None, dict[int, Counts]]:
    slots_by = tree.get("slots_by")
    if slots_by is None:
        return None, {}
    if slots_by not in SLOTS:
        raise SnapshotError(f"slots_by {slots_by!r} is unknown; there are {', '.join(SLOTS)}")
    slots = {int(entry["slot"]): _counts(entry["counts"], schema.width) for entry in tree["slots"]}
    whole = sum(slots.values(), start=np.zeros(schema.width, dtype=np.int64))
    if any(not 0 <= slot < SLOTS[slots_by] for slot in slots) or not np.array_equal(whole, counts):
        raise SnapshotError("the counts of the slots do not add up to those of the features; build the reference again")
    return slots_by, slots


def _feature(entry: Mapping[str, Any]) -> Feature:
    kind = str(entry.get("type"))
    if kind not in BINNINGS:
        raise SnapshotError(f"feature {entry.get('name')!r}: type {kind!r} is unknown; there are {', '.join(BINNINGS)}")
    try:
        return Feature(str(entry["name"]), BINNINGS[kind](entry), entry.get("field"), entry.get("absent", "missing"))
    except ValueError as fault:
        raise SnapshotError(f"feature {entry.get('name')!r}: {fault}") from fault


def _all_counts(each: Sequence[list[int]], schema: Schema) -> Counts:
    """Of all features, in one go."""
    for numbers, size in zip(each, schema.sizes.tolist(), strict=True):
        _check_length(numbers, size)
    return _counts(list(chain.from_iterable(each)), schema.width)


def _check_length(numbers: list[int], size: int) -> None:
    if not isinstance(numbers, list) or len(numbers) != size:
        raise SnapshotError(f"{len(numbers)} counts where {size} bins are: one count a bin, special bins included")


def _counts(numbers: list[int], size: int) -> Counts:
    _check_length(numbers, size)
    if set(map(type, numbers)) <= {int}:
        with contextlib.suppress(OverflowError):
            counts = np.array(numbers, dtype=np.int64)
            if counts.min(initial=0) >= 0 and counts.max(initial=0) < 2**62:
                return counts
    raise SnapshotError("counts must be whole numbers, 0 or more")


def _verify(data: bytes, checksum: str | None) -> None:
    if checksum is None:
        return
    if checksum_of(body_of(data)) != checksum:
        raise SnapshotError(
            "the checksum does not fit: damaged, or edited; if edited on purpose, drop the checksum line"
        )


def _shape(window: Window) -> dict[str, Any]:
    return {"name": window.name, "pane_ms": window.pane_ms, "half_life_ms": window.half_life_ms}


def _pair(key: str, value: object) -> str:
    return f'"{key}": {json.dumps(value, ensure_ascii=False, sort_keys=True)}'


def _lines(entries: Iterator[dict[str, Any]]) -> str:
    return ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)


def _nested(invalid: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (feature, reason), times in sorted(invalid.items()):
        nested.setdefault(feature, {})[reason] = times
    return nested


def _added(one: Panes, other: Panes) -> Panes:
    return {**other, **{pane: counts + other[pane] if pane in other else counts for pane, counts in one.items()}}


def _merged_provenance(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of records add, spans widen, sources are listed together; the rest is kept where both agree."""
    try:
        return _joined_provenance(one, other)
    except (KeyError, TypeError) as fault:
        raise SnapshotError(f"the provenance is garbled ({fault!r}): drop it, or build the snapshot again") from fault


def _joined_provenance(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = {key: one[key] for key in one if other.get(key) == one[key]}
    if "records" in one and "records" in other:
        merged["records"] = one["records"] + other["records"]
    if "from_ms" in one and "from_ms" in other:
        merged |= {"from_ms": min(one["from_ms"], other["from_ms"]), "to_ms": max(one["to_ms"], other["to_ms"])}
    sources = sorted({*one.get("sources", ()), *other.get("sources", ())})
    return merged | ({"sources": sources} if sources else {})
