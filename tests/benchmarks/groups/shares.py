"""Shares: where the time goes of what has missed its goal, by function: why it is missed, and what would help.

Law: the very work of other groups that results.json says has missed, by a process that is watched (sampled.py), which
makes small steps up to half as slow again: only shares are worth something. The daemon is not among it: of two threads
that take turns with the interpreter's lock, one that waits would be charged where it waits.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.engine import SCRIPTS, Contest, cost
from tests.benchmarks.groups import hand, peers, render
from tests.benchmarks.installed import environment
from tests.benchmarks.readme import RESULTS
from tests.benchmarks.rows import Row, from_json
from tests.benchmarks.sizes import FULL, Size

SAMPLED: Final = str(SCRIPTS / "sampled.py")
SHOWN: Final = 7


def rows(size: Size) -> Iterator[list[Row]]:
    contests = [contest for group in (hand, peers, render) for contest in group.contests(size)]
    missed = {
        row.work for each in json.loads(RESULTS.read_text()).values() for row in from_json(each) if row.met is False
    }
    with tempfile.TemporaryDirectory() as name:
        for contest in [one for one in contests if one.work in missed] if size is FULL else contests[:1]:
            found = _task(contest, Path(name) / "told")
            note = words(found["shares"])
            yield [Row("shares", contest.work, "", contest.unit, note=note).alone([cost(found, contest.unit)])]


def _task(contest: Contest, told: Path) -> dict[str, Any]:
    ours = contest.ours
    command = [SAMPLED, str(told), str(SCRIPTS / f"{ours.script}.py"), ours.task, str(contest.data)]
    subprocess.run([sys.executable, "-P", *command, json.dumps(ours.arguments)], check=True, env=environment())
    found: dict[str, Any] = json.loads(told.read_text())
    return found


def words(shares: Mapping[str, float]) -> str:
    """The largest, in hundredths of all.

    >>> words({"stats/grids.fill": 3.0, "(asyncio)": 1.0})
    'stats/grids.fill 75 %, (asyncio) 25 %'
    """
    whole = sum(shares.values())
    largest = sorted(shares.items(), key=lambda item: -item[1])[:SHOWN]
    return ", ".join(f"{name} {100 * spent_s / whole:.0f} %" for name, spent_s in largest)
