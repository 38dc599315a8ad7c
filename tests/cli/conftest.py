"""Runs verbs in this process, on payments."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from driftmon.cli.main import command
from tests.cli.payments import CONFIG, Run, payments, write_ndjson


@pytest.fixture
def run() -> Run:
    """run("check", a, b) is `driftmon check a b`; what nobody foresaw fails the test with its traceback."""
    return lambda *arguments, **more: CliRunner().invoke(
        command, [str(a) for a in arguments], catch_exceptions=False, **more
    )


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
