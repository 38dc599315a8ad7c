"""Recovery without a human: whatever is damaged, the start works, once and for all, and says what was lost."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from driftmon.daemon import generations
from driftmon.daemon.database import StorageError
from driftmon.daemon.generations import generations_of
from driftmon.daemon.recovery import KEEP_ASIDE, resume
from tests.daemon.kit import ndjson, ready_config, records, running, stream
from tests.daemon.state_kit import by_hand, copy_now, leave, note, noted, opened
from tests.daemon.test_app import Daemon

GENERATION = ["g-0", "g-1"]
EVERYTHING = [*GENERATION, "f-0", "f-1", "w-0", "w-1", "w-2", "w-3"]

Damage = Callable[[Path], Any]


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def cut(share: float) -> Damage:
    return lambda path: os.truncate(path, int(share * path.stat().st_size))


def overwrite(at: int, data: bytes) -> Damage:
    def damage(path: Path) -> None:
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(data)

    return damage


def in_log(damage: Damage) -> Damage:
    return lambda path: damage(log_of(path))


def without_log(damage: Damage) -> Damage:
    """Of the file as it is after an orderly end."""

    def both(path: Path) -> None:
        log_of(path).unlink()
        damage(path)

    return both


def instead(statement: str) -> Damage:
    """Another database."""

    def damage(path: Path) -> None:
        path.unlink()
        by_hand(path, statement)

    return damage


def garble(old: bytes, new: bytes) -> Damage:
    return lambda path: path.write_bytes(path.read_bytes().replace(old, new))


def index_of_another_table(path: Path) -> None:
    """A key in an index that its table has not; quick_check does not look at it."""
    log_of(path).unlink()
    data = path.read_bytes()
    at = data.rindex(b"gg-1")  # stream and key of a row, as the index of `seen` has them
    overwrite(at, b"gg-7")(path)


def folder_there(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").write_text("")


def pipe_there(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder_as_log(path: Path) -> None:
    log_of(path).unlink()
    log_of(path).mkdir()


DAMAGES: dict[str, Damage] = {
    **{f"cut to {share}": without_log(cut(share)) for share in (0.0, 0.001, 0.2, 0.5, 0.9, 0.999)},
    "cut to nothing, with a log": cut(0.0),
    "no file": Path.unlink,
    "no file and no log": without_log(Path.unlink),
    "text": lambda path: path.write_bytes(b"not a database, " * 1000),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "magic": without_log(overwrite(0, b"X")),
    "write version": without_log(overwrite(18, b"\7")),
    "page size": without_log(overwrite(16, b"\0\3")),
    "first page": without_log(overwrite(100, b"\xff" * 200)),
    "a page": without_log(overwrite(4096 * 5, b"\xff" * 4096)),
    "no tables": without_log(instead("PRAGMA user_version = 1")),
    "other tables": without_log(instead("CREATE TABLE x (y)")),
    "no meta": without_log(lambda path: by_hand(path, "DROP TABLE meta")),
    "no version": without_log(lambda path: by_hand(path, "DELETE FROM meta")),
    "version 0": without_log(lambda path: by_hand(path, "UPDATE meta SET value = 0")),
    "no index": without_log(lambda path: by_hand(path, "DROP INDEX seen_at")),
    "a name in the schema": without_log(garble(b"data BLOB NOT NULL", b"data BLOB \xceOT NULL")),
    "an index": index_of_another_table,
    "a folder": folder_there,
    "a pipe": pipe_there,
    "log of zeros": in_log(lambda path: path.write_bytes(bytes(path.stat().st_size))),
    "log of noise": in_log(lambda path: path.write_bytes(random.Random(1).randbytes(50_000))),
    "head of the log": in_log(overwrite(5, b"\xff")),
    "first frame of the log": in_log(overwrite(32 + 1000, b"\xff\xfe")),
    "a folder as log": folder_as_log,
}


@pytest.mark.parametrize("name", DAMAGES)
def test_the_newest_generation_takes_the_place_of_what_is_damaged(tmp_path: Path, name: str) -> None:
    path = leave(tmp_path)
    DAMAGES[name](path)
    with opened(tmp_path) as database:
        found = database.health.recovery
        assert found is not None
        assert (found.source, noted(database)) == ("generation", GENERATION)
        assert found.lost_s is not None
        note(database, "new")
    left = sorted(one.name for one in tmp_path.iterdir() if not one.name.endswith(("-wal", "-journal")))
    assert left == ["state.db", found.aside, found.generation]
    with opened(tmp_path) as database:
        assert database.health.recovery is None, "the same damage is found once"
        assert noted(database) == [*GENERATION, "new-0"]


@pytest.mark.parametrize("spoilt", [1, 2, 3])
def test_the_next_one_if_it_is_bad_too_and_empty_if_all_are(tmp_path: Path, spoilt: int) -> None:
    with opened(tmp_path) as database:
        for name in "abc":
            note(database, name)
            copy_now(database)
    for one in generations_of(tmp_path / "state.db")[:spoilt]:
        overwrite(4096, b"\xff" * 4096)(one)
    (tmp_path / "state.db").write_bytes(b"no")
    with opened(tmp_path) as database:
        found = database.health.recovery
        assert found is not None
        assert found.source == ("empty" if spoilt == 3 else "generation")
        assert (found.lost_s is None) == (spoilt == 3)
        assert noted(database) == [f"{name}-0" for name in "abc"[: 3 - spoilt]]
    assert len(generations_of(tmp_path / "state.db")) == 3 - spoilt
    with opened(tmp_path) as database:
        assert database.health.recovery is None


def test_a_generation_that_looks_sound_and_does_not_open_is_tried_once(tmp_path: Path) -> None:
    path = leave(tmp_path)
    (made,) = generations_of(path)
    by_hand(made, "DROP TABLE seen")
    path.write_bytes(b"no")
    with opened(tmp_path) as database:
        assert database.health.recovery is not None
        assert database.health.recovery.source == "empty"
    with opened(tmp_path) as database:
        assert database.health.recovery is None


def test_without_a_generation_the_start_is_empty_and_a_new_one_is_no_recovery(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        assert database.health.recovery is None
    (tmp_path / "state.db").write_bytes(b"")
    with opened(tmp_path) as database:
        assert database.health.recovery is None, "as a crash leaves it before the first commit"
    (tmp_path / "state.db").write_bytes(b"no")
    with opened(tmp_path) as database:
        assert database.health.recovery is not None
        samples = {one.metric.name: one.samples for one in database.health.families()}
        assert samples["driftmon_state_recovered"] == [(("generation",), 0.0), (("empty",), 1.0)]
        assert "driftmon_state_lost_seconds" not in samples


def test_the_lost_window_is_from_the_generation_to_the_last_commit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = leave(tmp_path)
    (made,) = generations_of(path)
    made.rename(made.with_name(f"state.db.generation-{1_000_000}"))
    log_of(path).write_bytes(bytes(100))
    os.utime(log_of(path), (3000, 3000))
    os.utime(path, (2000, 2000))
    with opened(tmp_path) as database:
        samples = {one.metric.name: one.samples for one in database.health.families()}
    assert samples["driftmon_state_lost_seconds"] == [((), 2000.0)]
    assert "state.db.generation-1000000 takes its place: what was counted in the 2000 s before is lost" in caplog.text


def test_the_newest_three_put_aside_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 5_000_000)  # all in one ms, and each has its name
    (tmp_path / "state.db.corrupt-1").mkdir()
    for number in range(KEEP_ASIDE + 2):
        path = leave(tmp_path)
        log_of(path).unlink()
        path.write_bytes(b"no %d" % number)
        with opened(tmp_path):
            pass
    aside = sorted(one for one in tmp_path.glob("state.db.corrupt-*") if one.is_file())
    assert [one.read_bytes() for one in aside] == [b"no 2", b"no 3", b"no 4"]
    assert (tmp_path / "state.db.corrupt-1").is_dir(), "a folder is left alone"


def test_a_note_that_is_not_ours_is_no_reason_to_move_anything(tmp_path: Path) -> None:
    path = leave(tmp_path)
    for text in ("", "{}", "[1]", '{"x": 1}'):
        path.with_name("state.db.recovering").write_text(text)
        assert resume(path) is None
        assert not path.with_name("state.db.recovering").exists()
    with opened(tmp_path) as database:
        assert noted(database) == EVERYTHING


class Crash(BaseException):
    """kill -9 at this call."""


@pytest.mark.parametrize("after", [False, True])
def test_vector_25570_crash_between_unlink_and_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """A crash before or after any call that changes the folder, and a second one in the start that follows."""
    last, number = 0, 0
    gc.freeze()  # what was there before is left alone by the collections in `_crashing`: each looked at all of it
    while last == number:  # until a start needs fewer calls than it is allowed
        number += 1
        folder = tmp_path / str(number)
        path = leave(folder)
        path.write_bytes(b"no")
        last = _crashing(monkeypatch, folder, number, after)
        _crashing(monkeypatch, folder, 1 + number % 3, after)
        with opened(folder) as database:
            assert noted(database) == GENERATION, number
        left = {one.name.rstrip("-0123456789") for one in folder.iterdir()}
        assert left == {"state.db", "state.db.corrupt", "state.db.generation", *_log_aside(folder)}, number
        with opened(folder) as database:
            assert database.health.recovery is None
    gc.unfreeze()
    assert number > 10, "too few calls were found to crash at"


def _log_aside(folder: Path) -> set[str]:
    return {one.name for one in folder.glob("state.db.corrupt-*-wal")}


def _crashing(monkeypatch: pytest.MonkeyPatch, folder: Path, at: int, after: bool) -> int:
    """A start that ends at its call of that number; how many there were."""
    count = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def one(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == at and not after:
                raise Crash
            result = call(*arguments, **named)
            if count == at:
                raise Crash
            return result

        return one

    with monkeypatch.context() as patch, suppress(Crash):
        patch.setattr(os, "fsync", counted(os.fsync))
        for name in ("rename", "replace", "unlink"):
            patch.setattr(Path, name, counted(getattr(Path, name)))
        with opened(folder):
            pass
    gc.collect()  # the lock of a process that has crashed is free; here the connection of the start is in a cycle
    return count


def test_vector_17644_corrupt_does_not_hang(tmp_path: Path) -> None:
    """The daemon itself over damage: it counts in good time, says what happened, and SIGTERM ends it."""
    path = leave(tmp_path / "state")
    path.write_bytes(random.Random(2).randbytes(100_000))
    log_of(path).write_bytes(random.Random(3).randbytes(100_000))
    started_s = time.monotonic()
    daemon = Daemon(ready_config(tmp_path), "--storage.path", str(tmp_path / "state"))
    daemon.post(records(20))
    daemon.wait_for_observations(20)
    daemon.wait_for_metric('driftmon_state_recovered{source="generation"}', 1.0)
    assert daemon.stop() == 0
    assert time.monotonic() - started_s < 60
    assert "takes its place: what was counted in the" in daemon.log.read_text()


def test_a_file_is_read_on_from_the_position_of_the_generation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was counted after it is counted again, once: sent equals counted."""
    followed, state = tmp_path / "a.ndjson", tmp_path / "state"
    followed.write_bytes(ndjson(records(300)))
    sources = [{"type": "http"}, {"type": "file", "path": str(followed), "follow": True}]
    config = ready_config(tmp_path, {"s": stream(sources=sources)})

    async def first() -> None:
        monkeypatch.setattr(generations, "FIRST_S", 0.0)
        async with running(config, state) as daemon:
            await daemon.observed(at_least=300)
            while not generations_of(state / "state.db"):
                await asyncio.sleep(0.02)
            monkeypatch.setattr(generations, "EVERY_S", 1e9)
            with followed.open("ab") as file:
                file.write(ndjson(records(200, seed=1)))
            await daemon.observed(at_least=500)

    async def second() -> int:
        async with running(config, state) as daemon:
            assert await daemon.metric('driftmon_state_recovered{source="generation"}') == 1
            assert await daemon.metric("driftmon_state_lost_seconds") >= 0
            with followed.open("ab") as file:
                file.write(ndjson(records(100, seed=2)))
            await daemon.observed(at_least=600)
            await daemon.post(ndjson(records(1)))
            found = await daemon.observed(at_least=601)
            return int(found["observations_total"])

    asyncio.run(first())
    overwrite(0, b"no")(state / "state.db")
    assert asyncio.run(second()) == 601


def test_a_disk_that_fails_during_the_recovery_exits_74_and_the_next_start_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = leave(tmp_path)
    path.write_bytes(b"no")

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StorageError, match="check the disk") as refused, opened(tmp_path):
            pass
        assert refused.value.exit_code == 74
    with opened(tmp_path) as database:
        assert noted(database) == GENERATION
    assert generations_of(path)
