"""Sinks: those of a configuration, each under the name that its metrics and its rows of the store carry.

Law: the name is the type, numbered from the second of its kind; it stays while the order of its kind does.
"""

from __future__ import annotations

from collections.abc import Sequence

from driftmon import plugins
from driftmon.daemon.settings import PluginSettings
from driftmon.sinks.base import Sink


def build_sinks(settings: Sequence[PluginSettings]) -> dict[str, Sink]:
    """By name."""
    sinks: dict[str, Sink] = {}
    for one in settings:
        times = sum(other.type == one.type for other in settings[: len(sinks)])
        name = f"{one.type}-{times + 1}" if times else one.type
        sinks[name] = plugins.load("sinks", one.type).Sink(one.options)
    return sinks
