"""The validators of deploy/, each as a function that gives its complaint, empty when it has none."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.servers.helpers import require

DEPLOY = Path(__file__).parents[2] / "deploy"
DEV_GROUP = "pip install --group dev"


def hadolint(file: Path) -> str:
    """A container file by its linter."""
    return complaint(require("hadolint", DEV_GROUP), "--no-color", str(file))


def compose_schema(file: Path) -> str:
    """A compose file by the specification's schema."""
    return complaint(require("check-jsonschema", DEV_GROUP), "--builtin-schema", "vendor.compose-spec", "--", str(file))


def kubernetes(file: Path, version: str) -> str:
    """Manifests by the schemas of a Kubernetes version, unknown keys refused."""
    return complaint(require("kubernetes-validate", DEV_GROUP), "--strict", "--quiet", "-k", version, str(file))


def systemd_verify(unit: Path) -> str:
    """A unit by systemd itself, which says what it does not know and still exits 0: every word counts."""
    done = run(require("systemd-analyze", "apt-get install systemd"), "verify", str(unit))
    return done.stderr + done.stdout


def systemd_exposure(unit: Path, at_most_tenths: int) -> str:
    """How exposed a unit is, in tenths, by systemd's own review."""
    program = require("systemd-analyze", "apt-get install systemd")
    return complaint(program, "security", "--offline=true", f"--threshold={at_most_tenths}", "--no-pager", str(unit))


def rendered(folder: Path) -> str:
    """What kustomize makes of a folder."""
    done = run(require("kubectl", DEV_GROUP), "kustomize", str(folder))
    assert done.returncode == 0, done.stderr
    return done.stdout


def complaint(*command: str) -> str:
    """What a program says when it fails."""
    done = run(*command)
    return f"{done.stdout}{done.stderr}" if done.returncode else ""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
