"""A reference with its hours: what a day does every day is no drift, and what it never did is one.

Simulated as statistics.md section 5 has it: a daily sine of half a standard deviation, busy days and quiet nights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from driftmon.monitor.batch import Batch
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.quantities import index_of
from driftmon.monitor.references import Fixed, Reference, count_into
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Calibrated, Rule
from driftmon.monitor.seasonal import Mixture, Seasonal
from driftmon.monitor.slots import COUNT, HOUR_MS, Slots, shares, slots_of
from driftmon.monitor.snapshot import Snapshot, SnapshotError
from driftmon.monitor.warmup import part
from driftmon.stats import dispersion
from driftmon.stats.columns import Column, Floats
from driftmon.stats.edges import FeatureSpec
from driftmon.stats.noise import raw_kl
from driftmon.stats.schema import Schema

RUNS = 8  # features: each is a run of its own
DAY = 24
SPECS = tuple(FeatureSpec(f"run{run}", "numeric") for run in range(RUNS))
WINDOWS = (Window.sliding("quarter", 6 * HOUR_MS), Window.sliding("day", 24 * HOUR_MS))
RULE = Rule("Drift", "kl_divergence_debiased", 0.02, calibrated=Calibrated(0.02, 30 * DAY * HOUR_MS, HOUR_MS))


def hours(first: int, count: int, seed: int, shift: float = 0.0) -> Batch:
    """Rows of `count` hours: 50 to 250 an hour, their mean half a standard deviation up at noon and down at night."""
    rng = np.random.default_rng(seed)
    hour = np.arange(first, first + count)
    wave = np.sin(2 * np.pi * hour / DAY)
    of_row = np.repeat(hour, rng.poisson(150 + 100 * wave))
    columns = {
        spec.name: Column(0.5 * np.sin(2 * np.pi * of_row / DAY) + shift + rng.normal(size=len(of_row)))
        for spec in SPECS
    }
    return Batch(len(of_row), columns, of_row * HOUR_MS + rng.integers(0, HOUR_MS, len(of_row)))


@cache
def reference(slots_by: Slots | None = "hour_of_day") -> Snapshot:
    """Thirty days."""
    rows = hours(0, 30 * DAY, seed=1)
    schema = Schema(tuple(spec.fit(rows.columns[spec.name]) for spec in SPECS))
    counted, blocks = count_into(schema, rows, 60_000, slots_by)
    found = blocks.as_dispersion(schema, counted.slots, slots_by) if slots_by else {}
    return replace(counted, dispersion=found)


def watch(source: Reference, days: int, shift: float = 0.0, rules: Sequence[Rule] = ()) -> Iterator[Report]:
    """A report at the end of every hour of so many days."""
    monitor = Monitor(source, WINDOWS, rules)
    for hour in range(1000 * DAY, (1000 + days) * DAY):
        rows = replace(hours(hour, 1, seed=hour, shift=shift), times_ms=None)
        monitor.observe_batch(rows, hour * HOUR_MS + HOUR_MS // 2)
        yield monitor.tick((hour + 1) * HOUR_MS)


def above_floor(source: Reference, shift: float = 0.0) -> dict[str, float]:
    """The share of looks, one every six hours once the windows are full, at which KL is above its 99 % noise floor."""
    looks: dict[str, list[Floats]] = {window.name: [] for window in WINDOWS}
    for report in list(watch(source, 16, shift))[DAY - 1 :: 6]:
        for at, window in enumerate(WINDOWS):
            floor = report.values[at, index_of("kl_noise_floor")]
            looks[window.name].append(raw_kl(report.pairs[at]) > floor)
    return {name: float(np.mean(found)) for name, found in looks.items()}


def test_a_daily_rhythm_is_drift_to_a_global_reference_and_none_to_a_seasonal_one() -> None:
    everything, by_hour = above_floor(Fixed(reference(None))), above_floor(Seasonal(reference()))
    assert everything["quarter"] > 0.8
    assert everything["day"] < 0.03  # a window of whole periods needs no seasons
    assert by_hour["quarter"] < 0.03
    assert by_hour["day"] < 0.03


def test_a_shift_of_a_third_of_a_standard_deviation_is_seen_at_every_hour() -> None:
    assert above_floor(Seasonal(reference()), shift=0.3)["quarter"] > 0.95


def test_evidence_goes_by_the_hours_of_its_own_panes() -> None:
    names, found = {spec.name for spec in SPECS}, set[str]()

    def firing(source: Reference, shift: float) -> set[str]:
        """Within two days; once all have fired, nobody else can."""
        found.clear()
        for report in takewhile(lambda _: found != names, watch(source, 2, shift, (RULE,))):
            found.update(change.alert.feature for change in report.changes if change.event == "firing")
        return found

    assert firing(Fixed(reference(None)), 0.0) == names
    assert firing(Seasonal(reference()), 0.0) == set()
    assert firing(Seasonal(reference()), 0.3) == names


def test_the_season_is_no_overdispersion_and_a_storm_is() -> None:
    calm = reference().measured_dispersion()
    assert not calm.dependent.any()
    assert float(calm.average.max()) < 1.5
    plain = Fixed(reference(None)).snapshot.schema
    rows = hours(0, 30 * DAY, seed=1)
    assert rows.times_ms is not None
    stormy = {
        name: Column(
            np.asarray(column.values) + np.random.default_rng(7).normal(size=30)[rows.times_ms // (DAY * HOUR_MS)]
        )
        for name, column in rows.columns.items()
    }
    counted, blocks = count_into(plain, replace(rows, columns=stormy), 60_000, "hour_of_day")
    found = dispersion.from_dict(plain, blocks.as_dispersion(plain, counted.slots, "hour_of_day"))
    assert found is not None
    assert found.dependent.all()


def test_one_period_cannot_tell_a_season_from_a_storm() -> None:
    rows = hours(0, DAY, seed=3)
    schema = reference().schema
    counted, blocks = count_into(schema, rows, 60_000, "hour_of_day")
    assert blocks.as_dispersion(schema, counted.slots, "hour_of_day") == blocks.as_dispersion(schema)
    found = dispersion.from_dict(schema, blocks.as_dispersion(schema))
    assert found is not None
    assert found.dependent.all()


times = st.integers(-(10**12), 10**12)


@given(times, st.integers(1, 200 * HOUR_MS), st.sampled_from(sorted(COUNT)))
def test_a_stretch_shares_itself_out(start_ms: int, length_ms: int, kind: Slots) -> None:
    found = shares(kind, start_ms, length_ms)
    assert sum(found.values()) == pytest.approx(1.0)
    assert int(slots_of(kind, np.array([start_ms]))[0]) in found
    assert set(found) <= set(range(COUNT[kind]))


@given(times)
def test_slots_are_those_of_the_calendar(at_ms: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    assert int(slots_of("hour_of_day", np.array([at_ms]))[0]) == at.hour
    assert int(slots_of("hour_of_week", np.array([at_ms]))[0]) == at.weekday() * DAY + at.hour


SCHEMA = Schema((FeatureSpec("x", "numeric", edges=(0.0,)).fit(Column(np.zeros(0))),))  # two bins, invalid, missing
counts = st.lists(st.integers(0, 50), min_size=4, max_size=4).map(lambda found: np.array(found, dtype=np.int64))


@given(st.dictionaries(st.integers(0, 23), counts, min_size=1), st.dictionaries(st.integers(0, 23), st.integers(0, 99)))
def test_a_mixture_is_a_distribution_worth_no_more_than_its_parts(
    slots: dict[int, NDArray[np.int64]], live: dict[int, int]
) -> None:
    """Against the formulas, term by term: sum w P and 1 / sum w² / n."""
    whole = sum(slots.values(), start=np.zeros(4)).astype(float)
    found = Mixture(SCHEMA, slots, whole).of({slot: np.array([float(rows)]) for slot, rows in live.items()})
    parts = {slot: slots[slot] if slot in slots and slots[slot].any() else whole for slot in live if live[slot]}
    if not parts:
        np.testing.assert_array_equal(found, whole)
    elif not whole.any():
        assert not found.any()
    else:
        rows = sum(live.values())
        p = sum(live[slot] / rows * part / part.sum() for slot, part in parts.items())
        n = 1 / sum((live[slot] / rows) ** 2 / part.sum() for slot, part in parts.items())
        np.testing.assert_allclose(found, p * n, rtol=1e-9)
        assert n <= sum(part.sum() for part in parts.values()) * (1 + 1e-9)


def test_a_window_within_an_hour_has_that_hours_counts_exactly() -> None:
    source = Seasonal(reference())
    monitor = Monitor(source, (Window.sliding("fast", 30 * 60_000),))
    at_ms = (1000 * DAY + 7) * HOUR_MS + 40 * 60_000
    monitor.observe_batch(replace(hours(7, 1, seed=4), times_ms=None), at_ms)
    np.testing.assert_array_equal(monitor.tick(at_ms).pairs[0].reference, reference().slots[7])


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (Window.sliding("slow", 61 * HOUR_MS), "window slow: .*longer than an hour.*use a length of at most 60h"),
        (Window.decayed("slow", 7 * HOUR_MS), "window slow: .*use a half_life of at most 6h"),
        (Window.everything(), "window all: it has no panes"),
    ],
)
def test_windows_whose_hours_are_unknown_are_refused(window: Window, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Monitor(Seasonal(reference()), (window,))


def test_a_reference_without_hours_is_no_seasonal_one() -> None:
    with pytest.raises(ValueError, match="no counts by hour"):
        Seasonal(reference(None))


def test_slots_are_in_the_file_and_add() -> None:
    whole = reference()
    again = Snapshot.from_bytes(whole.to_bytes())
    assert (again.slots_by, again.to_bytes()) == ("hour_of_day", whole.to_bytes())
    assert b'{"slot": 0, "label": "00:00", "counts": [' in whole.to_bytes()
    rows = hours(0, 48, seed=2)
    (one, _), (other, _) = (
        count_into(whole.schema, part(rows, low, high), 0, "hour_of_day")
        for low, high in ((0, 1000), (1000, rows.rows))
    )
    both, _ = count_into(whole.schema, rows, 0, "hour_of_day")
    assert one.merge(other).to_bytes() == other.merge(one).to_bytes() == both.to_bytes()
    assert one.merge(reference(None)).slots_by is None  # they would not be all of the counts
    weekly, _ = count_into(whole.schema, rows, 0, "hour_of_week")
    with pytest.raises(SnapshotError, match="do not add"):
        one.merge(weekly)
    with pytest.raises(SnapshotError, match="do not add up"):
        Snapshot.from_bytes(replace(whole, slots={0: whole.slots[0]}).to_bytes())
