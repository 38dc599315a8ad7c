"""Runs verbs in this process, on payments."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from driftmon.cli.main import command
from tests.cli import visits
from tests.cli.payments import CONFIG, Run, payments, write_ndjson


@pytest.fixture(scope="session")
def run() -> Run:
    """run("check", a, b) is `driftmon check a b`; what nobody foresaw fails the test with its traceback."""
    return lambda *arguments, **more: CliRunner().invoke(
        command, [str(a) for a in arguments], catch_exceptions=False, **more
    )


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """A folder to be copied: the configuration of visits, its reference, and two days and a half of them."""
    folder = tmp_path_factory.mktemp("visits")
    (folder / "driftmon.yaml").write_text(visits.CONFIG)
    data = visits.write(folder / "reference.ndjson", 96, seed=2)
    flags = ("--config.file", folder / "driftmon.yaml", "-o", folder / "visits.reference.json")
    assert run("reference", "build", data, *flags).exit_code == 0
    visits.write(folder / "live.ndjson", visits.HOURS, visits.DRIFT_HOURS)
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration of one stream, `pay`, for `payments`."""
    path = tmp_path / "driftmon.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def reference(tmp_path: Path, config: Path, run: Run) -> Path:
    """P of 4,000 payments."""
    data = write_ndjson(tmp_path / "reference.ndjson", payments(4000))
    built = run("reference", "build", data, "--config.file", config, "-o", tmp_path / "pay.reference.json")
    assert built.exit_code == 0, built.stderr
    return tmp_path / "pay.reference.json"
