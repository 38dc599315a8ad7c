"""SQLite's log: every byte of what was committed and followed by another commit is guarded; a torn end is no damage."""

from __future__ import annotations

import random
import sqlite3
import struct
from pathlib import Path

import pytest

from driftmon.daemon.log_check import damage_of
from tests.daemon.state_kit import leave, opened

FRAME = 4096 + 24


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = leave(tmp_path_factory.mktemp("state"))
    return path.with_name("state.db-wal").read_bytes()


def commits(log: bytes) -> list[int]:
    """Frames that end one."""
    number = (len(log) - 32) // FRAME
    return [at for at in range(number) if struct.unpack_from(">I", log, 32 + at * FRAME + 4)[0]]


def test_a_whole_log_and_a_missing_one_are_sound(log: bytes) -> None:
    assert damage_of(log) == ""
    assert damage_of(b"") == damage_of(log[:32]) == damage_of(b"\0" * 32) == ""


def test_our_sums_are_those_of_sqlite_in_either_order_of_bytes(tmp_path: Path, log: bytes) -> None:
    """A log rewritten with the other byte order: SQLite reads it, and so do we."""
    swapped = bytearray(log)
    struct.pack_into(">I", swapped, 0, 0x377F0683)
    sums = summed(bytes(swapped[:24]), (0, 0))
    struct.pack_into(">2I", swapped, 24, *sums)
    for at in range(32, len(log) - FRAME + 1, FRAME):
        sums = summed(bytes(swapped[at : at + 8] + swapped[at + 24 : at + FRAME]), sums)
        struct.pack_into(">2I", swapped, at + 16, *sums)
    assert damage_of(bytes(swapped)) == ""
    path = leave(tmp_path / "state")
    path.with_name("state.db-wal").write_bytes(swapped)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM seen").fetchone() == (8,)
    connection.close()


def summed(data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    """As the documentation has it, word by word."""
    one, two = sums
    words = struct.unpack(f">{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two


@pytest.mark.parametrize("seed", range(60))
def test_a_flipped_bit_before_the_last_commit_is_found(log: bytes, seed: int) -> None:
    chance = random.Random(seed)
    end = 32 + (commits(log)[-2] + 1) * FRAME
    at = chance.randrange(32) if seed < 10 else chance.randrange(end)
    assert damage_of(flipped(log, at, chance.randrange(8)))


def flipped(log: bytes, at: int, bit: int) -> bytes:
    damaged = bytearray(log)
    damaged[at] ^= 1 << bit
    return bytes(damaged)


def test_a_commit_that_was_cut_short_is_no_damage(log: bytes) -> None:
    """At any length, with any of its frames missing; with what an aborted one left behind it."""
    last = commits(log)[-2] + 1
    frames = (len(log) - 32) // FRAME
    assert frames - last > 2, "the last commit has frames to lose"
    for cut in range(32 + last * FRAME, len(log), 500):
        assert damage_of(log[:cut]) == ""
    for frame in range(last, frames):
        torn = bytearray(log)
        torn[32 + frame * FRAME : 32 + (frame + 1) * FRAME] = bytes(FRAME)
        assert damage_of(bytes(torn)) == ""


def test_what_is_called_damage_sqlite_would_have_left_out_in_silence(tmp_path: Path, log: bytes) -> None:
    path = leave(tmp_path / "state")
    log_path = path.with_name("state.db-wal")
    log_path.write_bytes(flipped(log_path.read_bytes(), 32 + commits(log)[0] * FRAME + 100, 0))
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM seen").fetchone() == (4,), "four commits gone, and not a word"
    connection.close()


def test_such_a_log_is_recovered_from(tmp_path: Path) -> None:
    path = leave(tmp_path / "state")
    log_path = path.with_name("state.db-wal")
    log_path.write_bytes(flipped(log_path.read_bytes(), 32 + 100, 0))
    with opened(path.parent) as database:
        assert database.health.recovery is not None
        assert database.health.recovery.reason == "frame 1 of its log is damaged"
        (aside,) = path.parent.glob("state.db.corrupt-*-wal")
        assert aside.stat().st_size > FRAME
