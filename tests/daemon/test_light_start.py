"""What a daemon that is only scraped never loads: it would cost each pod its start and its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.daemon.kit import ready_config

HEAVY = (
    "scipy.special",  # its compiled functions alone are there, as scipy.special._ufuncs
    "scipy.stats",
    "numpy.f2py",
    "numpy.testing",
    "unittest",
    "importlib.metadata",
    "httpx",
    "rich",
    "prometheus_client",
    "pandas",
    "pyarrow",
    "river",
    "bcrypt",
    "driftmon.daemon.site_pages",
    "driftmon.render.pages.overview",
    "driftmon.daemon.access.web_file",
    "driftmon.daemon.access.shapes",
)
START = """
import sys
from pathlib import Path
import driftmon.cli.run
from driftmon.daemon.addresses import parse
from driftmon.daemon.app import App
from driftmon.daemon.process import Process

local = (parse("127.0.0.1:0"),)
app = App(Process(Path(sys.argv[1]), local, local, Path(sys.argv[2])))
for stream in app._pump.streams.values():
    stream.tick(60_000)
print(*sorted(set(sys.argv[3:]) & set(sys.modules)))
"""


def test_a_start_loads_no_heavy_module(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    arguments = [sys.executable, "-c", START, str(ready_config(tmp_path)), str(tmp_path / "state"), *HEAVY]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
