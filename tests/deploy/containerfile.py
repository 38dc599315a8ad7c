"""A container file read just far enough to carry out its build stage in a folder, without an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """One instruction, its continuation lines joined."""

    word: str
    rest: str


def steps(text: str) -> Iterator[Step]:
    """In order, comments left out."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in code.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield Step(word, " ".join(rest.split()))


def stages(text: str) -> list[list[Step]]:
    """Its stages, each from its FROM on."""
    found: list[list[Step]] = []
    for step in steps(text):
        if step.word == "FROM":
            found.append([])
        if found:
            found[-1].append(step)
    return found


class Folder:
    """Carries out COPY and RUN as an engine does, with the image's root at a folder: /opt/x is root/opt/x."""

    def __init__(self, root: Path, context: Path, environ: Mapping[str, str]) -> None:
        self.root, self.context, self.environ = root, context, environ
        self.at = root

    def carry_out(self, step: Step) -> None:
        """ENV, ARG and the like change nothing here."""
        if step.word == "WORKDIR":
            self.at = Path(self.inside(step.rest))
            self.at.mkdir(parents=True, exist_ok=True)
        elif step.word == "COPY":
            *sources, target = step.rest.split()
            for source in sources:
                self._copy(self.context / source, self.at / target, into=len(sources) > 1)
        elif step.word == "RUN":
            command = ["sh", "-ec", self.inside(step.rest)]
            done = subprocess.run(
                command, cwd=self.at, env=dict(self.environ), capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(f"{step.rest}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")

    def inside(self, text: str) -> str:
        """The text with absolute paths of the image moved below the root."""
        return re.sub(r"(?<![\w.])/(?=(opt|src)\b)", f"{self.root}/", text)

    @staticmethod
    def _copy(source: Path, target: Path, *, into: bool) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            return
        place = target / source.name if into or target.is_dir() else target
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, place)
