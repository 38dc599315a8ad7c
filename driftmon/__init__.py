"""driftmon: how far has the data a model sees moved from its reference, in nats, after every observation.

The public names are imported when first used, so that `driftmon --version` does not load numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftmon.client import Client as Client
    from driftmon.library import load as load
    from driftmon.monitor.batch import Batch as Batch
    from driftmon.monitor.check import check as check
    from driftmon.monitor.monitor import Monitor as Monitor
    from driftmon.monitor.panes import Window as Window
    from driftmon.monitor.references import reference_of as reference_of
    from driftmon.monitor.rules import Rule as Rule
    from driftmon.monitor.snapshot import Snapshot as Snapshot
    from driftmon.stats.schema import Feature as Feature
    from driftmon.stats.schema import Schema as Schema

__version__ = "0.1.0"

_HOME = {
    "Batch": "monitor.batch",
    "Client": "client",
    "Feature": "stats.schema",
    "Monitor": "monitor.monitor",
    "Rule": "monitor.rules",
    "Schema": "stats.schema",
    "Snapshot": "monitor.snapshot",
    "Window": "monitor.panes",
    "check": "monitor.check",
    "load": "library",
    "reference_of": "monitor.references",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'driftmon' has no attribute {name!r}")
    return getattr(import_module(f"driftmon.{_HOME[name]}"), name)
