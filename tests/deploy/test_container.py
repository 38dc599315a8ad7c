"""The container file: linted, and its build stage carried out in a folder with the real locks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.containerfile import Folder, Step, stages
from tests.deploy.tools import DEPLOY, hadolint
from tests.servers.helpers import free_port, until

ROOT = DEPLOY.parent
FILE = DEPLOY / "container" / "Containerfile"
BUILD, RUNTIME = stages(FILE.read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def rest_of(word: str, stage: list[Step] = RUNTIME) -> list[str]:
    return [step.rest for step in stage if step.word == word]


@dataclass(frozen=True)
class Image:
    """What the build stage left behind."""

    root: Path
    environ: Mapping[str, str]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    root = tmp_path_factory.mktemp("image")
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    # Compiling scipy takes longer than all the rest, and shows nothing.
    folder = Folder(root, ROOT, {**environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_COMPILE": "1"})
    for step in BUILD:
        folder.carry_out(step)
    return Image(root, environ)


def test_the_linter_has_nothing_to_say(tmp_path: Path) -> None:
    assert hadolint(FILE) == ""
    seeded = tmp_path / "Containerfile"
    seeded.write_text(FILE.read_text().replace("\nUSER ", "\nRUN apt-get install curl\nUSER "))
    assert "DL3008" in hadolint(seeded)


def test_the_build_installs_a_daemon_that_runs_and_is_healthy(image: Image, tmp_path: Path) -> None:
    """As in the container: the entrypoint's program, the command's flags, and the probe of HEALTHCHECK."""
    program = str(image.root / "opt" / "driftmon" / "bin" / "driftmon")
    url = f"http://127.0.0.1:{free_port()}"
    command = ["run", "--config.file", str(DEPLOY / "compose" / "driftmon.yaml"), "--storage.path", str(tmp_path / "s")]
    local = ["--web.listen-address", url.removeprefix("http://"), "--api.listen-address", "127.0.0.1:0"]
    environ = {**image.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen([program, *command, *local], cwd=tmp_path, env=environ, stderr=log) as daemon,
    ):
        try:
            until(f"driftmon (see {log.name})", lambda: daemon.poll() is None and answers(f"{url}/-/ready"))
            probe = subprocess.run([program, "healthcheck", "--url", f"{url}/-/healthy"], check=False, env=environ)
            assert probe.returncode == 0
        finally:
            daemon.terminate()
        assert daemon.wait(20) == 0


def answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=5) as reply:
        return bool(reply.status == 200)


def test_a_file_that_is_not_the_one_that_was_pinned_is_refused(tmp_path: Path) -> None:
    """The seeded mistake of the locks: one digit of each hash of the first package."""
    first, _, _ = (DEPLOY / "build.lock").read_text().partition("\npackaging")
    changed = re.sub(r"(?<=sha256:)(.)", lambda found: "1" if found[0] == "0" else "0", first)
    (tmp_path / "build.lock").write_text(changed)
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command = [*pip, "--dest", str(tmp_path), "--requirement", str(tmp_path / "build.lock")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_every_package_of_the_index_is_pinned_by_hash() -> None:
    """Each pip line names a lock and hashes, or has no index and installs what was built here."""
    commands = [part for rest in rest_of("RUN", BUILD) for part in rest.split("&&")]
    installs = [part for part in commands if re.search(r"-m pip .*(install|wheel) ", part)]
    assert len(installs) == 4
    assert all("--require-hashes" in part or ("--no-deps" in part and "--no-" in part) for part in installs)
    backend = PROJECT["build-system"]["requires"]
    lock = (DEPLOY / "build.lock").read_text()
    assert all(re.search(rf"^{name}==", lock, re.MULTILINE) for name in backend)
    assert "://" not in lock


def test_the_image_can_ask_for_passwords_and_read_zstd() -> None:
    """Extras are for those who install by hand; an image cannot be added to."""
    lock = (DEPLOY / "requirements.lock").read_text()
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = {re.split("[<>=]", one)[0] for extra in ("auth", "zstd") for one in extras[extra]}
    assert wanted == {"bcrypt", "zstandard"}
    assert all(re.search(rf"^{name}==", lock, re.MULTILINE) for name in wanted)
    assert "://" not in lock


def test_it_runs_as_nobody_of_the_host_and_writes_to_one_place() -> None:
    assert rest_of("USER") == ["65532:65532"]
    assert rest_of("VOLUME") == ['["/var/lib/driftmon"]']
    assert rest_of("STOPSIGNAL") == ["SIGTERM"]
    assert rest_of("ENTRYPOINT") == ['["driftmon"]']
    (probe,) = rest_of("HEALTHCHECK")
    assert probe.endswith('CMD ["driftmon", "healthcheck"]')
    assert [rest for rest in rest_of("COPY") if "--from=build" not in rest] == []


def test_the_builder_is_sent_what_it_copies() -> None:
    """The ignore file lets through exactly the sources of COPY."""
    lines = (FILE.parent / f"{FILE.name}.dockerignore").read_text().splitlines()
    sent = {line[1:] for line in lines if line.startswith("!")}
    assert sent == {source for rest in rest_of("COPY", BUILD) for source in rest.split()[:-1]}
    assert all((ROOT / source).exists() for source in sent)
    assert lines[1] == "*"
