"""Clocks that jump: nothing is lost, nothing late, no pane opened again; the times of these days are arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from driftmon.daemon.clock import PROBATION_S, Clock
from driftmon.daemon.mailbox import Mailbox
from driftmon.daemon.pump import Pump
from driftmon.daemon.streams import Stream
from driftmon.daemon.telemetry import Telemetry
from driftmon.monitor.report import Report, Status
from driftmon.sources.base import Block, Settled
from tests.daemon.kit import ndjson, records
from tests.daemon.test_streams import made

HOUR, YEAR, START = 3_600_000, 365 * 86_400_000, 1_700_000_000_000
ROWS = 20


class World:
    """A pump on a clock of its own: `pass_s` lets time go by, a block every ten seconds; `wall_ms` is set at will."""

    def __init__(self, folder: Path, at: Stream | None = None, **changes: Any) -> None:
        self.stream = at or made(folder, tick="10s", **changes)
        self.telemetry, self.told, self.reports = Telemetry(), list[Settled | Exception](), list[Report]()
        self.pump = Pump(Mailbox(1024 * 1024), self.telemetry, lambda _, one: self.told.append(one), self._publish)
        self.pump.swap({"s": self.stream})
        self.wall_ms, self.at_s = START, 50.0

    def _publish(self, reports: object) -> None:
        assert isinstance(reports, dict)
        self.reports += reports.values()

    def pass_s(self, seconds: int, rows: int = ROWS, event_ms: int | None = None) -> None:
        for _ in range(seconds // 10):
            self.wall_ms, self.at_s = self.wall_ms + 10_000, self.at_s + 10.0
            sent = [{**row, "at": self.wall_ms if event_ms is None else event_ms} for row in records(rows)]
            block = Block("s", "http", "ndjson", ndjson(sent), origin="http")
            self.pump.turn([block] if rows else [], self.wall_ms, self.at_s)

    @property
    def now_ms(self) -> int:
        return self.reports[-1].now_ms

    def all_are_counted(self) -> None:
        """In the window too: a pane that time has left behind would be forgotten."""
        outcomes = [one for one in self.told if isinstance(one, Settled)]
        assert len(outcomes) == len(self.told)
        assert all((one.accepted, one.late) == (ROWS, 0) for one in outcomes)
        assert self.reports[-1].value(0, 0, "window_observations") == ROWS * len(outcomes)

    def never_went_back(self) -> None:
        times = [report.now_ms for report in self.reports]
        assert times == sorted(times)
        for one in ("drift_seconds", "evaluated_seconds"):
            sums = [float(getattr(report, one)[0]) for report in self.reports]
            assert sums == sorted(sums)


@pytest.mark.parametrize("step_ms", [-HOUR, HOUR, YEAR, -YEAR, -6000])
def test_a_step_and_its_correction_lose_no_record_and_change_nothing(tmp_path: Path, step_ms: int) -> None:
    world, straight = World(tmp_path), World(tmp_path)
    for one in (world, straight):
        one.pass_s(100)
        one.wall_ms += step_ms if one is world else 0
        one.pass_s(120)
        one.wall_ms -= step_ms if one is world else 0
        one.pass_s(60)
        one.all_are_counted()
        one.never_went_back()
    assert abs(world.now_ms - straight.now_ms) <= 12_000  # a tenth of the two minutes that were behind
    assert [len(report.alerts) for report in world.reports] == [len(report.alerts) for report in straight.reports]
    assert (world.telemetry.clock_steps, straight.telemetry.clock_steps) == (2, 0)


def test_a_step_ahead_that_lasts_is_believed_and_one_back_is_made_good_slowly() -> None:
    clock, at_s, wall_ms = Clock(), 0.0, START

    def after(seconds: float, step_ms: int = 0) -> int:
        nonlocal at_s, wall_ms
        at_s, wall_ms = at_s + seconds, wall_ms + round(1000 * seconds) + step_ms
        return clock.read(wall_ms, at_s) - wall_ms

    assert after(1) == 0
    assert after(1, HOUR) == -HOUR
    assert after(PROBATION_S - 1) == -HOUR
    assert after(1) == 0
    assert after(1, -HOUR) == pytest.approx(HOUR, abs=200)
    assert after(36_000 / 2) == pytest.approx(HOUR / 2, abs=200)
    assert after(36_000) <= 5000
    assert after(60) == 0
    assert (clock.steps, clock.last_step_ms) == (2, -HOUR)


def test_a_leap_second_and_small_corrections_are_followed_without_going_back() -> None:
    """Summer time is none of the clock's concern: it reads UTC, where no hour is skipped or repeated."""
    clock = Clock()
    assert [clock.read(START + wall, at) for wall, at in ((0, 0.0), (1000, 1.0), (1000, 2.0), (900, 2.1))] == [
        START,
        START + 1000,
        START + 1000,
        START + 1000,
    ]
    assert clock.read(START + 5000, 3.0) == START + 5000
    assert clock.steps == 0


def test_after_a_restart_with_the_clock_set_back_records_go_on_where_the_state_ends(tmp_path: Path) -> None:
    before = World(tmp_path)
    before.pass_s(120)
    saved = before.stream.saved()
    assert saved is not None
    fresh = made(tmp_path, tick="10s")
    fresh.restore(saved)
    after = World(tmp_path, fresh)
    after.pump._clock = Clock(fresh.newest_ms)
    after.wall_ms = START - 30 * 86_400_000
    after.pass_s(60)
    assert after.reports[-1].value(0, 0, "window_observations") == ROWS * 18
    assert after.now_ms >= fresh.newest_ms


def test_event_times_are_judged_by_the_later_clock_and_far_ones_never_move_the_watermark(tmp_path: Path) -> None:
    world = World(tmp_path, time={"field": "at", "unit": "ms"}, stale_after="10m")
    world.pass_s(60)
    monitor = world.stream.monitor
    assert monitor is not None
    for step_ms in (-HOUR, HOUR):  # a wrong clock behind, set right: the senders' were right all the time
        world.wall_ms += step_ms
        world.pass_s(10, event_ms=START + 70_000)
    world.wall_ms += HOUR  # a machine that was paused is set right at once; records of this very time are sound
    world.pass_s(10)
    assert all(isinstance(one, Settled) and one.accepted == ROWS for one in world.told)
    mark = monitor.snapshot().watermark_ms
    world.pass_s(10, event_ms=world.wall_ms + 100 * YEAR)
    assert isinstance(world.told[-1], Settled)
    assert dict(world.told[-1].rejected) == {"future": ROWS}
    assert monitor.snapshot().watermark_ms == mark


def test_staleness_goes_by_time_that_passed(tmp_path: Path) -> None:
    world = World(tmp_path, stale_after="10m")
    world.pass_s(10)
    world.wall_ms += YEAR
    world.pass_s(10)
    world.wall_ms -= YEAR
    world.pass_s(590, rows=0)
    assert Status.STALE not in world.reports[-1].statuses.values()
    world.pass_s(20, rows=0)
    assert set(world.reports[-1].statuses.values()) == {Status.STALE}
