"""`driftmon check-config C...`: is it right, what will be watched, how many series, what cannot be promised.

Law: it finds all mistakes of all files in one go; what it passes `run` can start.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from driftmon.cli.support.faults import Fault
from driftmon.daemon.cautions import cautions, series, watched
from driftmon.daemon.config import ConfigError, load
from driftmon.daemon.on_disk import load_references
from driftmon.daemon.promises import detecting, family, promise
from driftmon.daemon.settings import MIB, Config, StreamSettings
from driftmon.daemon.units import size
from driftmon.monitor.delayed import Waits, bytes_of
from driftmon.monitor.panes import PANES, Window, span
from driftmon.monitor.rules import Rule
from driftmon.monitor.snapshot import Snapshot
from driftmon.sinks.base import shown_url
from driftmon.stats.edges import FeatureSpec


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--strict", is_flag=True, help="Warnings are errors: exit 2.")
def command(files: tuple[str, ...], strict: bool) -> None:
    """Check configuration files: exit 0 if `driftmon run` can start with each of them, else 2."""
    wrong = [file for file in files if not _passes(Path(file), strict)]
    if wrong:
        sys.exit(Fault.exit_code)


def _passes(file: Path, strict: bool) -> bool:
    try:
        config = load(file)
        references = load_references(config)
    except ConfigError as error:
        click.echo(str(error), err=True)
        return False
    for line in summary(config, references):
        click.echo(line)
    warnings = cautions(config, references)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    return not (strict and warnings)


def summary(config: Config, references: Mapping[str, Snapshot]) -> Iterator[str]:
    """What `run` will do with it, for people."""
    yield f"{config.path}: ok"
    for name, stream in config.streams.items():
        yield f"  stream {name}"
        yield f"    from       {', '.join(source.type for source in stream.sources)}, {_time(stream)}"
        yield f"    reference  {_reference(stream, references.get(name))}"
        yield f"    windows    {', '.join(map(_window, stream.windows))}"
        for spec in stream.features:
            yield f"    feature    {spec.name}: {_feature(spec, references.get(name))}"
        if stream.labels is not None:
            yield f"    labels     {_labels(stream, stream.labels)}"
    for rule in config.rules:
        yield f"  rule {rule.name}: {_rule(rule, config)}"
    yield f"  sinks {', '.join(sink.type for sink in config.sinks) or 'none'}"
    yield f"  series {series(config, references)} of at most {config.limits.series}"


def _time(stream: StreamSettings) -> str:
    if stream.time is None:
        return "by time of arrival"
    late = f", up to {span(stream.time.lateness_ms)} late" if stream.time.lateness_ms else ""
    return f"by {stream.time.field} ({stream.time.unit}){late}"


def _reference(stream: StreamSettings, reference: Snapshot | None) -> str:
    wanted = stream.reference
    if wanted.type == "stream":
        return f"stream {wanted.stream}, its live windows"
    if wanted.type == "trailing":
        until = f", until then {wanted.path.name}" if wanted.path else ", until then nothing is judged"
        return f"its own {span(wanted.length_ms)} before the last {span(wanted.lag_ms)}{until}"
    hours = f" by {wanted.slots}" if wanted.slots else ""
    if reference is None:
        return f"the first {wanted.observations} records{hours}"
    records = int(reference.schema.totals(reference.counts.astype(float)).max(initial=0))
    by = {"time": ", dispersion by time", "rows": ", dispersion by rows in their order (shuffled ones hide dependence)"}
    measured = by.get(reference.dispersion.get("by", ""), "")
    name = wanted.path.name if wanted.path else shown_url(wanted.url)
    return f"{name}, {records} records{hours}{measured}"


def _labels(stream: StreamSettings, waits: Waits) -> str:
    """What they are joined by, and what that costs."""
    most = size(-(-bytes_of(stream.features, waits) // MIB) * MIB)
    kept = f"at most {waits.entries:,} ids in {most} of memory"
    return f"by {waits.id} within {span(waits.wait_ms)}, {kept}, counted at the time of the {waits.time}"


def _window(window: Window) -> str:
    if window.half_life_ms is not None:
        return f"{window.name} (half-life {span(window.half_life_ms)})"
    return f"{window.name} ({span(window.pane_ms * PANES)})"


def _feature(spec: FeatureSpec, reference: Snapshot | None) -> str:
    """Kind and number of regular bins; "at most" until a reference has chosen them."""
    if reference is not None:
        regular = reference.schema.features[reference.schema.names.index(spec.name)].binning.regular
        return f"{spec.kind}, {regular} bins"
    if spec.kind == "boolean":
        return "boolean, 2 bins"
    given = spec.categories if spec.kind == "categorical" else spec.edges
    if given is not None:
        return f"{spec.kind}, {len(given) + (spec.kind != 'categorical')} bins"
    return f"{spec.kind}, at most {spec.top if spec.kind == 'categorical' else spec.bins} bins"


def _rule(rule: Rule, config: Config) -> str:
    if rule.calibrated is not None and watching(rule, config):
        streams = config.streams.values()
        return promise(rule, rule.calibrated, streams, family(config.rules, streams))
    if rule.calibrated is not None:
        return "by evidence, watches nothing"
    if rule.detector is not None:
        return detecting(rule, rule.detector, watching(rule, config))
    labels = "".join(f" {label}" for label in rule.metric_labels.values())
    after = f" for {span(rule.pending_for_ms)}" if rule.pending_for_ms else ""
    return f"{rule.metric}{labels} > {rule.above:g}{after}, watches {_pairs(watching(rule, config))}"


def watching(rule: Rule, config: Config) -> int:
    """How many pairs of feature and window a rule judges in all streams."""
    return sum(watched(rule, stream) for stream in config.streams.values())


def _pairs(count: int) -> str:
    return "nothing" if not count else f"{count} pair{'s' if count > 1 else ''} of feature and window"
