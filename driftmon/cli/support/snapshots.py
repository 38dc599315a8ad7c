"""Snapshot files and configurations, as the verbs take and leave them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import click

from driftmon.cli.support.faults import Fault
from driftmon.daemon.config import load
from driftmon.daemon.settings import Config, StreamSettings
from driftmon.monitor.snapshot import Snapshot

CONFIG = click.option(
    "--config.file",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The configuration.",
)
STREAM = click.option("--stream", metavar="NAME", help="Which stream of the configuration, where there are several.")
OUTPUT = click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="The snapshot to write; - is standard output.",
)


def stream_of(config: Config, name: str | None) -> StreamSettings:
    """The stream asked for, or the only one."""
    streams: Mapping[str, StreamSettings] = config.streams
    there = ", ".join(streams)
    if name is None and len(streams) > 1:
        raise Fault(f"{config.path.name} has the streams {there}: say which with --stream")
    if name is not None and name not in streams:
        raise Fault(f"{config.path.name} has no stream {name}; there are {there}")
    return streams[name] if name is not None else next(iter(streams.values()))


def configured(file: Path) -> Config:
    return load(file, os.environ)


def write(snapshot: Snapshot, path: Path) -> None:
    """Write a snapshot whole or not at all: a daemon may read the old one at this moment."""
    write_bytes(snapshot.to_bytes(), path)


def write_bytes(data: bytes, path: Path) -> None:
    """A file is replaced; what is none, a pipe or /dev/stdout, is written to: replacing it would destroy it."""
    if str(path) == "-" or (path.exists() and not path.is_file()):
        with click.open_file(str(path), "wb") as file:
            file.write(data)
        return
    path = path.resolve()  # a link stays one
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
