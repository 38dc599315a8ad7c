"""Engine: contenders do the same work in turns, round after round; of each pair the median of the rounds' ratios.

Law: CPU seconds, never wall: the machine is shared. A ratio is taken within a round, so that a slow minute slows both.
The first round warms up and is not counted. Each round's answers are compared before anything is reported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.benchmarks.rows import Row

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / ".bench"  # ignored by git: data, and the peers' environments
SCRIPTS: Final = Path(__file__).parent
SILENT: Final = {"DO_NOT_TRACK": "1", "WHYLOGS_NO_ANALYTICS": "True", "NML_DISABLE_USAGE_LOGGING": "1"}
LEAST_ROUNDS: Final = 2
PATIENCE_S: Final = 25.0  # CPU of one contender in one contest; then it sits out, if it has the least rounds


@dataclass(frozen=True, slots=True)
class Contender:
    """A task of a script in contenders/ or peers/; `environment` is one of `make bench-peers`, "" is this Python."""

    name: str
    script: str
    task: str
    environment: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        return FOLDER / "peers" / self.environment / "bin" / "python" if self.environment else Path(sys.executable)


@dataclass(frozen=True, slots=True)
class Contest:
    """The same work by ours and others, with the ratio that ours should reach; `check` raises where answers differ.

    `unit`, such as "ns a value", is of CPU time and of the amount that the work says it has done.
    """

    work: str
    ours: Contender
    others: Sequence[tuple[Contender, float | None]]
    data: Path
    unit: str
    check: Callable[[Mapping[str, Any]], None]
    rounds: int = 5
    warm_ups: int = 1
    aim: tuple[str, float] | None = None  # of ours alone, where there are no others


class SkippedError(Exception):
    """Why a contender does not take part."""


class Worker:
    """A contender's process, ready to work."""

    def __init__(self, contender: Contender, data: Path, log: Path) -> None:
        if not contender.python.exists():
            raise SkippedError("not installed: make bench-peers")
        self.contender, self._log = contender, log
        self.rounds: list[dict[str, Any]] = []
        script = str(SCRIPTS / f"{contender.script}.py")
        command = [str(contender.python), "-P", str(Path(__file__).with_name("worker.py")), script, contender.task]
        own = {} if contender.environment else {"PYTHONPATH": str(ROOT)}
        kept = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"} | SILENT
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [*command, str(data), json.dumps(dict(contender.arguments))], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=errors, text=True, env={**kept, **own}, cwd=data,
            )  # fmt: skip

    def told(self) -> dict[str, Any]:
        """Its next answer; SkippedError with its last words where there is none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
            raise SkippedError(f"failed: {' '.join(last)[:160]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended; its last words are told
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        return self.told()

    def tired(self) -> bool:
        """Enough is known of it."""
        return len(self.rounds) >= LEAST_ROUNDS and sum(each["cpu_s"] for each in self.rounds) > PATIENCE_S

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def held(contest: Contest) -> tuple[dict[str, list[dict[str, Any] | None]], dict[str, str]]:
    """Per contender what each round told, None where it sat out; and why the others did not take part."""
    contenders = [contest.ours, *(other for other, _ in contest.others)]
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as logs, ExitStack() as stack:
        workers = []
        for number, contender in enumerate(contenders):
            try:
                workers.append(stack.enter_context(_started(contender, contest.data, Path(logs) / str(number))))
            except SkippedError as why:
                skipped[contender.name] = str(why)
        found: dict[str, list[dict[str, Any] | None]] = {worker.contender.name: [] for worker in workers}
        for number in range(contest.warm_ups + contest.rounds):
            for worker in [one for one in workers if one.contender.name not in skipped]:
                try:
                    told = None if worker.tired() else worker.ask()
                except SkippedError as why:
                    skipped[worker.contender.name] = str(why)
                    continue
                if number >= contest.warm_ups:
                    worker.rounds += [] if told is None else [told]
                    found[worker.contender.name].append(told)
    found = {name: each for name, each in found.items() if name not in skipped}
    if contest.ours.name in skipped:
        raise AssertionError(f"{contest.work}: {contest.ours.name} {skipped[contest.ours.name]}")
    contest.check({name: [told for told in each if told is not None][-1]["answer"] for name, each in found.items()})
    return found, skipped


@contextmanager
def _started(contender: Contender, data: Path, log: Path) -> Iterator[Worker]:
    worker = Worker(contender, data, log)
    try:
        worker.told()
        yield worker
    finally:
        worker.close()


SCALES: Final = {"ns": 1e9, "us": 1e6, "ms": 1e3, "s": 1.0}


def cost(told: Mapping[str, Any], unit: str) -> float:
    """CPU of one of the amount, in the unit's first word: "ns a value"."""
    return float(SCALES[unit.split(maxsplit=1)[0]] * told["cpu_s"] / told["amount"])


def compare(contest: Contest, group: str) -> list[Row]:
    """A row for each alternative; one for ours alone where there is none."""
    found, skipped = held(contest)
    ours = found[contest.ours.name]
    if not contest.others:
        sense, goal = contest.aim or (">=", None)
        row = Row(group, contest.work, "", contest.unit, goal=goal, sense=sense)
        return [row.alone([cost(told, contest.unit) for told in ours if told is not None])]
    rows = []
    for other, goal in contest.others:
        row = Row(group, contest.work, other.name, contest.unit, goal=goal)
        if other.name in skipped:
            rows.append(row.skipped(skipped[other.name]))
            continue
        pairs = [(a, b) for a, b in zip(ours, found[other.name], strict=True) if a is not None and b is not None]
        mine, theirs = ([cost(one, contest.unit) for one in side] for side in zip(*pairs, strict=True))
        ratios = sorted(their / my for my, their in zip(mine, theirs, strict=True))
        rows.append(row.measured(median(mine), median(theirs), ratios))
    return rows
