"""`driftmon replay`: the engine of `run` over recorded data, on the data's own clock.

Law: the same records give the alerts and the numbers that `run` gave, or would have given, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from driftmon.cli.support import valueless
from driftmon.cli.support.faults import Fault, told
from driftmon.cli.support.inputs import opened
from driftmon.cli.support.records import Refusals
from driftmon.cli.support.replay_engine import Replay, Watermark, stream_for
from driftmon.cli.support.replay_injection import GRAMMAR, Injection, checked, injected, parsed
from driftmon.cli.support.replay_page import Pages
from driftmon.cli.support.replay_reading import Recorded
from driftmon.cli.support.replay_survey import Survey, survey
from driftmon.cli.support.snapshots import CONFIG, STREAM, configured, stream_of, write_bytes
from driftmon.daemon.on_disk import load_reference
from driftmon.daemon.settings import Config, StreamSettings
from driftmon.daemon.streams import live_layout_of
from driftmon.monitor.batch import Batch
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Change
from driftmon.render.json import to_bytes
from driftmon.render.openmetrics import clean
from driftmon.render.replay_words import Episodes, caught, caught_words, change_json, sentence

BATCHES_A_TICK: Final = 16  # the last look of a tick is made whole, for a report that nobody reads here


@click.command(
    "replay",
    epilog=f"An injection is {GRAMMAR}\nFor example: --inject 'dep_delay:+0.5sd@2013-08-01' --inject 'carrier:UA>AA "
    "50%@2013-08-01..2013-09-01'. Quote it: shells know > and *.",
)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@CONFIG
@STREAM
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: every change, last a summary.")
@click.option(
    "--report", "report_file", metavar="FILE", type=click.Path(path_type=Path), help="Write a page to look at (.html)."
)
@click.option("--inject", "inject", metavar="SPEC", multiple=True, help="Put a shift into the data; repeatable.")
@click.option("--jobs", metavar="N", type=click.IntRange(min=1), default=1, help="Processes that decode.")
def command(
    inputs: tuple[str, ...],
    config_file: Path | None,
    stream: str | None,
    as_json: bool,
    report_file: Path | None,
    inject: tuple[str, ...],
    jobs: int,
) -> None:
    """Run the rules of a configuration over recorded data and tell every alert they would have raised.

    INPUT: .ndjson .jsonl .csv (also .gz), .parquet, or - for NDJSON on stdin; in the order of their times.
    `notify_after` is ignored. With --report a page with a timeline per feature, and a table of what other
    thresholds would have cost in alerts, and how fast they see shifts that are put into the data.
    """
    if config_file is None:
        raise click.UsageError("--config.file is missing: it says what is watched, and by which rules")
    with told(), opened(inputs) as sources:
        config = configured(config_file)
        settings = stream_of(config, stream)
        if settings.time is None:
            raise Fault(
                f"{config_file.name}  streams.{settings.name}: has no `time`, and replay goes by the records' own "
                "clock; add for example `time: {field: time, unit: iso8601}`"
            )
        if settings.reference.type == "stream":
            raise Fault(
                f"{config_file.name}  streams.{settings.name}: its reference is stream {settings.reference.stream}, "
                "and replay runs one stream by itself; compare with counts of it, reference: {type: file, ...}"
            )
        asked = [parsed(text, settings.features) for text in inject]
        recorded = Recorded(sources, live_layout_of(settings), jobs)
        run = Running(config, settings, asked, recorded)
        if asked or report_file is not None:
            run.look_first()
        if report_file is not None:
            run.draw()
        run.through(_echo_json if as_json else _wait)
        run.tell_faults()
        for line in [to_bytes(run.summary()).decode().rstrip()] if as_json else run.prose():
            click.echo(line)
        if report_file is not None:
            write_bytes(run.page(), report_file)
            click.echo(f"wrote {report_file}", err=True)


def _echo_json(change: Change) -> None:
    click.echo(to_bytes(change_json(change)), nl=False)


def _wait(change: Change) -> None:
    """An alert is told in words once it has ended."""


class Running:
    """One replay from its first look at the data to its last line."""

    def __init__(
        self, config: Config, settings: StreamSettings, asked: Sequence[Injection], recorded: Recorded
    ) -> None:
        self.config, self.settings, self.asked, self.recorded = config, settings, asked, recorded
        reference = load_reference(settings, config.path)
        self.replay = Replay(stream_for(config, settings.name, config.rules, reference))
        self.episodes = Episodes()
        self.refusals = Refusals()
        self._survey = Survey({}, 0, None)
        self._pages: Pages | None = None
        self._counted = 0  # batches

    def look_first(self) -> None:
        """A pass over the data for what shifts and pages need to know beforehand."""
        kinds = {spec.name: spec.kind for spec in self.settings.features}
        batches = (batch for _, batch in self.recorded.batches("looking"))
        self._survey = survey(batches, kinds, Watermark.of(self.settings))
        if self._survey.span_ms is not None:
            checked(self.asked, self._survey.facts, self._survey.span_ms)

    def draw(self) -> None:
        """From here on gather what a page shows."""
        inputs = [source.name for source in self.recorded.sources]
        self._pages = Pages(self.config, self.settings, self._survey, self.asked, inputs)

    def page(self) -> bytes:
        assert self._pages is not None, "nothing was drawn"
        return self._pages.page(self.episodes.all, self.replay.tally, self.outcomes())

    def through(self, tell: Callable[[Change], None]) -> None:
        """The replay itself; every change is told as it comes."""
        row = 0
        for source, batch in self.recorded.batches("replaying"):
            self.refusals.add(source, batch.rejected, batch.errors)
            for report in self._reports(batch, row):
                self._note(report, tell)
            row += batch.rows
        self._note(self.replay.finish(), tell)

    def _reports(self, batch: Batch, row: int) -> Iterable[Report]:
        shifted = injected(batch, row, self.asked, self._survey.facts)
        if self._pages is None:
            self.replay.count(shifted)
            self._counted += 1
            return [] if self._counted % BATCHES_A_TICK else [self.replay.tick()]
        self._pages.trials.observe(batch, row, self.replay.stream.reference)
        return self.replay.observe_by_pane(shifted)

    def _note(self, report: Report, tell: Callable[[Change], None]) -> None:
        self.episodes.add(report.changes)
        if self._pages is not None:
            self._pages.timeline.add(report)
        for change in report.changes:
            tell(change)

    def tell_faults(self) -> None:
        """On stderr what could not be used; Fault if that was everything."""
        self.refusals.tell()
        tally, names = self.replay.tally, ", ".join(source.name for source in self.recorded.sources)
        if not tally.counted:
            raise Fault(f"{names}: no record was counted; see the lines above, and `time` in the configuration")
        if tally.late:
            click.echo(
                f"{tally.late} of {tally.records} records came after their pane had closed and were left out, as "
                "`run` would: give the inputs in the order of their times, or raise `lateness`",
                err=True,
            )
        if (monitor := self.replay.stream.monitor) is not None:
            valueless.tell(monitor.schema, monitor.clocks.counted, self.recorded.sources)

    def prose(self) -> Iterator[str]:
        """A line an alert, then one a shift."""
        yield from map(sentence, self.episodes.all)
        for outcome in self.outcomes():
            yield f"injected {clean(outcome['injection'])}: {caught_words(outcome)}"
        tally = self.replay.tally
        click.echo(f"{len(self.episodes.all)} alerts in {tally.days:.4g} days, {tally.counted} records", err=True)

    def outcomes(self) -> list[dict[str, Any]]:
        """What became of each shift asked for."""
        return [dict(caught(one.text, one.from_ms, one.feature, self.episodes.all)) for one in self.asked]

    def summary(self) -> dict[str, Any]:
        """The last line of --json."""
        tally = self.replay.tally
        rules = [rule.name for rule in self.config.rules]
        return {
            "event": "summary",
            "records": tally.records,
            "rejected": tally.rejected,
            "late": tally.late,
            "from_ms": tally.from_ms,
            "to_ms": tally.to_ms,
            "alerts_per_day": self.episodes.per_day(rules, tally.days),
            **({"injections": self.outcomes()} if self.asked else {}),
        }
