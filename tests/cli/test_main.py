"""The group lists the folder; what the caller can mend exits 2, what nobody foresaw 70."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from driftmon import __version__
from driftmon.cli import main as cli
from tests.cli.payments import Run

FILES = {path.stem for path in Path(cli.__file__).parent.glob("*.py")} - {"__init__", "main"}


def test_every_file_of_the_folder_is_a_verb() -> None:
    listed = cli.command.list_commands(click.Context(cli.command))
    assert listed == sorted(name.replace("_", "-") for name in FILES)


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_verb_has_help_that_opens_with_a_sentence(name: str, run: Run) -> None:
    found = run(cli.verb_of(name), "--help")
    assert found.exit_code == 0
    assert f"driftmon {cli.verb_of(name)}" in found.stdout.replace("command", "driftmon", 1)


def test_version_loads_neither_numpy_nor_the_web_server() -> None:
    told = "import sys; from driftmon.cli.main import command; command.main(['--version'], standalone_mode=False);"
    told += "print(sorted({'numpy', 'scipy', 'uvicorn', 'httpx', 'rich', 'importlib.metadata'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"driftmon, version {__version__}", "[]"]


def test_python_dash_m_is_the_same_program() -> None:
    done = subprocess.run([sys.executable, "-m", "driftmon", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"driftmon, version {__version__}\n"


def broken() -> click.Command:
    @click.command()
    @click.option("--log.level", "level", default="info")
    def command(level: str) -> None:
        raise ZeroDivisionError("a bug\nover two lines")

    return command


@pytest.mark.parametrize(("arguments", "lines"), [(["run"], 1), (["run", "--log.level", "info"], 1)])
def test_an_unexpected_error_is_one_line_and_exit_70(
    arguments: list[str], lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.Folder, "get_command", lambda *_: broken())
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    told = capsys.readouterr()
    assert (stopped.value.code, told.out, len(told.err.splitlines())) == (70, "", lines)
    assert "ZeroDivisionError: a bug over two lines at test_main.py:" in told.err
    assert "please open an issue" in told.err


@pytest.mark.parametrize("flag", [["--log.level", "debug"], ["--log.level=debug"]])
def test_the_traceback_comes_with_debug(
    flag: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.Folder, "get_command", lambda *_: broken())
    with pytest.raises(SystemExit) as stopped:
        cli.main(["run", *flag])
    assert stopped.value.code == 70
    assert "Traceback (most recent call last):" in capsys.readouterr().err
