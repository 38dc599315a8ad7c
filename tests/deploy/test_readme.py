"""deploy/README.md names what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from driftmon.render.rules import RUNBOOKS
from tests.deploy.tools import DEPLOY

TEXT = (DEPLOY / "README.md").read_text()


def test_every_link_and_path_is_there() -> None:
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    paths = re.findall(r"(?<![\w/])deploy/[\w./-]+\w", TEXT)
    assert len(links) > 5
    assert len(paths) > 3
    assert [link for link in links if not (DEPLOY / link).exists()] == []
    assert [path for path in paths if not (DEPLOY.parent / path).exists()] == []


def test_the_links_to_the_runbooks_are_led_elsewhere_as_it_says(tmp_path: Path) -> None:
    (command,) = (block for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) if block.startswith("sed "))
    files = [Path("deploy/rules/alerts.yml"), Path("deploy/kubernetes/monitoring/prometheusrule.yaml")]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True)
        shutil.copy(DEPLOY.parent / file, tmp_path / file)
        assert RUNBOOKS in (tmp_path / file).read_text()
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    assert [file for file in files if RUNBOOKS in (tmp_path / file).read_text()] == []
