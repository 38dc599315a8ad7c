"""The command line: one verb a file, and the group lists the folder.

Law: a file of this folder that exposes `command` is a verb, its name with `-` for `_`; folders hold
what verbs share. A verb is imported when it is called, so `--version` costs no numpy.
Exit codes: 2 for what the caller can mend, 70 for what only driftmon's authors can.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from driftmon import __version__

UNEXPECTED = 70  # EX_SOFTWARE
JOBS = {  # verbs that let processes count, and the module that says what those do
    "check": "driftmon.cli.check",
    "reference": "driftmon.cli.support.counting",
}


class Folder(click.Group):
    """A group whose commands are the modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        files = pkgutil.iter_modules([str(Path(__file__).parent)])
        return sorted(verb_of(found.name) for found in files if not found.ispkg and found.name != "main")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in JOBS and any(text.startswith("--jobs") for text in args):
            from driftmon.cli.support import workers  # noqa: PLC0415  for those who ask for processes

            if workers.several(args):
                workers.begin(JOBS[args[0]])
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        found = importlib.import_module(f"driftmon.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(found, click.Command), f"driftmon/cli/{cmd_name}: `command` is no click command"
        return found


def verb_of(module: str) -> str:
    """
    >>> verb_of("check_config")
    'check-config'
    """
    return module.replace("_", "-")


@click.group(cls=Folder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="driftmon")
def command() -> None:
    """Watches the data a model sees and tells, in time and without crying wolf, that it has changed."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb and exit; what nobody foresaw is one line, a way to report it, and exit 70."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        command.main(args=list(arguments), prog_name="driftmon")
    except Exception as fault:  # the outermost frame: whatever comes here has no other place to be told
        if wants_traceback(arguments):
            traceback.print_exception(fault)
        click.echo(unexpected(fault), err=True)
        sys.exit(UNEXPECTED)


def wants_traceback(arguments: Sequence[str]) -> bool:
    """
    >>> wants_traceback(["run", "--log.level", "debug"]), wants_traceback(["run", "--log.level=debug"])
    (True, True)
    >>> wants_traceback(["run", "--log.level", "info", "debug"])
    False
    """
    joined = "\0".join(arguments)
    return "--log.level\0debug" in joined or "--log.level=debug" in joined


def unexpected(fault: BaseException) -> str:
    """One line that says what happened, where, and what to do with it."""
    frames = traceback.extract_tb(fault.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    what = " ".join(f"{type(fault).__name__}: {fault}".split())
    return (
        f"driftmon: unexpected {what}{place}. This is a bug in driftmon {__version__}: "
        "please open an issue with this line (--log.level debug adds a traceback)"
    )
