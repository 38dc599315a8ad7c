"""The folder of --storage.path: ours, root's, somebody else's, or open to others."""

import os
from pathlib import Path

import pytest

from driftmon.daemon.access.folder import check_folder
from driftmon.daemon.database import StorageError


def test_a_folder_of_somebody_else_is_refused_and_of_root_or_ones_own_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr("driftmon.daemon.access.folder.os.geteuid", lambda: owner + 1)
    if owner == 0:
        check_folder(tmp_path)
        try:
            os.chown(tmp_path, 12345, -1)
        except PermissionError:
            pytest.skip("root of a user namespace cannot give files away")
    with pytest.raises(StorageError, match=r"belongs to user \d+, not to \d+ who runs this; chown it") as refused:
        check_folder(tmp_path)
    assert refused.value.exit_code == 73
    monkeypatch.setattr("driftmon.daemon.access.folder.os.geteuid", lambda: tmp_path.stat().st_uid)
    check_folder(tmp_path)
    monkeypatch.setattr("driftmon.daemon.access.folder.os.geteuid", lambda: 0)
    check_folder(tmp_path)


@pytest.mark.parametrize(
    ("mode", "told"),
    [(0o700, ""), (0o755, ""), (0o770, "by its group,"), (0o777, "by its group and everybody,")],
)
def test_that_others_may_write_there_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, told: str
) -> None:
    tmp_path.chmod(mode)
    check_folder(tmp_path)
    assert bool(told) == bool(caplog.messages)
    assert told in "".join(caplog.messages)


def test_what_is_not_there_yet_is_nobodys(tmp_path: Path) -> None:
    check_folder(tmp_path / "none")
