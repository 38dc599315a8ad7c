"""References: what yields the P of a look. A fixed one is the same array for ever; others move with time or window.

Law: P's counts are worth what they say: noise floor, bounds and evidence take their sum as n, so a mixture
or a decayed window comes with the observations it stands for, not with those it was made of.

| type | P of a look | budget of calibrated rules |
|---|---|---|
| Fixed: a file, a warm-up | always the same counts | holds |
| Seasonal (seasonal.py) | mixed by the window's own hours | holds look by look; over looks by simulation |
| Trailing | this stream's own panes, a lag ago | not promised: a reference that follows also forgets |
| OtherStream | another stream's window of the same time | not promised: both sides move |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.arrival import by_pane
from driftmon.monitor.batch import Batch
from driftmon.monitor.blocks import Blocks, blocks_of
from driftmon.monitor.ledger import Ledger
from driftmon.monitor.panes import PANES, Ring, Window, finest_pane_ms, span, worth
from driftmon.monitor.scoring import key_of, readings, typed_columns
from driftmon.monitor.slots import Slots, slots_of
from driftmon.monitor.snapshot import Snapshot
from driftmon.monitor.tallies import sums_of
from driftmon.stats import dispersion
from driftmon.stats.coded import Coded, encoded
from driftmon.stats.columns import Floats, as_array, named_columns
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.edges import FeatureSpec, Kind
from driftmon.stats.schema import Schema

TRAILING: Final = "trailing"  # the name of the ring kept for a trailing reference; no window may have it


class Reference(Protocol):
    """`look` once per evaluation, then the P of every window, and of the panes that evidence is weighed over.

    `snapshot` has the bins, and says where P comes from; `history`: the panes the ledger must keep for it.
    `gathering` is true while there is no P to be judged by; `dispersion` is that of P.
    """

    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def history(self) -> tuple[Window, int] | None: ...
    @property
    def gathering(self) -> bool: ...
    @property
    def dispersion(self) -> Dispersion: ...
    def check(self, windows: Sequence[Window]) -> None: ...
    def look(self, ledger: Ledger, inside_ms: int) -> None: ...
    def of_window(self, ring: Ring, inside_ms: int) -> Floats: ...
    def of_lags(self, ring: Ring, closed_pane: int, lag_panes: NDArray[np.int64]) -> Sequence[Floats]: ...


class Fixed:
    """A snapshot counted before: its counts, for every window and at all times."""

    history: tuple[Window, int] | None = None
    gathering = False

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._counts = snapshot.counts.astype(np.float64)

    @cached_property
    def dispersion(self) -> Dispersion:
        return self.snapshot.measured_dispersion()

    def check(self, windows: Sequence[Window]) -> None:
        """Any window will do."""

    def look(self, ledger: Ledger, inside_ms: int) -> None:
        """Nothing moves."""

    def of_window(self, ring: Ring, inside_ms: int) -> Floats:
        return self._counts

    def of_lags(self, ring: Ring, closed_pane: int, lag_panes: NDArray[np.int64]) -> Sequence[Floats]:
        return [self._counts] * len(lag_panes)


class Trailing:
    """The stream's own past: the 60 newest panes of length/60 that ended at least `lag_ms` ago.

    Until the stream is that old, P is `until_then`; without one there is none, and nothing is judged. The
    overdispersion is measured on P's own panes. It answers "has it changed lately", and forgets what it was.
    """

    def __init__(self, bins: Snapshot, length_ms: int, lag_ms: int, until_then: Snapshot | None = None) -> None:
        self._window = Window.sliding(TRAILING, length_ms)
        self._lag_ms = lag_ms
        told = f"the {span(length_ms)} before the last {span(lag_ms)}" if lag_ms else f"the last {span(length_ms)}"
        counts = np.zeros(bins.schema.width, dtype=np.int64) if until_then is None else until_then.counts
        self.snapshot = Snapshot(bins.schema, counts, provenance={"sources": [told]})
        self.gathering = until_then is None
        self.dispersion = (self.snapshot if until_then is None else until_then).measured_dispersion()
        self._counts = counts.astype(np.float64)
        self._last: int | None = None

    @property
    def history(self) -> tuple[Window, int] | None:
        """Kept as far back as the oldest pane that may be needed."""
        return self._window, PANES + 1 + -(-self._lag_ms // self._window.pane_ms)

    def check(self, windows: Sequence[Window]) -> None:
        """ValueError where its panes do not fit the windows'."""
        finest_ms = finest_pane_ms(tuple(windows))
        if not finest_ms or self._window.pane_ms % finest_ms:
            cure = f"make it a multiple of {span(finest_ms * PANES)}" if finest_ms else "use windows with a length"
            raise ValueError(f"a trailing reference of {span(self._window.pane_ms * PANES)} does not fit; {cure}")

    def look(self, ledger: Ledger, inside_ms: int) -> None:
        """Move on to the panes that have become old enough."""
        last = (inside_ms + 1 - self._lag_ms) // self._window.pane_ms - 1
        first, ring = last - PANES + 1, ledger.history
        if ring is None or ledger.first_ms is None or ledger.first_ms // self._window.pane_ms > first:
            return
        schema = self.snapshot.schema
        counts = worth(schema, ring.between(first, last))
        if self._last == last and np.array_equal(counts, self._counts):
            return  # the very same array, so that what was derived from it still holds
        self._last, self._counts, self.gathering = last, counts, False
        blocks = [ring.worth(pane, schema) for pane in sorted(ring.panes) if first <= pane <= last]
        found = dispersion.dispersion(schema, np.array(blocks).reshape(len(blocks), schema.width))
        self.dispersion = found or dispersion.independent(schema)

    def of_window(self, ring: Ring, inside_ms: int) -> Floats:
        return self._counts

    def of_lags(self, ring: Ring, closed_pane: int, lag_panes: NDArray[np.int64]) -> Sequence[Floats]:
        return [self._counts] * len(lag_panes)


class Live(Protocol):
    """What is needed of another stream's monitor."""

    windows: tuple[Window, ...]

    @property
    def dispersion(self) -> Dispersion: ...
    def live_counts(self, window: str, inside_ms: int) -> Floats: ...


class OtherStream:
    """Another stream's live rows of the same time and window: a canary against its champion.

    Both must have the same bins and windows. `live` gives the other's monitor, None while it has none.
    Evidence is weighed against the other's longest window.
    """

    history: tuple[Window, int] | None = None

    def __init__(self, bins: Schema, name: str, live: Callable[[], Live | None]) -> None:
        nothing = np.zeros(bins.width, dtype=np.int64)
        self.snapshot = Snapshot(bins, nothing, provenance={"sources": [f"stream {name}"]})
        self._name = name
        self._live = live

    @property
    def gathering(self) -> bool:
        return self._live() is None

    @property
    def dispersion(self) -> Dispersion:
        """As measured for the other: what its rows are worth, those of a canary are worth too."""
        other = self._live()
        return dispersion.independent(self.snapshot.schema) if other is None else other.dispersion

    def check(self, windows: Sequence[Window]) -> None:
        """ValueError where the other has no such windows."""
        other = self._live()
        if other is not None and tuple(windows) != other.windows:
            raise ValueError(f"its windows are not those of stream {self._name}, its reference; make them equal")

    def look(self, ledger: Ledger, inside_ms: int) -> None:
        """The other is asked when its counts are needed."""

    def of_window(self, ring: Ring, inside_ms: int) -> Floats:
        return self._counts(ring.window.name, inside_ms)

    def of_lags(self, ring: Ring, closed_pane: int, lag_panes: NDArray[np.int64]) -> Sequence[Floats]:
        other, end_ms = self._live(), (closed_pane + 1) * ring.window.pane_ms
        longest = max(other.windows, key=lambda window: window.pane_ms).name if other is not None else ""
        return [self._counts(longest, end_ms - 1)] * len(lag_panes)

    def _counts(self, window: str, inside_ms: int) -> Floats:
        other = self._live()
        return np.zeros(self.snapshot.schema.width) if other is None else other.live_counts(window, inside_ms)


def count_into(
    schema: Schema, batch: Batch, pane_ms: int = 0, slots_by: Slots | None = None
) -> tuple[Snapshot, Blocks]:
    """The rows of a batch counted, whatever their times: a piece of a reference, in all and by blocks. Pieces merge.

    With `slots_by` also by hour; the batch must have times then.
    """
    codes = schema.codes(batch.columns, batch.rows)
    state, codes = schema.count(codes), codes[: len(schema.features)]
    invalid = {
        (name, reason): len(rows)
        for name, column in batch.columns.items()
        for reason, rows in column.invalid.items()
        if name in schema.names and len(rows)
    }
    slots = {}
    if slots_by is not None and batch.times_ms is not None:
        slots = {slot: schema.count(run) for slot, run in by_pane(codes, slots_of(slots_by, batch.times_ms))}
    counted = Snapshot(
        schema, state[: schema.width], invalid=invalid, sums=sums_of(schema, state), slots_by=slots_by, slots=slots
    )
    return counted, blocks_of(schema, codes, batch.times_ms, pane_ms)


def reference_of(columns: Any, specs: Sequence[FeatureSpec] | None = None) -> Snapshot:
    """A reference from a DataFrame, an Arrow table or a mapping of columns; bins are chosen from all rows.

    Without specs, columns of text are categorical, of booleans boolean, all others numeric.

    >>> reference_of({"x": [1.0, 2.0], "c": ["a", "b"]}).schema.names
    ('x', 'c')
    """
    named = named_columns(columns)
    if specs is None:
        named = {name: _read(values) for name, values in named.items()}
        specs = [FeatureSpec(name, _kind(values)) for name, values in named.items()]
    chosen = list(specs)
    typed = typed_columns(chosen, named)
    if absent := [key for key in map(key_of, readings(chosen)) if key not in named]:
        raise KeyError(absent[0])
    rows = len(next(iter(typed.values()), ()))
    schema = Schema(tuple(spec.fit(typed[spec.name]) for spec in chosen))
    counted, blocks = count_into(schema, Batch(rows, typed))
    return replace(counted, provenance={"records": rows}, dispersion=blocks.as_dispersion(schema))


def _read(values: Any) -> Any:
    """A column with texts by number: once, for its kind and its categories. Whatever else as it is."""
    found = encoded(values)
    return values if found is None or not len(found[0]) or found[0].max() < 0 else Coded(*found)


def _kind(values: Any) -> Kind:
    if encoded(values) is not None:
        return "categorical" if isinstance(values, Coded) else "numeric"
    array = values if isinstance(values, np.ndarray) else as_array(values)
    if array is not None and array.dtype.kind in "iuf":
        return "numeric"
    listed = list(values) if array is None else array.tolist()
    some = [value for value in listed if value is not None and not (isinstance(value, float) and math.isnan(value))]
    if some and all(isinstance(value, (bool, np.bool_)) for value in some):
        return "boolean"
    return "categorical" if any(isinstance(value, str) for value in some) else "numeric"
