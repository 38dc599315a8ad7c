"""Files a configuration names: references and secrets. Looked at when they are needed, not by `load`.

Law: a reference is used only if every feature in it is counted as the configuration says today.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from driftmon.daemon.faults import ConfigError, Fault
from driftmon.daemon.fields import fields_of
from driftmon.daemon.settings import Config, PluginSettings, StreamSettings
from driftmon.monitor.snapshot import Snapshot, SnapshotError
from driftmon.outward.login import Login, LoginError
from driftmon.sinks.base import shown_url
from driftmon.stats.edges import FeatureSpec
from driftmon.stats.schema import Feature


def load_references(config: Config) -> Mapping[str, Snapshot]:
    """The reference files by stream, and a look at every secret; ConfigError with all that is wrong."""
    found: dict[str, Snapshot] = {}
    faults: list[Fault] = []
    for name, stream in config.streams.items():
        try:
            reference = load_reference(stream, config.path)
        except ConfigError as error:
            faults += error.faults
            continue
        if reference is not None:
            found[name] = reference
    faults += unreadable_secrets(config)
    if faults:
        raise ConfigError(faults)
    return found


def load_reference(stream: StreamSettings, config: Path | str = "driftmon.yaml") -> Snapshot | None:
    """P of a stream with a `file` reference, None for a warm-up; ConfigError where it cannot be used.

    `config` is the name of the configuration file, for the command in the message.
    """
    path = stream.reference.path
    if path is None and not stream.reference.url:
        return None
    shown = shortest(path) if path is not None else f"{stream.name}.reference.json"
    rebuild = f"driftmon reference build DATA --config.file {config} --stream {stream.name} -o {shown}"
    try:
        snapshot = Snapshot.from_bytes(_downloaded(stream) if path is None else path.read_bytes())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _error(stream, f"{shown} cannot be read, {reason}", f"make it: {rebuild}") from error
    except SnapshotError as error:
        raise _error(stream, f"{shown} is no usable reference, {error}", f"or make it again: {rebuild}") from error
    differences = list(_differences(snapshot.schema.features, stream.features))
    if differences:
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        told = ", ".join(differences[:3]) + more
        raise _error(stream, f"{shown} was counted with another schema: {told}", f"make it again: {rebuild}")
    wanted = stream.reference.slots
    if wanted is not None and snapshot.slots_by != wanted:
        has = f"its counts by {snapshot.slots_by}" if snapshot.slots_by else "no counts by hour"
        raise _error(stream, f"{shown} has {has}, slots: {wanted} is configured", f"make it again: {rebuild}")
    return snapshot


def _downloaded(stream: StreamSettings) -> bytes:
    from driftmon.daemon.remote import RemoteError, fetch  # noqa: PLC0415  most configurations need no HTTP client

    try:
        return fetch(stream.reference.url, stream.reference.sha256, stream.reference.login)
    except RemoteError as error:
        fault, _, cure = str(error).rpartition("; ")
        raise _error(stream, f"{shown_url(stream.reference.url)} cannot be used, {fault}", cure) from error


def unreadable_secrets(config: Config) -> list[Fault]:
    """Faults for option fields `*_file` whose file cannot be read, or is no login."""
    return [fault for plugin in _plugins(config) for fault in (list(_unreadable(plugin)) or _unusable(plugin))]


def shortest(path: Path) -> Path:
    """As one would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _plugins(config: Config) -> Iterator[PluginSettings]:
    for stream in config.streams.values():
        yield from stream.sources
    yield from config.sinks


def _unreadable(plugin: PluginSettings) -> Iterator[Fault]:
    for key, field in fields_of(plugin.options.__class__).items():
        path = getattr(plugin.options, field.name)
        if not key.endswith("_file") or path is None:
            continue
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            yield Fault(
                f"{plugin.place}.{key}", f"{shortest(path)} cannot be read, {reason}", "make it, or correct the path"
            )


def _unusable(plugin: PluginSettings) -> Iterator[Fault]:
    if not isinstance(plugin.options, Login):
        return
    try:
        plugin.options.headers()
        if plugin.options.ca_file is not None:  # what the system trusts takes 20 ms to load, and is not ours to judge
            plugin.options.context()
    except LoginError as error:
        fault, _, cure = str(error).rpartition("; ")
        yield Fault(plugin.place, fault, cure)


def _error(stream: StreamSettings, fault: str, cure: str) -> ConfigError:
    return ConfigError([Fault(stream.reference.place, fault, cure)])


def _differences(counted: tuple[Feature, ...], wanted: tuple[FeatureSpec, ...]) -> Iterator[str]:
    """In words; the order of features is of no account."""
    by_name = {feature.name: feature for feature in counted}
    yield from (f"it has no {spec.name}" for spec in wanted if spec.name not in by_name)
    names = {spec.name for spec in wanted}
    yield from (f"the configuration has no {name}" for name in by_name if name not in names)
    for spec in wanted:
        feature = by_name.get(spec.name)
        if feature is not None:
            yield from _changes(feature, spec)


def _changes(feature: Feature, spec: FeatureSpec) -> Iterator[str]:
    if feature.kind != spec.kind:
        yield f"{spec.name} is {feature.kind} there and {spec.kind} here"
        return
    if (feature.field or spec.name) != (spec.field or spec.name):
        yield f"{spec.name} is field {feature.field or spec.name} there and {spec.field or spec.name} here"
    if feature.absent != spec.absent:
        yield f"{spec.name} has absent: {feature.absent} there and {spec.absent} here"
    if feature.outcome != spec.outcome:
        yield f"{spec.name} has other probabilities, classes or another label"
    for key, given in (("edges", spec.edges), ("categories", spec.categories)):
        if given is not None and list(given) != feature.binning.as_dict().get(key):
            yield f"{spec.name} has other {key}"
