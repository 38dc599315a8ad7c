"""The file name is the configuration key: `type: kafka` is driftmon/sources/kafka.py, imported only then."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

NOT_PLUGINS = {"base", "layout", "rotation"}


def names(kind: str) -> list[str]:
    """The plug-ins of one kind ("sources", "sinks", "formats", "stats.binnings"), by file name.

    >>> names("stats.binnings")
    ['boolean', 'categorical', 'log_loss', 'numeric']
    """
    package = importlib.import_module(f"driftmon.{kind}")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name not in NOT_PLUGINS)


def load(kind: str, name: str) -> ModuleType:
    """The module of a plug-in; the names there are guard the import, so configuration cannot import at will."""
    if name not in names(kind):
        raise ValueError(f"there is no {kind} {name!r}; there are {', '.join(names(kind))}")
    return importlib.import_module(f"driftmon.{kind}.{name}")
