"""Redaction: the configuration in force as YAML in the file's words, without what only its owner may know.

Law: a value is shown unless it may carry a secret. Of URLs only scheme, host and port are shown: passwords,
tokens and the paths of webhooks are credentials. Fields with such a name are left out whatever they hold.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from driftmon.daemon.settings import Config, PluginSettings, ReferenceSettings, StreamSettings
from driftmon.monitor.panes import PANES, Window, span
from driftmon.monitor.rules import Calibrated, Detector, Rule
from driftmon.sinks.base import REDACTED, shown_url
from driftmon.stats.edges import FeatureSpec

SECRET: Final = re.compile("secret|token|password|passwd|credential|api_?key|authorization", re.IGNORECASE)
URL: Final = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
LEFT_OUT: Final = ("place", "tree")
RENAMED: Final = {"pending_for": "for"}
BINS: Final = ("bins", "method", "edges")
OF_KIND: Final = {"numeric": BINS, "categorical": ("top", "categories"), "log_loss": BINS}


def redacted(config: Config) -> str:
    """YAML; reads like the file, every default filled in."""
    found = {key: value for key, value in _fields(config) if key != "path"}
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=110)


def plain(value: Any) -> Any:
    """A value as YAML knows it: mappings, lists, texts, numbers."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return SPECIAL.get(type(value), lambda one: dict(_fields(one)))(value)
    if isinstance(value, Mapping):
        return {str(key): _hidden(str(key), one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        named = value and all(isinstance(one, FeatureSpec) for one in value)
        return {one.name: plain(one) for one in value} if named else [plain(one) for one in value]
    if isinstance(value, str) and URL.match(value):
        return shown_url(value)
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def _hidden(name: str, value: Any) -> Any:
    """A path to a secret is none, and a mapping of that name is a stream or feature called so."""
    return REDACTED if SECRET.search(name) and isinstance(value, str | bytes) else plain(value)


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        if field.name in LEFT_OUT or (not held and held == field.default) or held in (None, (), {}):
            continue
        if field.name.endswith("_ms") and isinstance(held, int):
            yield field.name.removesuffix("_ms"), span(held) if held else "0s"
        elif field.name.endswith("_bytes") and isinstance(held, int):
            yield field.name, _size(held)
        elif isinstance(held, Path):
            yield field.name, str(held)
        else:
            yield field.name, _hidden(field.name, held)


def _size(size_bytes: int) -> int | str:
    """
    >>> _size(16 * 1024 * 1024), _size(65536), _size(1000)
    ('16MiB', '64KiB', 1000)
    """
    for unit, step in (("MiB", 2**20), ("KiB", 2**10)):
        if size_bytes and size_bytes % step == 0:
            return f"{size_bytes // step}{unit}"
    return size_bytes


def _stream(settings: StreamSettings) -> dict[str, Any]:
    return {key: value for key, value in _fields(settings) if key != "name"}


def _reference(settings: ReferenceSettings) -> dict[str, Any]:
    """The login's keys stand beside the url's, as in the file."""
    found = dict(_fields(settings))
    login = found.pop("login")
    return {**found, **login}


def _window(window: Window) -> dict[str, str]:
    if window.half_life_ms is not None:
        return {"name": window.name, "half_life": span(window.half_life_ms)}
    return {"name": window.name, "length": span(window.pane_ms * PANES)}


def _plugin(settings: PluginSettings) -> dict[str, Any]:
    return {"type": settings.type, **plain(settings.options)}


def _feature(spec: FeatureSpec) -> dict[str, Any]:
    known = ("field", "absent", *OF_KIND.get(spec.kind, ()))
    made = {"type": spec.kind, **{key: value for key, value in _fields(spec) if key in known}}
    if (outcome := spec.outcome) is None:
        return made
    found = outcome.as_dict()
    if fields := found.pop("fields", None):
        found["probabilities"] = dict(zip(found.pop("classes"), fields, strict=True))
    return made | found


def _calibrated(calibrated: Calibrated) -> dict[str, Any]:
    found = dict(_fields(calibrated))
    return {"effect": calibrated.effect, "false_alarms": f"1/{found.pop('budget')}", **found}


def _detector(detector: Detector) -> dict[str, Any]:
    return {key: value for key, value in _fields(detector) if key != "kinds"}


def _rule(rule: Rule) -> dict[str, Any]:
    found = {RENAMED.get(key, key): value for key, value in _fields(rule)}
    found |= found.pop("metric_labels", {})
    if (
        rule.calibrated is not None or rule.detector is not None
    ):  # metric and threshold are only what is drawn beside the evidence
        for key in ("metric", "above", "resolve_below", "min_observations"):
            found.pop(key, None)
    return found


SPECIAL: Final[Mapping[type, Callable[[Any], dict[str, Any]]]] = {
    StreamSettings: _stream,
    ReferenceSettings: _reference,
    Window: _window,
    PluginSettings: _plugin,
    FeatureSpec: _feature,
    Calibrated: _calibrated,
    Detector: _detector,
    Rule: _rule,
}
