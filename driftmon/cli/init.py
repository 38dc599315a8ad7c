"""`driftmon init`: from a sample of data to a configuration and a reference, ready to run.

Law: nothing is written unless all of it is; what it cannot tell it leaves out, and says so.
"""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Final

import click

from driftmon.cli.support.counting import reference
from driftmon.cli.support.faults import Fault, told
from driftmon.cli.support.inference import Finding, findings
from driftmon.cli.support.inputs import input_of
from driftmon.cli.support.predictions import NAME, prediction
from driftmon.cli.support.raw import DAMAGED, Record, sample
from driftmon.cli.support.records import Refusals
from driftmon.cli.support.snapshots import write, write_bytes
from driftmon.cli.support.starter import KINDS, Starter
from driftmon.daemon.config import loads
from driftmon.monitor.snapshot import Snapshot
from driftmon.render.openmetrics import clean

CONFIG_NAME: Final = "driftmon.yaml"
FOLDER: Final = click.Path(path_type=Path, file_okay=False)
NAME_BYTES: Final = 128  # of a feature, as the configuration bounds it


@click.command("init")
@click.argument("data")
@click.option("-o", "--output", "folder", metavar="DIR", default=".", type=FOLDER, help="Where to write, else here.")
@click.option("--stream", metavar="NAME", help="The stream's name; by default that of the file.")
@click.option("--webhook", metavar="URL", help="Also send alerts to this URL, in Alertmanager's webhook JSON.")
@click.option("--alertmanager", metavar="URL", help="Also send alerts to this Alertmanager.")
@click.option("--force", is_flag=True, help="Replace a configuration that is there.")
def command(
    data: str, folder: Path, stream: str | None, webhook: str | None, alertmanager: str | None, force: bool
) -> None:
    """Look at a sample of DATA (.csv .ndjson .jsonl, also .gz; .parquet) and write a configuration and a reference.

    Types are inferred: numbers, categories, booleans; times, ids and free text are left out, with the reason. Where one
    column is plainly the probability of another, its log loss is watched too.
    """
    config_file = folder / CONFIG_NAME
    if config_file.exists() and not force:
        raise Fault(f"{config_file} is there already: choose another directory with -o, or replace it with --force")
    with told():
        source = input_of(data)
        name = stream or stream_name(source.name)
        records, nested = sample(source)
        found = distinctly_named(_readable([_watchable(finding) for finding in findings(records)], nested), nested)
        if not any(finding.what in KINDS for finding in found):
            raise Fault(f"{data}: {_nothing(found)}")
        scored = prediction(records, found, nested)
        text = Starter(name, data, len(records), found, nested, webhook, alertmanager, scored).text().encode()
        settings = loads(text, config_file, {}).streams[name]
        refusals = Refusals()
        built = reference([source], settings, refusals)
        write(built, folder / f"{name}.reference.json")
        write_bytes(text, config_file)
    refusals.tell()
    shown = [*found, *([] if scored is None else [Finding(NAME, NAME, scored.why)])]
    _tell(shown, built, config_file, name, _example(records, found, nested))


def stream_name(file_name: str) -> str:
    """A name that can stand in a URL and a label.

    >>> stream_name("train data.csv.gz"), stream_name("2024.ndjson"), stream_name("-.csv")
    ('train_data', '2024', 'data')
    """
    stem = re.sub(r"(\.(csv|ndjson|jsonl|parquet))?(\.gz)?$", "", file_name, flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-")[:64] or "data"


def distinctly_named(found: Sequence[Finding], nested: frozenset[str]) -> list[Finding]:
    """Two fields that would get one name (`a.b` and `a_b`): the later one is left out."""
    names = Counter[str]()
    kept = []
    for finding in found:
        name = finding.field.replace(".", "_") if finding.field in nested else finding.field
        names[name] += finding.what in KINDS
        clash = names[name] > 1 and finding.what in KINDS
        kept.append(replace(finding, what="left out", why=f"another field is named {name}") if clash else finding)
    return kept


def _readable(found: Sequence[Finding], nested: frozenset[str]) -> list[Finding]:
    """A key that holds a value here and a map there is read as a value; what is inside the map is left out."""
    values = {finding.field for finding in found if finding.what in KINDS}
    kept = []
    for finding in found:
        steps = finding.field.split(".") if finding.field in nested else []
        outer = next((path for path in accumulate(steps[:-1], "{}.{}".format) if path in values), None)
        why = f"{outer} is not a map in all records"
        kept.append(finding if outer is None else replace(finding, what="left out", why=why))
    return kept


def _watchable(finding: Finding) -> Finding:
    """A name must be fit for a label."""
    name = finding.field
    if (
        name
        and DAMAGED not in name
        and name.isprintable()
        and len(name.encode()) <= NAME_BYTES
        and not set(name) & set('"\\')
    ):
        return finding
    if DAMAGED in name:
        return replace(finding, what="left out", why="its name is not UTF-8: save the file as UTF-8")
    if "\\." in name:
        return replace(finding, what="left out", why="a key on the way to it has a dot, which a path cannot say")
    return replace(finding, what="left out", why="its name is empty, too long, not printable, or holds a quote")


def _nothing(found: Sequence[Finding]) -> str:
    if not found:
        return "holds no records that can be read; expected CSV with a header line, or one JSON object a line"
    reasons = "; ".join(f"{finding.field}: {finding.why}" for finding in found[:5])
    return f"holds nothing to watch ({reasons})"


def _example(records: Sequence[Record], found: Sequence[Finding], nested: frozenset[str]) -> str:
    """A record to try with: the fullest one, without its nested fields."""
    watched = {finding.field for finding in found if finding.what in KINDS} - nested
    fullest = max(records, key=lambda record: sum(record.get(field) is not None for field in watched))
    return json.dumps({field: value for field, value in fullest.items() if field in watched}, ensure_ascii=False)


def _tell(found: Sequence[Finding], built: Snapshot, config_file: Path, name: str, example: str) -> None:
    """What was found, what was written, what to do next; all of it for a person, so on stderr."""
    width = max(len(clean(finding.field)) for finding in found)
    lines = (f"  {clean(found.field).ljust(width)}  {found.what.ljust(11)}  {clean(found.why)}" for found in found)
    config, counted = shlex.quote(str(config_file)), config_file.with_name(f"{name}.reference.json")
    newline = "\n"
    click.echo(
        f"{built.provenance['records']} records:\n{newline.join(lines)}\n\nwrote {config_file} and {counted}\n\nnext:\n"
        f"  driftmon run --config.file {config}\n"
        f"  curl --json {shlex.quote(example)} http://127.0.0.1:10518/api/v1/ingest/{name}\n"
        f"  curl http://127.0.0.1:10517/metrics",
        err=True,
    )
