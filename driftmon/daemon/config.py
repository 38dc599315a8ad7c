"""load: a YAML file to a checked Config, or every mistake in it at once.

Law: what loads can be run but for what the world decides later: a reference file, a port, a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from socket import gethostname

from driftmon.daemon.build import Builder, Wrong
from driftmon.daemon.crosscheck import crosscheck
from driftmon.daemon.faults import ConfigError, Fault
from driftmon.daemon.reference_shapes import reference_settings
from driftmon.daemon.settings import Config, StreamSettings
from driftmon.daemon.shapes import DEFAULT_WINDOWS, ConfigShape, StreamShape
from driftmon.daemon.yaml_nodes import Keys, Node
from driftmon.daemon.yaml_tree import MAX_BYTES, parse
from driftmon.monitor.check import DEFAULT_RULES

__all__ = ["DEFAULT_RULES", "ConfigError", "Fault", "example", "load", "loads"]


def load(path: Path | str, environ: Mapping[str, str] = os.environ) -> Config:
    """Read a configuration file; ConfigError holds all faults, each with file, line, key, fault and cure.

    HOSTNAME is the machine's name where the environment has none: bash sets it, and keeps it to itself.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        cure = "check the name and the permissions; `driftmon config example` prints one to start from"
        reason = (error.strerror or str(error)).lower()
        raise ConfigError([Fault(str(path), f"cannot be read, {reason}", cure)]) from error
    return loads(data, Path(path), {"HOSTNAME": gethostname(), **environ})


def loads(data: bytes, path: Path, environ: Mapping[str, str]) -> Config:
    """The same from bytes; `path` names them in messages and is where relative paths start."""
    root, faults = parse(data, str(path))
    if isinstance(root, Keys) and not root.nodes:
        raise ConfigError([Fault(str(path), "is empty", "start from `driftmon config example`")])
    builder = Builder(root, str(path), path.absolute().parent, environ)
    shape: ConfigShape | None = None
    with suppress(Wrong):
        shape = builder.shape(ConfigShape, root, ())
    if isinstance(root, Keys):
        _check_stream_names(builder, root)
        crosscheck(builder, root, (window.name for window in DEFAULT_WINDOWS))
    faults = sorted([*faults, *builder.faults], key=lambda fault: fault.line)
    if faults or shape is None:
        raise ConfigError(faults)
    return _config(shape, path, root)


def example() -> str:
    """The commented example configuration that comes with the package."""
    from importlib import resources  # noqa: PLC0415  a daemon has a configuration already

    return (resources.files("driftmon.daemon") / "example.yaml").read_text(encoding="utf-8")


def _check_stream_names(builder: Builder, root: Keys) -> None:
    streams: Node | None = root.nodes.get("streams")
    for name in streams.nodes if isinstance(streams, Keys) else ():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
            cure = "use letters, digits, _ . and -, at most 64, starting with a letter or digit"
            builder.note(("streams", name), "cannot stand in a URL", cure)


def _config(shape: ConfigShape, path: Path, root: Node) -> Config:
    return Config(
        version=shape.version,
        streams={name: _stream(name, stream) for name, stream in shape.streams.items()},
        rules=DEFAULT_RULES if shape.rules is None else tuple(rule.rule() for rule in shape.rules),
        sinks=shape.sinks,
        external_labels=dict(shape.external_labels or {}),
        storage=shape.storage,
        metrics=shape.metrics,
        limits=shape.limits,
        path=path,
        tree=root,
    )


def _stream(name: str, shape: StreamShape) -> StreamSettings:
    windows = tuple(window.window() for window in shape.windows)
    return StreamSettings(
        name=name,
        sources=shape.sources,
        time=shape.time,
        reference=reference_settings(shape.reference, windows),
        features=shape.specs(),
        windows=windows,
        pseudocount=shape.pseudocount,
        tick_ms=shape.tick_ms,
        stale_after_ms=shape.stale_after_ms,
        overload=shape.overload,
        labels=None if shape.labels is None else shape.labels.waits(),
    )
