"""What may happen to a followed file besides being appended to, one by one: nothing is lost silently."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftmon.sources import file, rotation
from driftmon.sources.base import Position
from driftmon.sources.rotation import Moved, Name, Opened, after, names, where
from tests.sources.following import Follower, stepped


@pytest.fixture(autouse=True)
def _stepped() -> Iterator[None]:
    with stepped():
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "a.log"
    found.write_bytes(b"1\n2\n")
    return found


def begun(path: Path, line_bytes: int = 65_536) -> Follower:
    """It has counted lines 1 and 2."""
    follower = Follower(path, line_bytes)
    assert follower.read() == [b"1", b"2"]
    follower.commit()
    return follower


def ended(follower: Follower, gaps: int = 0) -> None:
    follower.end()
    assert follower.gaps == gaps


def test_several_rotations_while_nobody_reads(path: Path) -> None:
    follower = begun(path)
    follower.end()
    with path.open("ab") as writer:
        writer.write(b"3\n4")
    path.rename(path.with_name("a.log.3"))
    path.with_name("a.log.2").write_bytes(b"")
    path.with_name("a.log.1").write_bytes(b"5\n")
    path.with_name("a.log.4").write_bytes(b"long ago\n")
    os.utime(path.with_name("a.log.4"), (0, 0))
    path.write_bytes(b"6\n")
    follower.crash()
    assert follower.read() == [b"3", b"4", b"5", b"6"]
    ended(follower)


def test_the_rest_of_a_compressed_file(path: Path) -> None:
    follower = begun(path)
    follower.end()
    whole = path.read_bytes() + b"3\n"
    path.with_name("a.log.1.gz").write_bytes(gzip.compress(whole))
    path.with_name("a.log.2.gz").write_bytes(b"no gzip at all")
    path.unlink()
    path.write_bytes(b"4\n")
    follower.crash()
    assert follower.read() == [b"3", b"4"]
    ended(follower)


def test_a_file_that_is_being_compressed_is_not_two(path: Path) -> None:
    follower = begun(path)
    follower.end()
    path.rename(path.with_name("a.log.2"))
    path.with_name("a.log.1").write_bytes(b"3\n")
    path.with_name("a.log.1.gz").write_bytes(gzip.compress(b"3\n")[:5])
    path.write_bytes(b"4\n")
    follower.crash()
    assert follower.read() == [b"3", b"4"]
    ended(follower)


def test_a_removed_file_is_a_gap_and_what_came_after_it_is_read(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    follower = begun(path)
    follower.end()
    path.unlink()
    path.with_name("a.log.2").write_bytes(b"before\n")
    os.utime(path.with_name("a.log.2"), (0, 0))
    path.with_name("a.log.1").write_bytes(b"5\n")
    path.write_bytes(b"6\n")
    os.utime(path.with_name("a.log.1"), (2**32, 2**32))
    follower.crash()
    assert follower.read() == [b"5", b"6"]
    ended(follower, gaps=1)
    assert "was truncated or removed after byte 4 (line 3) was read" in caplog.text


def test_a_file_that_was_truncated_while_nobody_read_is_a_gap(path: Path) -> None:
    follower = begun(path)
    follower.end()
    path.write_bytes(b"3\n")
    follower.crash()
    assert follower.read() == [b"3"]
    ended(follower, gaps=1)


def test_a_file_that_was_truncated_while_it_is_read_is_a_gap_and_its_torn_line_is_part_of_it(path: Path) -> None:
    follower = begun(path)
    with path.open("ab") as writer:
        writer.write(b"torn")
    assert follower.read() == []
    path.write_bytes(b"")
    assert follower.read() == []
    path.write_bytes(b"3\n")
    assert follower.read() == [b"3"]
    ended(follower, gaps=1)


def test_a_file_that_was_written_anew_and_is_longer_now(path: Path) -> None:
    """Between two looks: only its first bytes tell."""
    follower = begun(path)
    path.write_bytes(b"3\n4\n5\n6\n")
    assert follower.read() == [b"3", b"4", b"5", b"6"]
    ended(follower, gaps=1)


def test_copytruncate_is_read_from_the_copy(path: Path) -> None:
    follower = begun(path)
    path.with_name("a.log.1").write_bytes(b"1\n2\n3\n")
    path.write_bytes(b"4\n")
    assert follower.read() == [b"3", b"4"]
    ended(follower)


def test_an_inode_that_is_used_again_is_another_file(path: Path) -> None:
    """As ext4 does at once; here the same inode with other bytes."""
    follower = begun(path)
    follower.end()
    path.with_name("a.log.1").write_bytes(b"1\n2\n3\n")
    with path.open("r+b") as writer:
        writer.write(b"4\n5\n6\n7\n")
    follower.crash()
    assert follower.read() == [b"3", b"4", b"5", b"6", b"7"]
    ended(follower)


def test_a_file_that_is_renamed_to_anything_is_found(path: Path) -> None:
    follower = begun(path)
    follower.end()
    with path.open("ab") as writer:
        writer.write(b"3\n")
    path.rename(path.with_name("put away"))
    path.write_bytes(b"4\n")
    follower.crash()
    assert follower.read() == [b"3", b"4"]
    ended(follower)


def test_a_file_that_vanishes_and_returns_goes_on(path: Path) -> None:
    follower = begun(path)
    away = path.rename(path.with_name("away"))
    assert follower.read() == []
    with away.open("ab") as writer:
        writer.write(b"3\n")
    assert follower.read() == [b"3"], "it is held open"
    away.rename(path)
    with path.open("ab") as writer:
        writer.write(b"4\n")
    assert follower.read() == [b"4"]
    ended(follower)


def test_the_old_file_is_read_until_its_writer_has_moved_on(path: Path) -> None:
    """logrotate creates the new file before it tells the writer."""
    follower = begun(path)
    with path.open("ab") as writer:
        path.rename(path.with_name("a.log.1"))
        path.touch()
        assert follower.read() == []
        writer.write(b"3\n")
    path.write_bytes(b"4\n")
    assert follower.read() == [b"3", b"4"]
    ended(follower)


def test_a_link_that_is_turned_to_another_file(tmp_path: Path) -> None:
    one, two, link = tmp_path / "one.log", tmp_path / "two.log", tmp_path / "current"
    one.write_bytes(b"1\n2\n")
    link.symlink_to(one)
    follower = begun(link)
    follower.end()
    with one.open("ab") as writer:
        writer.write(b"3\n")
    link.unlink()
    link.symlink_to(two)
    two.write_bytes(b"4\n")
    follower.crash()
    assert follower.read() == [b"3", b"4"]
    ended(follower)


def test_a_line_that_is_too_long_comes_once_and_is_read_from_its_start_after_a_crash(path: Path) -> None:
    follower = begun(path, line_bytes=100)
    with path.open("ab") as writer:
        writer.write(b"3\n" + b"x" * 1000)
    assert follower.read() == [b"3"]
    follower.commit()
    follower.crash()
    with path.open("ab") as writer:
        writer.write(b"x" * 1000 + b"\n4\n")
    long, last = follower.read()
    assert (len(long) > 100, long.strip(b"x"), last) == (True, b"", b"4")
    ended(follower)


def test_a_stop_leaves_the_torn_last_line_to_the_next_process(path: Path) -> None:
    with path.open("ab") as writer:
        writer.write(b"3")
    follower = begun(path)
    follower.crash()
    with path.open("ab") as writer:
        writer.write(b"3\n")
    assert follower.read() == [b"33"]
    ended(follower)


def test_a_file_that_may_not_be_read_for_a_while_is_no_gap(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = begun(path)
    follower.end()
    with monkeypatch.context() as patch:

        def refused(_: Path) -> Opened:
            raise PermissionError

        patch.setattr(rotation, "Opened", refused)
        follower.crash()
        with pytest.raises(PermissionError):
            follower.read()
    with path.open("ab") as writer:
        writer.write(b"3\r\n")
    assert follower.source.progress.gap_events == 0
    follower = Follower(path)
    assert follower.read() == [b"1", b"2", b"3"]
    ended(follower)


def test_a_reader_that_stops_while_the_next_file_is_open_leaves_nothing_open(path: Path) -> None:
    follower = begun(path)
    with path.open("ab") as writer:
        writer.write(b"3")
    path.rename(path.with_name("a.log.1"))
    path.write_bytes(b"4\n")
    while (block := follower.step()) is None:
        pass
    assert block.data == b"3"  # the last line of the old file needs no line end
    ended(follower)


def test_csv_goes_on_in_the_renamed_file_with_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x\n1\n")
    follower = Follower(path)
    assert follower.read() == [b"x", b"1"]
    follower.commit()
    with path.open("ab") as writer:
        writer.write(b"2\n")
    path.rename(tmp_path / "a.csv.1")
    path.write_bytes(b"x\n3\n")
    follower.crash()
    assert follower.read() == [b"x", b"2", b"x", b"3"]
    ended(follower)


def test_the_lag_is_what_was_not_read_of_the_file_and_of_its_successor(path: Path) -> None:
    follower = Follower(path)
    lag = follower.source.progress.lag_bytes
    assert lag is not None
    assert lag() == 4, "nothing is open yet"
    follower.read()
    assert lag() == 0
    with path.open("ab") as writer:
        writer.write(b"333\n4")
    assert lag() == 5
    path.rename(path.with_name("a.log.1"))
    assert lag() == 5
    path.write_bytes(b"55\n")
    assert lag() == 8
    follower.read()
    assert lag() == 0
    follower.end()
    path.unlink()
    assert lag() == 0


def test_the_lag_of_what_is_compressed_is_not_known(path: Path) -> None:
    follower = begun(path)
    follower.end()
    path.unlink()
    path.with_name("a.log.1.gz").write_bytes(gzip.compress(b"1\n2\n3\n"))
    follower.crash()
    assert follower.read() == [b"3"]
    lag = follower.source.progress.lag_bytes
    assert lag is not None
    assert lag() == 0
    ended(follower)
    assert file.Source("s", file.Options(path), follower.limits).progress.lag_bytes is None


def position_of(path: Path) -> Position:
    opened = Opened(path)
    found: Position = {"offset": 0, "line": 1, **opened.identity()}
    opened.file.close()
    return found


def test_a_name_that_moves_during_a_search_starts_it_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    position = position_of(path)
    looks, at_rest = iter(range(2)), rotation._names

    def moving(_: Path) -> tuple[list[Name], Name | None]:
        inode = next(looks, None)
        return at_rest(path) if inode is None else ([], Name(path, inode, 1, 1))

    monkeypatch.setattr(rotation, "_names", moving)
    found = where(path, position)
    assert found is not None
    found.file.close()


def test_names_that_never_rest_are_an_error_and_no_gap(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def moving(_: Path) -> tuple[list[Name], Name | None]:
        raise Moved

    monkeypatch.setattr(rotation, "_names", moving)
    with pytest.raises(OSError, match="are renamed all the time"):
        after(path, {})


def test_nothing_comes_after_the_file_that_has_the_name(path: Path) -> None:
    path.with_name("a.log.1").write_bytes(b"0\n")
    assert after(path, position_of(path)) is None


def test_a_name_of_another_file_by_now_is_not_opened(path: Path) -> None:
    with pytest.raises(Moved):
        Name(path, 1, 4, 0).opened()
    with pytest.raises(Moved):
        Name(path.with_name("none"), 1, 4, 0).opened()


def test_a_name_that_is_gone_since_its_folder_was_read_starts_the_search_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    position, ghosts, files = position_of(path), iter([["ghost"], ["a.log.1"]]), rotation._files
    path.rename(path.with_name("away"))
    monkeypatch.setattr(rotation, "_files", lambda folder: [*files(folder), *next(ghosts, [])])
    found = where(path, position)
    assert found is not None
    found.file.close()


def test_a_followed_file_that_comes_later(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "a.log")
    assert follower.read() == []
    follower.path.write_bytes(b"1\n")
    assert follower.read() == [b"1"]
    ended(follower)


def test_a_folder_that_is_gone_has_no_files(tmp_path: Path) -> None:
    assert names(tmp_path / "none" / "a.log") == ([], None)
