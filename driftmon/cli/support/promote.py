"""`driftmon reference promote`: accept a new normal, in one daemon at once, or from many into a file."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from driftmon.cli.support.asking import Asked, login_options, who_of
from driftmon.cli.support.faults import Fault, told
from driftmon.cli.support.snapshots import STREAM, write
from driftmon.monitor.promotion import promoted
from driftmon.monitor.snapshot import Snapshot

TIMEOUT_S: Final = 30.0
DAEMON: Final = "http://127.0.0.1:10518"


@click.command()
@click.option("--url", metavar="URL", help=f"The daemon whose live window becomes its reference [default: {DAEMON}].")
@click.option("--from", "sources", metavar="URL", multiple=True, help="Daemons to add the live windows of; with -o.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The reference to write; - is standard output.",
)
@STREAM
@click.option("--window", metavar="NAME", help="Which window; the longest by default.")
@click.option("--by", metavar="WHO", help="For the audit line; by default the user's name.")
@click.option("--reason", metavar="TEXT", default="", help="For the audit line.")
@login_options
def promote(
    url: str | None,
    sources: tuple[str, ...],
    output: Path | None,
    stream: str | None,
    window: str | None,
    by: str | None,
    reason: str,
    **login: Any,
) -> None:
    """Make the live window the new reference: of a daemon, at once; or, with --from and -o, of many pods in a file.

    A daemon keeps the old file beside the new one and writes a line into FILE.audit.jsonl. A file made with -o
    changes nothing by itself: look at it with `reference diff OLD NEW`, commit it, roll it out.
    """
    if bool(sources) != (output is not None) or (sources and url):
        raise click.UsageError("either --url of one daemon, or --from (repeatable) with -o FILE")
    with told():
        who = who_of(login)
        if output is None:
            _at_once(Asked(url or DAEMON, who), stream, {"window": window, "by": by or _user(), "reason": reason})
        else:
            _into_file([Asked(source, who) for source in sources], output, stream, window)


def _at_once(daemon: Asked, stream: str | None, asked: dict[str, str | None]) -> None:
    chosen = stream or _only_stream(daemon)
    body = json.dumps({key: text for key, text in asked.items() if text}).encode()
    entry = json.loads(daemon.ask(f"/api/v1/streams/{quote(chosen, safe='')}/reference/promote", TIMEOUT_S, body))
    click.echo(
        f"stream {chosen}: reference {entry['from']} became {entry['to']}, {entry['records']} records; "
        f"the old one is {entry['kept']}",
        err=True,
    )


def _into_file(asked: list[Asked], output: Path, stream: str | None, window: str | None) -> None:
    chosen = stream or _only_stream(asked[0])
    of_stream = f"/api/v1/streams/{quote(chosen, safe='')}/snapshot"
    snapshots = [Snapshot.from_bytes(daemon.ask(of_stream, TIMEOUT_S)) for daemon in asked]
    daemons = f"{len(asked)} daemon{'s' if len(asked) > 1 else ''}"
    new = promoted(snapshots, window, f"stream {chosen}, {daemons}")
    write(new, output)
    click.echo(f"wrote {output}: {new.provenance['records']} records of {daemons}", err=True)


def _only_stream(daemon: Asked) -> str:
    streams = list(json.loads(daemon.ask("/api/v1/report", TIMEOUT_S))["streams"])
    if len(streams) != 1:
        raise Fault(f"{daemon} has the streams {', '.join(streams) or 'none'}: say which with --stream")
    return str(streams[0])


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return ""
