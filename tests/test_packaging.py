"""What is shipped: the wheel, the lock, the licence, and no name of a machine."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import driftmon

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "deploy" / "requirements.lock").read_text()


def name_of(requirement: str) -> str:
    """The normalised name in a requirement."""
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        ".",
    ]
    subprocess.run(pip, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_has_all_it_needs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
    assert wheel.name == f"driftmon_sidecar-{PROJECT['version']}-py3-none-any.whl"
    for needed in (
        "py.typed",
        "data/flights.csv.gz",
        "data/demo.yaml",
        "daemon/example.yaml",
        "cli/check_config.py",
        "render/pages/assets/page.css",
        "render/pages/assets/page.js",
        "render/pages/assets/icon.svg",
    ):
        assert f"driftmon/{needed}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0] for name in names} == {"driftmon", f"driftmon_sidecar-{PROJECT['version']}.dist-info"}


def test_the_wheel_installs_and_runs(wheel: Path, tmp_path: Path) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(tmp_path),
        str(wheel),
    ]
    subprocess.run(pip, check=True, capture_output=True)
    told = "import driftmon, driftmon.cli.main as m; print(driftmon.__file__); m.main(['config', 'example'])"
    done = subprocess.run(
        [sys.executable, "-c", told],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    place, _, example = done.stdout.partition("\n")
    assert Path(place).is_relative_to(tmp_path)
    assert example == (ROOT / "config" / "driftmon.yaml").read_text()


def test_there_is_one_version() -> None:
    assert PROJECT["version"] == driftmon.__version__
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_lock_pins_every_dependency_with_hashes_and_names_no_place() -> None:
    pins = re.findall(r"^([a-z0-9.-]+)==[^ ]+.*\\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", LOCK, re.MULTILINE)
    lines = [line for line in LOCK.splitlines() if line and not line.startswith(("#", " "))]
    assert len(pins) == len(lines)
    assert {name_of(requirement) for requirement in PROJECT["dependencies"]} <= {name for name, _ in pins}
    assert "://" not in LOCK
    assert "--index" not in LOCK


def test_the_licence_is_the_one_that_is_named() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert PROJECT["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_name_of_the_distribution_is_never_shortened() -> None:
    """The short name belongs to others: installing it would bring their program."""
    wrong = re.compile(r"pip install (-\S+ )*['\"]?driftmon(?!-sidecar)\b")
    texts = [*ROOT.glob("*.md"), *(ROOT / "driftmon").rglob("*.py"), *(ROOT / "driftmon").rglob("*.md")]
    assert [path.name for path in texts if wrong.search(path.read_text())] == []
