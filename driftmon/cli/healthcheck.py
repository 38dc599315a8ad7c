"""`driftmon healthcheck`: exit 0 if a daemon answers its probe, else 1; for containers, whose images have no curl."""

from __future__ import annotations

import sys
from typing import Any, Final
from urllib.parse import urlsplit

import click

from driftmon.cli.support.asking import Asked, Unanswered, login_options, who_of

TIMEOUT_S: Final = 3.0
PROBE: Final = "/-/healthy"
HELP: Final = "The probe to ask; of unix:/path the same, unix:/path:/-/ready another."


@click.command("healthcheck")
@click.option("--url", default=f"http://127.0.0.1:10517{PROBE}", show_default=True, help=HELP)
@login_options
def command(url: str, **login: Any) -> None:
    """Ask a running daemon whether it is healthy. The probes ask nobody who they are; other paths may."""
    who, (base, path) = who_of(login), _split(url)
    try:
        daemon = Asked(base, who)
    except Unanswered as fault:
        raise click.UsageError(f"--url: {fault}") from None
    try:
        click.echo(daemon.ask(path, TIMEOUT_S).decode(errors="replace").strip())
    except Unanswered as fault:
        click.echo(str(fault), err=True)
        sys.exit(1)


def _split(url: str) -> tuple[str, str]:
    """The daemon and the path.

    >>> _split("https://h:1/-/ready"), _split("unix:/run/d.sock"), _split("unix:/run/d.sock:/-/ready")
    (('https://h:1', '/-/ready'), ('unix:/run/d.sock', '/-/healthy'), ('unix:/run/d.sock', '/-/ready'))
    """
    if url.startswith("unix:"):
        socket, _, path = url.removeprefix("unix:").partition(":/")
        return f"unix:{socket}", f"/{path}" if path else PROBE
    parts = urlsplit(url)
    if not parts.scheme or not parts.netloc:
        return url, PROBE
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}", (parts.path or PROBE) + query
