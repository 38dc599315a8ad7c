"""`driftmon check`: everything in a file, or a second snapshot, against a reference, once.

Law: the verdict is a function of the counts and the rules; 1 says drift, 3 says not enough data to say.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from driftmon.cli.support.faults import Fault, told
from driftmon.cli.support.inputs import FORMS, STDIN, opened
from driftmon.cli.support.records import Refusals, all_batches
from driftmon.cli.support.snapshots import CONFIG, STREAM, configured, stream_of
from driftmon.formats.layout import Layout
from driftmon.library import load
from driftmon.monitor.check import DEFAULT_RULES, one_shot
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.report import Report, Status
from driftmon.monitor.rules import Rule
from driftmon.render.json import report_json, to_bytes
from driftmon.render.table import table

WITHOUT_CONFIG: Final = "data"  # the stream's name then
EXITS: Final = ((Status.DRIFT, 1), (Status.INSUFFICIENT_DATA, 3))


@click.command("check")
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("input_", metavar="INPUT")
@CONFIG
@STREAM
@click.option("--json", "as_json", is_flag=True, help="The report as JSON instead of a table.")
def command(reference: Path, input_: str, config_file: Path | None, stream: str | None, as_json: bool) -> None:
    """Compare a data file, NDJSON on stdin (-), or a second snapshot with a REFERENCE.

    Exits 1 if any feature drifts, else 3 if any has too little data to tell, else 0. Without a
    configuration its default rules apply; `for` and `keep_firing_for` do not, there is no time here.
    """
    with told():
        name, rules, pseudocount = _asked(config_file, stream)
        monitor = one_shot(load(reference), rules, stream=name, pseudocount=pseudocount)
        _observe(monitor, input_)
    report = monitor.tick(0)
    reports = {name: report}
    click.echo(to_bytes(report_json(reports)) if as_json else table(reports), nl=False)
    sys.exit(exit_code(report))


def exit_code(report: Report) -> int:
    """Drift outweighs a lack of data."""
    found = set(report.statuses.values())
    return next((code for status, code in EXITS if status in found), 0)


def _asked(config_file: Path | None, stream: str | None) -> tuple[str, Sequence[Rule], float]:
    if config_file is None:
        if stream is not None:
            raise Fault("--stream names a stream of a configuration: give --config.file too")
        return WITHOUT_CONFIG, DEFAULT_RULES, 0.5
    config = configured(config_file)
    settings = stream_of(config, stream)
    return settings.name, config.rules, settings.pseudocount


def _observe(monitor: Monitor, argument: str) -> None:
    """Count the input: records, or another snapshot's counts."""
    if argument != STDIN and not set(FORMS) & set(Path(argument).suffixes[-2:]):
        monitor.count_snapshot(load(argument))
        return
    layout, refusals = Layout(monitor.schema.features), Refusals()
    with opened([argument]) as sources:
        for source, batch in all_batches(sources, layout, "counting"):
            receipt = monitor.observe_batch(batch, 0)
            refusals.add(source, receipt.rejected, batch.errors)
    refusals.tell()
