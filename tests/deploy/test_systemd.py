"""The systemd unit: known to systemd, hardened, and in step with the daemon's exit codes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from driftmon.daemon.app import NOTIFY_GRACE_S, REQUEST_GRACE_S
from tests.deploy.tools import DEPLOY, systemd_exposure, systemd_verify

UNIT = DEPLOY / "systemd" / "driftmon.service"
EXPOSURE_TENTHS = 15  # 1.2 when written; an ordinary service has 9.6


def installed(folder: Path, text: str) -> Path:
    """The unit as a machine would have it, where its program exists."""
    unit = folder / UNIT.name
    unit.write_text(text.replace("/opt/driftmon/bin/driftmon", sys.executable))
    return unit


def setting(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_systemd_knows_every_word_of_it(tmp_path: Path) -> None:
    assert systemd_verify(installed(tmp_path, UNIT.read_text())) == ""


@pytest.mark.parametrize(
    ("right", "wrong"), [("WatchdogSec=", "WatchdogSecs="), ("Type=notify", "Type=notified")], ids=["key", "value"]
)
def test_a_mistake_in_the_unit_is_seen_though_systemd_exits_0(tmp_path: Path, right: str, wrong: str) -> None:
    said = systemd_verify(installed(tmp_path, UNIT.read_text().replace(right, wrong)))
    assert wrong.strip("=").removeprefix("Type=") in said


def test_it_is_hardened(tmp_path: Path) -> None:
    assert systemd_exposure(installed(tmp_path, UNIT.read_text()), EXPOSURE_TENTHS) == ""
    loose = re.sub(r"^(Protect|Private|Restrict|System|Capability|Dynamic)\w+=.*\n", "", UNIT.read_text(), flags=re.M)
    assert "exposure level" in systemd_exposure(installed(tmp_path, loose), EXPOSURE_TENTHS)


def test_it_waits_for_a_drain_and_for_the_notify_protocol() -> None:
    assert setting("Type") == ["notify"]
    assert setting("ExecReload") == ["/bin/kill -HUP $MAINPID"]
    assert int(setting("TimeoutStopSec")[0]) > REQUEST_GRACE_S + NOTIFY_GRACE_S
    assert int(setting("WatchdogSec")[0]) > 0


def test_what_a_restart_does_not_mend_is_not_restarted() -> None:
    """2 usage or configuration, 73 storage cannot be made, 75 storage in use; 74, an I/O error, may pass."""
    assert setting("RestartPreventExitStatus") == ["2 73 75"]
    assert setting("Restart") == ["on-failure"]
