"""Opening: the exit code of every reason not to start, older versions, and whether the last run ended in good order."""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from driftmon.daemon import database as database_module
from driftmon.daemon import migrating, opening
from driftmon.daemon.database import Damaged, DiskFull, StorageError
from driftmon.daemon.migrating import migrate
from driftmon.daemon.opening import open_database
from driftmon.daemon.state_folder import caution_of, warn_of_filesystem
from driftmon.daemon.store import Store
from driftmon.daemon.tables import VERSION
from tests.daemon.state_kit import by_hand, leave, note, noted, opened

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).with_name("golden") / "state_v1.sql"


def refused(folder: Path) -> tuple[int, str]:
    with pytest.raises(StorageError) as found:
        open_database(folder)
    return found.value.exit_code, str(found.value)


def sqlite_fault(code: int) -> sqlite3.Error:
    fault = sqlite3.OperationalError("it failed")
    fault.sqlite_errorcode = code
    return fault


@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        (sqlite3.SQLITE_BUSY, 75, "another driftmon uses it"),
        (sqlite3.SQLITE_LOCKED, 75, "another driftmon uses it"),
        (sqlite3.SQLITE_IOERR | 2 << 8, 74, "check the disk"),
        (sqlite3.SQLITE_FULL, 73, "make room"),
        (sqlite3.SQLITE_CANTOPEN, 73, "choose a folder this user may write"),
    ],
)
def test_what_sqlite_refuses_has_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, exit_code: int, words: str
) -> None:
    def refuse(*_: object) -> None:
        raise sqlite_fault(code)

    with monkeypatch.context() as patch:
        patch.setattr(opening, "_prepare", refuse)
        found, message = refused(tmp_path)
    assert (found, words in message) == (exit_code, True), message
    assert not list(tmp_path.glob("*corrupt*")), "nothing is put aside for it"
    with opened(tmp_path):
        pass


@pytest.mark.parametrize(("number", "exit_code"), [(5, 74), (28, 73), (30, 73), (13, 73)])
def test_what_the_system_refuses_has_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, exit_code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    code, message = refused(tmp_path)
    assert (code, os.strerror(number) in message) == (exit_code, True)


@pytest.mark.parametrize("name", ["state.db", "state.db-wal"])
def test_no_state_is_written_through_a_link(tmp_path: Path, name: str) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / name).symlink_to(target)
    code, message = refused(tmp_path / "state")
    assert (code, "symbolic link" in message) == (73, True)
    assert target.read_text() == "precious"


def test_a_second_daemon_judges_nothing_while_the_first_one_writes(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        tmp_path.joinpath("state.db.new-generation").write_bytes(b"half of one")
        assert refused(tmp_path)[0] == 75
        assert tmp_path.joinpath("state.db.new-generation").exists(), "that is the first one's"
        note(database, "a")
    assert not list(tmp_path.glob("*corrupt*"))


def test_where_folders_cannot_be_locked_sqlite_still_keeps_a_second_one_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with opened(tmp_path):
        script = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0); c.execute('SELECT * FROM sqlite_schema')"
        )
        other = subprocess.run(
            [sys.executable, "-c", script, tmp_path / "state.db"], capture_output=True, text=True, check=False
        )
        assert "database is locked" in other.stderr


def test_a_newer_version_is_told_and_what_to_do(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    by_hand(tmp_path / "state.db", "UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    by_hand(tmp_path / "state.db", "PRAGMA user_version = 99")
    code, message = refused(tmp_path)
    assert code == 73
    assert f"its version is 99, this one knows {VERSION}); use that one, or another --storage.path" in message


def golden(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    connection = sqlite3.connect(folder / "state.db")
    connection.executescript(GOLDEN.read_text())
    connection.close()
    return folder / "state.db"


def test_a_database_of_version_1_becomes_one_of_ours_with_all_its_rows(tmp_path: Path) -> None:
    golden(tmp_path)
    with opened(tmp_path) as database, opened(tmp_path / "new") as new:
        schema = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
        assert [tidy(row) for row in database.rows(schema)] == [tidy(row) for row in new.rows(schema)]
        assert database.health.recovery is None
        assert database.rows("SELECT value FROM meta WHERE key = 'schema_version'") == [(VERSION,)]
        assert noted(database) == ["a", "b"]
        assert database.rows("SELECT position FROM offset") == [('{"offset": 7}',)]
        assert database.rows("SELECT * FROM journal") == [(1, "s", 2, b"\1")]
        assert database.rows("SELECT data FROM pane") == [(b"\0",)]


def tidy(row: tuple[str, str]) -> tuple[str, str]:
    return row[0], re.sub(r"\s+", " ", row[1])


def test_a_step_that_is_refused_changes_nothing_and_one_that_has_no_room_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden(tmp_path)
    next_one = VERSION + 1
    monkeypatch.setattr(migrating, "VERSION", next_one)
    bad = {**migrating.SCRIPTS, next_one: "CREATE TABLE more (x); CREATE TABLE meta (x);"}
    with monkeypatch.context() as patch:
        patch.setattr(migrating, "SCRIPTS", bad)
        code, message = refused(tmp_path)
        assert (code, f"cannot become version {next_one}" in message) == (73, True)
        assert refused(tmp_path)[0] == 73
    assert not list(tmp_path.glob("*corrupt*"))
    monkeypatch.setattr(opening, "VERSION", next_one)
    monkeypatch.setattr(migrating, "SCRIPTS", {**bad, next_one: "CREATE TABLE more (x);"})
    with opened(tmp_path) as database:
        assert database.rows("SELECT count(*) FROM more") == [(0,)]
    with pytest.raises(sqlite3.OperationalError):
        migrate(_Full(), tmp_path, VERSION)


class _Full(sqlite3.Connection):
    def __init__(self) -> None:
        super().__init__(":memory:")

    def execute(self, *_: object) -> sqlite3.Cursor:
        raise sqlite_fault(sqlite3.SQLITE_FULL)


def meta(database: database_module.Database) -> dict[str, int]:
    return dict(database.rows("SELECT key, value FROM meta"))


def test_a_run_that_did_not_end_cleanly_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(tmp_path) as database:
        identity = meta(database)["instance_id"]
        assert meta(database)["clean_shutdown"] == 0
    with opened(tmp_path) as database:
        assert meta(database)["instance_id"] == identity
        with database.transaction() as connection:
            connection.execute("INSERT INTO stream VALUES ('s', x'', NULL, x'', NULL)")
            connection.execute("INSERT INTO journal (stream, crc, delta) VALUES ('s', 0, x'')")
    assert caplog.text == ""
    by_hand(tmp_path / "state.db", "UPDATE meta SET value = 0 WHERE key = 'clean_shutdown'")
    with opened(tmp_path):
        assert "the last run did not end cleanly; 1 journal entries are read again" in caplog.text
    caplog.clear()
    with opened(tmp_path):
        assert caplog.text == ""


def test_the_log_of_a_killed_run_is_moved_into_the_file_at_once(tmp_path: Path) -> None:
    path = leave(tmp_path)
    with opened(tmp_path) as database:
        assert path.with_name("state.db-wal").stat().st_size == 0
        assert len(noted(database)) == 8


def test_a_full_disk_keeps_no_daemon_with_a_database_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise DiskFull

    monkeypatch.setattr(database_module.Database, "shorten_log", full)
    begin: Any = opening._begin

    def begin_without_room(connection: sqlite3.Connection, path: Path) -> None:
        begin(_NoRoom(connection), path)

    monkeypatch.setattr(opening, "_begin", begin_without_room)
    with opened(tmp_path) as database:
        assert len(noted(database)) == 8


class _NoRoom:
    """A connection whose inserts fail."""

    def __init__(self, connection: sqlite3.Connection, code: int = sqlite3.SQLITE_FULL) -> None:
        self._connection, self._code = connection, code
        self.rollback = connection.rollback

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, statement: str, *rest: Any) -> sqlite3.Cursor:
        if statement.startswith("INSERT"):
            raise sqlite_fault(self._code)
        return self._connection.execute(statement, *rest)


def test_another_fault_of_that_note_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin: Any = opening._begin
    monkeypatch.setattr(opening, "_begin", lambda one, path: begin(_NoRoom(one, sqlite3.SQLITE_IOERR), path))
    assert refused(tmp_path)[0] == 74


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A small tmpfs; skipped where mounting is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "driftmon-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mount needs root and a kernel that lets it")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("had_state", [False, True])
def test_a_filesystem_that_is_read_only_exits_73(tmp_path: Path, had_state: bool) -> None:
    with mounted(tmp_path / "disk", "size=2m") as disk:
        if had_state:
            leave(disk / "state")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        code, message = refused(disk / "state")
        assert (code, "Read-only file system" in message) == (73, True)


def test_a_folder_of_somebody_else_exits_73(tmp_path: Path) -> None:
    """As another user: root may write anywhere."""
    (tmp_path / "state").mkdir(mode=0o555)
    if os.geteuid() != 0:
        assert refused(tmp_path / "state")[0] == 73
        return
    child = os.fork()
    if child == 0:
        code = 0
        try:
            os.chmod(tmp_path, 0o755)
            os.chdir(tmp_path)
            os.setuid(65534)
            open_database(Path("state"))
        except StorageError as fault:
            code = fault.exit_code
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 73


def test_on_a_small_full_disk_a_copy_is_not_made_and_a_start_works(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m") as disk:
        with opened(disk) as database, pytest.raises(DiskFull):
            note(database, "a", 1000)
        with opened(disk) as database:
            assert database.health.recovery is None
            assert noted(database)[:3] == ["a-0", "a-1", "a-2"]


def test_a_filesystem_that_may_lose_state_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with mounted(tmp_path / "my disk", "size=1m") as disk:
        warn_of_filesystem(disk)
    assert "it lies on tmpfs, which is gone with its container or machine; mount a volume there" in caplog.text


def test_of_mounts_the_nearest_and_latest_counts() -> None:
    mounts = ["a / overlay rw 0 0", "b /data ext4 rw 0 0", r"c /da\040ta nfs4 rw 0 0", "d /data/x cifs rw 0 0"]
    assert caution_of(Path("/data/y"), mounts) == ""
    assert "overlay" in caution_of(Path("/datax"), mounts)
    assert "nfs4" in caution_of(Path("/da ta/y"), mounts)
    assert "cifs" in caution_of(Path("/data/x/y"), mounts)
    assert caution_of(Path("/data/x/y"), [*mounts, "e /data/x ext4 rw 0 0"]) == ""


def test_where_nobody_says_what_is_mounted_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def absent(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", absent)
    warn_of_filesystem(tmp_path)
    assert caplog.text == ""


def test_a_log_that_somebody_else_reads_cannot_be_moved_and_ends_the_daemon(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        note(database, "a")
        whole = database.connection
        busy: Any = _Busy()
        database.connection = busy
        with pytest.raises(StorageError, match="somebody else reads the file") as found:
            database.shorten_log(above_bytes=0)
        assert found.value.exit_code == 74
        busy.fails = True
        for step in (lambda: database.shorten_log(above_bytes=0), lambda: database.rows("SELECT 1")):
            with pytest.raises(StorageError, match="check the disk"):
                step()
        database.connection = whole


class _Busy:
    fails = False

    def execute(self, *_: object) -> Any:
        if self.fails:
            raise sqlite_fault(sqlite3.SQLITE_IOERR)
        return self

    def fetchone(self) -> tuple[int, int, int]:
        return 1, 0, 0


def test_what_fails_within_a_transaction_is_undone(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        script = ("INSERT INTO meta VALUES ('x', 1)", "INSERT INTO nowhere VALUES (1)")
        with pytest.raises(StorageError), database.transaction() as connection:
            [connection.execute(statement) for statement in script]
        assert "x" not in meta(database)


def test_damaged_rows_cost_themselves_and_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    golden(tmp_path)
    store = Store(tmp_path)
    assert (store.load("s"), store.seen()) == (None, {})
    samples = {one.metric.name: dict(one.samples) for one in store.health.families()}
    found = samples["driftmon_state_damaged_rows_total"]
    assert (found["stream",], found["seen",]) == (1.0, 2.0)
    assert "batch a is damaged" in caplog.text
    store.close()
    by_hand(tmp_path / "state.db", "UPDATE seen SET key = CAST(x'ff' AS TEXT) WHERE key = 'a'")
    store = Store(tmp_path)
    assert store.seen() == {}, "a name that is no text stops nobody"
    store.close()


def test_a_database_that_cannot_be_read_is_damaged() -> None:
    assert isinstance(opening._refusal(sqlite_fault(sqlite3.SQLITE_NOTADB), Path("x")), Damaged)
    assert isinstance(opening._refusal(sqlite_fault(sqlite3.SQLITE_READONLY), Path("x")), Damaged)
