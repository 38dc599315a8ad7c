"""The demo, as a user sees it: a real daemon, real flights, and a drift that fires and resolves."""

from __future__ import annotations

import re
import subprocess
import sys


def test_the_demo_fires_and_resolves_and_ends_by_itself() -> None:
    verb = [sys.executable, "-m", "driftmon", "demo", "--exit-after", "15"]
    done = subprocess.run(verb, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "/metrics" in done.stdout
    events = re.findall(r"^(2013-\d\d-\d\d)  (firing|resolved) +(\w+)  (\w+)", done.stdout, re.MULTILINE)
    fired = {feature: date for date, status, _, feature in reversed(events) if status == "firing"}
    resolved = [(feature, date) for date, status, _, feature in events if status == "resolved"]
    assert resolved, done.stdout
    assert all(fired[feature] < date for feature, date in resolved)
    assert {rule for _, _, rule, _ in events} == {"DriftmonFeatureDrift"}
    # What differs between summer and winter, and nothing else.
    assert set(fired) <= {"arr_delay", "dep_delay", "air_time"}
