"""The demo, as a user sees it: a real daemon, real flights, and a drift that fires and resolves."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from threading import Timer
from typing import Final
from urllib.parse import urlsplit

import pytest

DEMO: Final = [sys.executable, "-m", "driftmon", "demo"]
ENOUGH: Final = 3  # resolved; the last of them in July
HANGS_S: Final = 300


def test_the_demo_fires_and_resolves_and_ctrl_c_ends_it() -> None:
    printed = ""
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        guard = Timer(HANGS_S, demo.kill)
        guard.start()
        assert demo.stdout is not None
        while printed.count("  resolved  ") < ENOUGH and (line := demo.stdout.readline()):
            printed += line
        demo.send_signal(signal.SIGINT)
        rest, complaints = demo.communicate()
        guard.cancel()
    assert (demo.returncode, complaints) == (0, ""), printed + rest
    assert "/metrics" in printed
    events = re.findall(r"^(2013-\d\d-\d\d)  (firing|resolved) +(\w+)  (\w+)", printed, re.MULTILINE)
    fired = {feature: date for date, status, _, feature in reversed(events) if status == "firing"}
    resolved = [(feature, date) for date, status, _, feature in events if status == "resolved"]
    assert len(resolved) == ENOUGH
    assert all(fired[feature] < date for feature, date in resolved)
    assert {rule for _, _, rule, _ in events} == {"DriftmonFeatureDrift"}
    # What differs between summer and winter, and nothing else.
    assert set(fired) <= {"arr_delay", "dep_delay", "air_time"}


def test_it_ends_by_itself_when_told_to() -> None:
    verb = [*DEMO, "--exit-after", "1"]
    done = subprocess.run(verb, capture_output=True, text=True, timeout=HANGS_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as demo:
        guard = Timer(HANGS_S, demo.kill)
        guard.start()
        assert demo.stdout is not None
        page = next(line.split()[1] for line in demo.stdout if line.startswith("pages"))
        assert list(tmp_path.iterdir())
        demo.send_signal(signal.SIGTERM)
        _, complaints = demo.communicate()
        guard.cancel()
    assert (demo.returncode, complaints, list(tmp_path.iterdir())) == (0, "", [])
    parts = urlsplit(page)
    with pytest.raises(ConnectionRefusedError), socket.create_connection((parts.hostname, parts.port)):
        raise AssertionError("the daemon of the demo goes on")
