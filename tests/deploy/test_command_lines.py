"""Every way of starting the daemon uses flags that it has."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from driftmon.cli.run import command
from tests.deploy.containerfile import steps
from tests.deploy.tools import DEPLOY


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """(file, words after the program)."""
    containerfile = DEPLOY / "container" / "Containerfile"
    yield (
        containerfile.name,
        next(json.loads(step.rest) for step in steps(containerfile.read_text()) if step.word == "CMD"),
    )
    stack = DEPLOY / "compose" / "compose.yaml"
    yield stack.name, yaml.safe_load(stack.read_text())["services"]["driftmon"]["command"]
    unit = DEPLOY / "systemd" / "driftmon.service"
    started = next(line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    yield unit.name, shlex.split(started)[1:]
    for file in ("base/deployment.yaml", "components/sidecar/patch.yaml", "components/sidecar-plain/patch.yaml"):
        pod = yaml.safe_load((DEPLOY / "kubernetes" / file).read_text())["spec"]["template"]["spec"]
        (sidecar,) = (each for key in ("containers", "initContainers") for each in pod.get(key, ()))
        yield file, sidecar["args"]


LINES = list(command_lines())


@pytest.mark.parametrize(("file", "words"), LINES, ids=[file for file, _ in LINES])
def test_the_daemon_has_these_flags(file: str, words: list[str]) -> None:
    verb, *flags = words
    assert verb == "run"
    parsed = command.make_context(verb, list(flags)).params
    assert isinstance(parsed["config_file"], Path)
    assert parsed["storage"] is not None
    with pytest.raises(click.UsageError, match="storage"):
        command.make_context(verb, [flag.replace("--storage.path", "--storage.paths") for flag in flags])
