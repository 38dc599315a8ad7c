"""`driftmon healthcheck`: exit 0 if a daemon answers its probe, else 1; for containers, whose images have no curl."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from typing import Final

import click

TIMEOUT_S: Final = 3.0


@click.command("healthcheck")
@click.option("--url", default="http://127.0.0.1:10517/-/healthy", show_default=True, help="The probe to ask.")
def command(url: str) -> None:
    """Ask a running daemon whether it is healthy."""
    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"--url {url!r} is no http or https URL; write it as http://host:port/-/healthy")
    # No proxy of the environment: the daemon is beside us.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as reply:
            click.echo(reply.read().decode(errors="replace").strip())
    except urllib.error.HTTPError as fault:
        with fault:  # it holds the connection
            click.echo(f"{url}: {fault.code} {fault.reason}", err=True)
        sys.exit(1)
    except OSError as fault:
        click.echo(f"{url}: {fault}", err=True)
        if isinstance(fault, urllib.error.HTTPError):
            fault.close()  # an answer, with a connection of its own
        sys.exit(1)
