"""What the caller can mend: one line on stderr and exit 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from driftmon.cli.support.asking import Unanswered
from driftmon.daemon.config import ConfigError
from driftmon.monitor.snapshot import SnapshotError


class Fault(click.ClickException):
    """A wrong file, a wrong record, a wrong combination; the message names the place, the fault and the cure."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"driftmon: {self.message}", err=True, file=file)


@contextmanager
def told() -> Iterator[None]:
    """Configuration, snapshot and file errors, and those of a daemon that was asked, become a Fault."""
    try:
        yield
    except (ConfigError, SnapshotError, Unanswered) as fault:
        raise Fault(str(fault)) from fault
    except OSError as fault:
        raise Fault(f"{fault.filename}: {fault.strerror}" if fault.filename else str(fault)) from fault
