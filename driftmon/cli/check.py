"""`driftmon check`: everything in a file, or a second snapshot, against a reference, once.

Law: the verdict is a function of the counts and the rules; 1 says drift, 3 says not enough data to say.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click

from driftmon.cli.support import valueless
from driftmon.cli.support.faults import Fault, told
from driftmon.cli.support.inputs import FORMS, STDIN, opened
from driftmon.cli.support.parts import by_processes
from driftmon.cli.support.records import Refusals, all_batches
from driftmon.cli.support.snapshots import CONFIG, STREAM, configured, stream_of
from driftmon.formats.layout import Layout
from driftmon.library import load
from driftmon.monitor.batch import MAX_ERRORS, Batch, LineError
from driftmon.monitor.check import DEFAULT_RULES, one_shot
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.report import Report, Status
from driftmon.monitor.rules import Rule
from driftmon.monitor.snapshot import Snapshot
from driftmon.render.json import report_json, to_bytes
from driftmon.render.table import FOOTNOTE, table

WITHOUT_CONFIG: Final = "data"  # the stream's name then
EXITS: Final = ((Status.DRIFT, 1), (Status.INSUFFICIENT_DATA, 3))


@click.command("check")
@click.argument("reference", type=click.Path(path_type=Path))
@click.argument("input_", metavar="INPUT")
@CONFIG
@STREAM
@click.option("--json", "as_json", is_flag=True, help="The report as JSON instead of a table.")
@click.option("--jobs", metavar="N", type=click.IntRange(min=1), default=1, help="Processes that count.")
def command(
    reference: Path, input_: str, config_file: Path | None, stream: str | None, as_json: bool, jobs: int
) -> None:
    """Compare a data file, NDJSON on stdin (-), or a second snapshot with a REFERENCE.

    Exits 1 if any feature drifts, else 3 if any has too little data to tell, else 0. Without a
    configuration its default rules apply; `for` and `keep_firing_for` do not, there is no time here.
    """
    with told():
        name, rules, pseudocount = _asked(config_file, stream)
        asked = Comparison(load(reference), rules, name, pseudocount)
        monitor = asked.begin()
        _observe(monitor, input_, asked, jobs)
    report = monitor.tick(0)
    reports = {name: report}
    click.echo(to_bytes(report_json(reports)) if as_json else f"{table(reports)}\n{FOOTNOTE}", nl=False)
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


@dataclass(frozen=True, slots=True)
class Comparison:
    """A monitor in the making; each process counts in one of its own."""

    reference: Snapshot
    rules: Sequence[Rule]
    name: str
    pseudocount: float

    def begin(self) -> Monitor:
        return one_shot(self.reference, self.rules, stream=self.name, pseudocount=self.pseudocount)

    def of(self, batches: Iterator[Batch]) -> Compared:
        """The counts of a part, to be merged."""
        monitor, rejected, errors = self.begin(), Counter[str](), list[LineError]()
        for batch in batches:
            rejected.update(monitor.observe_batch(batch, 0).rejected)
            errors += batch.errors[: MAX_ERRORS - len(errors)]
        return Compared(monitor.snapshot(), rejected, errors)


@dataclass(frozen=True, slots=True)
class Compared:
    """What a process says of a part."""

    counted: Snapshot
    rejected: Counter[str]
    errors: list[LineError]


def _observe(monitor: Monitor, argument: str, asked: Comparison, jobs: int) -> None:
    """Count the input: records, or another snapshot's counts."""
    if argument != STDIN and not set(FORMS) & set(Path(argument).suffixes[-2:]):
        monitor.count_snapshot(load(argument))
        return
    layout, refusals = Layout(monitor.schema.features), Refusals()
    with opened([argument]) as sources:
        if jobs == 1:
            for source, batch in all_batches(sources, layout, "counting"):
                receipt = monitor.observe_batch(batch, 0)
                refusals.add(source, receipt.rejected, batch.errors)
        else:
            for part in by_processes(sources, layout, asked, jobs, "counting"):
                monitor.merge(part.found.counted)
                errors = (replace(error, line=error.line + part.lines_before) for error in part.found.errors)
                refusals.add(part.source, part.found.rejected, tuple(errors))
        valueless.tell(monitor.schema, monitor.snapshot().counts, sources)
    refusals.tell()
