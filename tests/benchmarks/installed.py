"""Installed: the environment of a process that finds bytecode, as pip leaves it beside what it installs.

Law: who measures a start does not measure the compiler. A checkout whose owner lets Python write no bytecode
(PYTHONDONTWRITEBYTECODE) compiles 200 files at each start, which no user's machine does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache

from tests.benchmarks.engine import FOLDER, ROOT

IMPORTS = "import driftmon.cli.run, driftmon.daemon.app"


@cache
def environment() -> Mapping[str, str]:
    """For the processes to measure; what they import is compiled now."""
    found = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    found |= {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(FOLDER / "bytecode")}
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, env=found)
    return found
