"""The README is executed: its commands as a newcomer would type them, its Python, its metric table."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from driftmon.cli.main import command
from driftmon.render.catalogue import metric_table
from tests.servers.helpers import get, require, running, until

README = (Path(__file__).parents[1] / "README.md").read_text()
MAKEFILE = (Path(__file__).parents[1] / "Makefile").read_text()
ALERTMANAGER = "prometheus-alertmanager"
PORTS = (10517, 10518, 5001, 9093)
PATIENCE_S = 90.0
METRICS, ALERTS = "http://127.0.0.1:10517/metrics", "http://127.0.0.1:9093/api/v2/alerts"


def section(title: str) -> str:
    """The text under a heading, up to the next one of its level."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class Terminal:
    """A shell that stays, as a newcomer's does: jobs go on in the background between the commands."""

    def __init__(self, folder: Path) -> None:
        environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        self._log = (folder / "stderr.txt").open("wb")
        self._shell = subprocess.Popen(
            ["bash"], cwd=folder, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            text=True, start_new_session=True,
        )  # fmt: skip
        self.log = folder / "stderr.txt"

    def type(self, commands: str) -> str:
        """What the commands printed; they must succeed."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{commands}\necho end-of-block $?\n")
        self._shell.stdin.flush()
        printed = ""
        for line in self._shell.stdout:
            if line.startswith("end-of-block "):
                assert line.split()[1] == "0", f"{commands}\n{printed}\n{self.log.read_text()}"
                return printed
            printed += line
        raise AssertionError(f"the shell ended: {self.log.read_text()}")

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.communicate()
        self._log.close()


@contextmanager
def alertmanager(folder: Path) -> Iterator[bool]:
    """A real one where the README expects it; False where none is installed and none is asked for."""
    if shutil.which(ALERTMANAGER) is None and os.environ.get("DRIFTMON_REQUIRE_SERVERS") != "1":
        yield False
        return
    (folder / "alertmanager.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    arguments = [
        require(ALERTMANAGER),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        "--web.listen-address=127.0.0.1:9093",
        "--cluster.listen-address=",
    ]
    with running(arguments, "http://127.0.0.1:9093/-/ready", folder / "alertmanager.log"):
        yield True


def busy(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path)
    opened.type("trap 'kill $(jobs -p)' EXIT")  # also when pytest itself is killed
    yield opened
    opened.close()


def test_the_quick_start_as_a_newcomer_types_it(tmp_path: Path, terminal: Terminal) -> None:
    """From a CSV file to an alert at a webhook and in a real Alertmanager, by nothing but the README's commands."""
    until(f"the README's ports {PORTS}, free", lambda: not any(map(busy, PORTS)), PATIENCE_S)
    make_data, listen, init, run, send, scrape, received, alerts, stop = blocks(section("Your own data"), "sh")
    inferred, replied, _ = blocks(section("Your own data"), "text")
    with alertmanager(tmp_path) as watched:
        terminal.type(make_data)
        terminal.type(listen)
        terminal.type(init)
        assert inferred in terminal.log.read_text()
        terminal.type(run)
        assert terminal.type(send).strip() == replied.strip()
        until("the first tick", lambda: b"debiased" in get(METRICS))
        values = dict(re.findall(r'feature="(\w+)".* (\S+)$', terminal.type(scrape), re.MULTILINE))
        assert float(values["amount"]) > 0.1 > float(values["country"])
        until("the alert", lambda: "DriftmonFeatureDrift" in (tmp_path / "received.txt").read_text(), PATIENCE_S)
        told = terminal.type(received)
        assert re.search(r"^firing DriftmonSchemaBreak .*amount", told, re.MULTILINE)
        assert re.search(r"^firing DriftmonFeatureDrift .*amount", told, re.MULTILINE)
        if watched:
            until("Alertmanager's alert", lambda: b"DriftmonFeatureDrift" in get(ALERTS))
            names = {alert["labels"]["alertname"] for alert in json.loads(terminal.type(alerts))}
            assert names - {"DriftmonDrift"} == {
                "DriftmonSchemaBreak",
                "DriftmonFeatureDrift",
            }  # evidence takes a minute
        terminal.type(stop)
        until("daemon and receiver, stopped", lambda: not any(map(busy, PORTS[:3])))
    assert "Traceback" not in terminal.log.read_text()


@pytest.mark.parametrize("code", blocks(README, "python"))
def test_the_python_of_the_readme_runs(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


def test_the_metric_table_is_the_catalogues() -> None:
    table = README.partition("<!-- metric table -->\n")[2].partition("<!-- end of metric table -->")[0]
    assert table.strip() == metric_table().strip()


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(target: str) -> None:
    assert (Path(__file__).parents[1] / target).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z-]+)", README))))
def test_every_target_the_readme_names_exists(target: str) -> None:
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("verb", sorted(set(re.findall(r"`driftmon ([a-z-]+)", README))))
def test_every_verb_the_readme_names_exists(verb: str) -> None:
    done = CliRunner().invoke(command, [verb, "--help"])
    assert (done.exit_code, done.stderr) == (0, "")
