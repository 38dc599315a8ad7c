"""Generations: one an hour, the newest three, whole or not there."""

from __future__ import annotations

import logging
import os
import stat
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from driftmon.daemon.database import StorageError
from driftmon.daemon.generations import EVERY_S, FIRST_S, KEEP, Generations, fault_of, generations_of, taken_ms
from tests.daemon.state_kit import copy_now, leave, note, noted, opened


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_the_first_after_a_minute_then_one_an_hour_and_three_are_kept(tmp_path: Path) -> None:
    clock, made = Clock(), []
    with opened(tmp_path) as database:
        found = Generations(database, clock)
        for step_s in (0, FIRST_S - 1, 1, EVERY_S - 1, 1, EVERY_S, EVERY_S, EVERY_S):
            clock.now_s += step_s
            found.keep_one()
            made.append(len(generations_of(database.path)))
        newest, *_ = generations_of(database.path)
        samples = {one.metric.name: one.samples for one in database.health.families()}
        assert samples["driftmon_state_generation_timestamp_seconds"] == [((), taken_ms(newest) / 1000)]
    assert made == [0, 0, 1, 1, 2, KEEP, KEEP, KEEP]


def test_a_start_waits_for_the_rest_of_the_hour_whatever_the_clock_says(tmp_path: Path) -> None:
    for age_s, wait_s in ((600, EVERY_S - 600), (10 * EVERY_S, FIRST_S), (-10 * EVERY_S, EVERY_S)):
        folder, clock = tmp_path / str(age_s), Clock()
        with opened(folder) as database:
            old = copy_now(database)
            old.rename(old.with_name(f"state.db.generation-{int(1000 * (time.time() - age_s))}"))
            found = Generations(database, clock)
            for rest_s, count in ((-5, 1), (5, 2)):
                clock.now_s = 1000 + wait_s + rest_s
                found.keep_one()
                assert len(generations_of(database.path)) == count, (age_s, rest_s)


def test_it_has_what_was_committed_and_is_private_and_whole(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        note(database, "a", 3)
        made = copy_now(database)
        note(database, "b", 3)
        again = copy_now(database)
        assert noted(database) == [f"{name}-{number}" for name in "ab" for number in range(3)]
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert fault_of(made) == fault_of(again) == ""
    for copy, count in ((made, 3), (again, 6)):
        (tmp_path / "state.db").write_bytes(copy.read_bytes())
        with opened(tmp_path) as database:
            assert len(noted(database)) == count


def test_when_the_clock_goes_back_the_newest_is_still_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as database:
        first = taken_ms(copy_now(database))
        monkeypatch.setattr(time, "time_ns", lambda: 0)
        assert taken_ms(copy_now(database)) == first + 1


def test_without_room_the_daemon_goes_on_and_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    room, clock = SimpleNamespace(f_bavail=1, f_frsize=4096), Clock()
    monkeypatch.setattr(os, "statvfs", lambda _: room)
    with opened(tmp_path) as database:
        found = Generations(database, clock)
        for _ in range(2):
            clock.now_s += FIRST_S
            found.keep_one()
            room.f_bavail = 10_000
        assert len(generations_of(database.path)) == 1
    assert caplog.text.count("too little room for a copy") == 1


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with opened(tmp_path) as database:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(ValueError, match="max"):
                copy_now(database)
        assert not list(tmp_path.glob("*new*"))
        note(database, "a")  # goes on


def test_damage_under_a_running_daemon_ends_it_and_the_next_start_recovers(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        note(database, "a", 3)
        copy_now(database)
        note(database, "b", 9)
        database.shorten_log(above_bytes=0)
        with open(database.path, "r+b") as file:
            file.seek(5 * 4096)
            file.write(os.urandom(4096 * 4))
        with pytest.raises(StorageError, match="the next start recovers it") as refused:
            copy_now(database)
        assert refused.value.exit_code == 74
        assert len(generations_of(database.path)) == 1
    with opened(tmp_path) as database:
        assert noted(database) == ["a-0", "a-1", "a-2"]


def test_a_copy_that_no_start_would_take_does_not_push_out_one_that_it_would(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        sound = copy_now(database)
        with database.transaction() as connection:
            connection.execute("INSERT INTO offset (stream, origin, position, crc) VALUES ('s', 'file:/a', '{}', 1)")
        with pytest.raises(StorageError, match="the position of file:/a of stream s in it is damaged") as refused:
            copy_now(database)
        assert refused.value.exit_code == 74
        assert generations_of(database.path) == [sound]
        assert not list(tmp_path.glob("*new*"))


def test_what_is_no_database_has_a_fault(tmp_path: Path) -> None:
    path = leave(tmp_path)
    (tmp_path / "x").write_bytes(b"text")
    (tmp_path / "empty").write_bytes(b"")
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 4] = bytes(4096)
    (tmp_path / "zeroed").write_bytes(data)
    for name in ("x", "empty", "zeroed", "absent"):
        assert fault_of(tmp_path / name), name


def test_a_start_sweeps_away_what_a_crash_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = leave(tmp_path)
    for name in ("generation", "restored", "note"):
        path.with_name(f"state.db.new-{name}").write_bytes(b"half")
    with caplog.at_level(logging.WARNING), opened(tmp_path):
        assert not list(tmp_path.glob("*new-*"))
    assert "did not end cleanly; 0 journal entries" in caplog.text
