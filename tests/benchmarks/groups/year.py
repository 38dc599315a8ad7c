"""Year: `replay` of a year of minutes, ten million records of ten fields, by one core; and whether memory stays flat.

Law: the real command over files of a month each, start included. It takes 2 GB of disk and 10 minutes, so it is run
only where it is named: `python -m tests.benchmarks.all year`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.benchmarks.engine import ROOT
from tests.benchmarks.footprint import memory_mb
from tests.benchmarks.groups.files import configured, recorded
from tests.benchmarks.rows import Row
from tests.benchmarks.sizes import FULL, Size

MONTHS: Final = 12
PANES, RECORDS = 525_600, 10_000_000
GOAL_S: Final = 240.0
FLAT: Final = 1.1  # the memory of the end against that of the first tenth
EVERY_S: Final = 0.2


def rows(size: Size) -> Iterator[list[Row]]:
    panes, records = (PANES, RECORDS) if size is FULL else (24, 240)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        configured(folder)
        files = [f"{month:02d}.ndjson" for month in range(MONTHS)]
        for month, file in enumerate(files):
            recorded(folder / file, month, month * panes // MONTHS, panes // MONTHS, records // MONTHS)
        build = ["reference", "build", files[0], "--config.file", "driftmon.yaml", "-o", "p.json"]
        subprocess.run([sys.executable, "-m", "driftmon", *build], cwd=folder, env=_here(), check=True)
        cpu_s, resident_mb, told = replayed(folder, files)
    work = f"replay of {panes:,} panes and {told:,} records of 10 fields, a fixed and a calibrated rule"
    at = {share: resident_mb[int(share * (len(resident_mb) - 1))] for share in (0.1, 0.5, 1.0)}
    note = ", ".join(f"{mb:.0f} MB at {100 * share:.0f} %" for share, mb in at.items())
    yield [Row("year", work, "", "s of CPU", goal=GOAL_S, sense="<=", note=note).alone([cpu_s])]
    grown = Row("year", "its memory at the end against that after a tenth", "", "times", goal=FLAT, sense="<=")
    yield [grown.alone([at[1.0] / at[0.1]])]


def replayed(folder: Path, files: Sequence[str]) -> tuple[float, list[float], int]:
    """CPU of the command, its RSS now and then, and how many records it counted."""
    before = os.times()
    command = [sys.executable, "-m", "driftmon", "replay", *files, "--config.file", "driftmon.yaml", "--json"]
    with (folder / "told").open("w+b") as told:
        child = subprocess.Popen(command, cwd=folder, env=_here(), stdout=told)
        resident_mb = []
        while child.poll() is None:
            with suppress(OSError, KeyError):  # it has just ended
                resident_mb.append(memory_mb(child.pid)[0])
            time.sleep(EVERY_S)
        assert child.returncode == 0, f"replay ended with {child.returncode}"
        told.seek(0)
        summary = json.loads(told.read().splitlines()[-1])
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu_s, resident_mb, summary["records"]


def _here() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
