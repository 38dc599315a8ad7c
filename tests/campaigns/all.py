"""All: `make campaigns`: the short form of every campaign, one after the other, and a verdict of each.

Law: a campaign that is named here and does not exist has failed; one failure does not hide the next, and the last
lines of each stand above the table, for a log may be cut in its middle. One that says SKIPPED is shown with its reason,
and has failed too where DRIFTMON_REQUIRE_SERVERS=1.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.campaigns.show import table

MOST_S: Final = 600.0  # a campaign that takes longer hangs
LAST_LINES: Final = 30
SKIPPED: Final = "SKIPPED"
REQUIRED: Final = os.environ.get("DRIFTMON_REQUIRE_SERVERS") == "1"


@dataclass(frozen=True)
class Campaign:
    """`arguments` of its short form; `proves` what it shows, in a line."""

    name: str
    module: str
    proves: str
    arguments: Sequence[str] = ("--short",)
    environment: Mapping[str, str] = field(default_factory=dict)


MACHINE: Final = "tests/laws/test_state_machine.py"
LONGER: Final = {"DRIFTMON_EXAMPLES": "60", "DRIFTMON_STEPS": "50"}
CAMPAIGNS: Final = (
    Campaign("crash", "tests.campaigns.crash", "kill -9 under load on every source: counted == sent"),
    Campaign("powercut", "tests.campaigns.powercut", "images of a disk cut off: nothing acknowledged is lost"),
    Campaign("iofaults", "tests.campaigns.iofaults", "the n-th write or fsync fails: exit 74, and exact afterwards"),
    Campaign("bitflips", "tests.campaigns.bitflips", "every sector of the state damaged: it starts without a human"),
    Campaign("fault-simulation", "tests.campaigns.simulation", "virtual time and seeds against a dict model"),
    Campaign("state-machine", "pytest", "a stream and its store against a dict", ("-q", MACHINE), LONGER),
    Campaign("fuzz", "tests.campaigns.fuzz", "parser, configuration, snapshots, exposition: no crash"),
    Campaign("hostile", "tests.campaigns.hostile", "bombs and slow clients: bounded memory, a good client is served"),
    Campaign("reload", "tests.campaigns.reload", "reloads under load, half invalid: nothing lost"),
    Campaign("timing", "tests.campaigns.timing", "credentials are compared in constant time"),
    Campaign("soak", "tests.campaigns.soak", "mixed load: memory, descriptors, threads, disk stay flat"),
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """Of a campaign: the verdict, how long it took, and the last lines it wrote."""

    campaign: Campaign
    verdict: str
    seconds: float
    lines: Sequence[str] = ()

    @property
    def row(self) -> tuple[str, int, str, str]:
        return self.campaign.name, round(self.seconds), self.verdict, self.campaign.proves


def run(campaign: Campaign) -> Result:
    """The campaign in a process of its own, what it writes as it comes."""
    started_s = time.monotonic()
    if importlib.util.find_spec(campaign.module) is None:
        return Result(campaign, "MISSING", 0.0)
    sys.stdout.write(f"\n== {campaign.name}: {campaign.proves}\n")
    sys.stdout.flush()
    command = [sys.executable, "-u", "-m", campaign.module, *campaign.arguments]
    environment, lines, reasons = {**os.environ, **campaign.environment}, deque[str](maxlen=LAST_LINES), []
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # a traceback stands where it happened
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        limit = threading.Timer(MOST_S, os.killpg, (process.pid, signal.SIGKILL))
        limit.start()
        for line in process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            lines.append(line)
            if SKIPPED in line:
                reasons.append(line.partition(SKIPPED)[2].strip(" ,:\n"))
        code = process.wait()
        limit.cancel()
    seconds = time.monotonic() - started_s
    return Result(campaign, _verdict(code, seconds, reasons), seconds, lines)


def _verdict(code: int, seconds: float, reasons: Sequence[str]) -> str:
    """
    >>> _verdict(0, 1.0, []), _verdict(1, 9.0, []), _verdict(0, 1.0, ["no root"])
    ('ok', 'FAILED: exit 1', 'skipped: no root')
    """
    if code:
        return f"FAILED: still running after {MOST_S:.0f} s" if seconds >= MOST_S else f"FAILED: exit {code}"
    return f"skipped: {'; '.join(reasons)}" if reasons else "ok"


def passed(verdict: str) -> bool:
    """
    >>> passed("ok"), passed("FAILED: exit 1"), passed("skipped: no root") != REQUIRED
    (True, False, True)
    """
    return verdict == "ok" or (verdict.startswith("skipped") and not REQUIRED)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these")
    names = parser.parse_args().names
    known = [campaign.name for campaign in CAMPAIGNS]
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no campaign {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = [campaign for campaign in CAMPAIGNS if not names or campaign.name in names]
    results = [run(campaign) for campaign in chosen]
    failed = [result for result in results if not passed(result.verdict)]
    for result in failed:
        sys.stdout.write(f"\n== the last lines of {result.campaign.name}, {result.verdict}\n{''.join(result.lines)}")
    rows = [result.row for result in results]
    rows.append(("together", round(sum(result.seconds for result in results)), "", ""))
    table("campaigns, short forms", ("campaign", "seconds", "verdict", "proves"), rows)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
