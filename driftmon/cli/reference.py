"""`driftmon reference`: build P from files, look at it, compare two."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import numpy as np

from driftmon.cli.support import valueless
from driftmon.cli.support.advice import advice, dispersion_told, effect_nats
from driftmon.cli.support.counting import reference
from driftmon.cli.support.faults import told
from driftmon.cli.support.inputs import opened
from driftmon.cli.support.promote import promote
from driftmon.cli.support.records import Refusals
from driftmon.cli.support.snapshots import CONFIG, OUTPUT, STREAM, configured, stream_of, write
from driftmon.library import load
from driftmon.monitor.snapshot import Snapshot
from driftmon.render.openmetrics import clean
from driftmon.stats.divergences import Pair, entropy_reference, kl_qp
from driftmon.stats.schema import Counts, Feature, Schema

PSEUDOCOUNT: Final = 0.5


@click.group("reference")
def command() -> None:
    """The reference: what the data looked like when all was well."""


command.add_command(promote)


@command.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@CONFIG
@STREAM
@OUTPUT
@click.option("--jobs", metavar="N", type=click.IntRange(min=1), default=1, help="Processes that decode.")
def build(inputs: tuple[str, ...], config_file: Path | None, stream: str | None, output: Path, jobs: int) -> None:
    """Choose bins and count P from data files (.ndjson .jsonl .csv, also .gz; .parquet), or NDJSON on stdin (-)."""
    if config_file is None:
        raise click.UsageError("--config.file is missing: it says which features there are")
    refusals = Refusals()
    with told(), opened(inputs) as sources:
        settings = stream_of(configured(config_file), stream)
        built = reference(sources, settings, refusals, jobs)
        write(built, output)
        valueless.tell(built.schema, built.counts, sources)
    refusals.tell()
    records, features = built.provenance["records"], len(built.schema.features)
    click.echo(f"wrote {output}: {records} records, {features} features, {built.schema.width} bins", err=True)


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--effect",
    metavar="NATS",
    callback=effect_nats,
    default="small",
    help="small, medium, large (0.02, 0.1, 0.3), or nats.",
)
@click.option("--window-observations", metavar="N", type=click.IntRange(min=1), help="How many a window usually has.")
def show(file: Path, as_json: bool, effect: float, window_observations: int | None) -> None:
    """Bins, counts, entropy; whether there is enough of it, and how much a window needs to show an effect.

    With --window-observations: whether that is enough, and else how many bins such thin traffic can fill.
    """
    with told():
        described = description(load(file), effect, window_observations)
    click.echo(json.dumps(described, indent=2) if as_json else "\n".join(_lines(described)))


@command.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
def diff(a: Path, b: Path) -> None:
    """What B has that A has not: features, bins, and how far the counts moved."""
    with told():
        one, other = load(a), load(b)
    click.echo("\n".join(_differences(one, other)) or "equal: the same bins and the same counts")


def description(snapshot: Snapshot, effect: float, window_observations: int | None) -> dict[str, Any]:
    """A snapshot in the words of a person; entropy in nats, of the smoothed P."""
    pair = Pair(snapshot.schema, snapshot.counts.astype(np.float64), np.zeros(snapshot.schema.width), PSEUDOCOUNT)
    entropies = snapshot.schema.totals(entropy_reference(pair))
    features = {}
    for index, one in enumerate(advice(snapshot, effect, window_observations)):
        at = snapshot.schema.bins(index)
        counts, p = snapshot.counts[at], pair.p[at]
        features[one.feature.name] = {
            "type": one.feature.kind,
            "observations": one.observations,
            "entropy_nats": round(float(entropies[index]), 6) if counts.any() else 0.0,
            **one.as_dict(),
            "bins": [
                {"label": label, "count": int(count), "p": round(float(share), 6)}
                for label, count, share in zip(one.feature.binning.labels(), counts, p, strict=True)
            ],
        }
    return {
        "fingerprint": snapshot.schema.fingerprint,
        "provenance": dict(snapshot.provenance),
        "overdispersion": dispersion_told(snapshot),
        **({"slots_by": snapshot.slots_by, "slots": len(snapshot.slots)} if snapshot.slots_by else {}),
        "features": features,
    }


def _lines(described: dict[str, Any]) -> Iterator[str]:
    yield f"fingerprint {described['fingerprint']}"
    for key, value in described["provenance"].items():
        yield f"{key} {clean(', '.join(value) if isinstance(value, list) else str(value))}"
    yield f"overdispersion {described['overdispersion']}"
    if "slots_by" in described:
        yield f"slots {described['slots']} of {described['slots_by']}"
    for name, feature in described["features"].items():
        yield ""
        head = f"{clean(name)}: {feature['type']}, {feature['observations']} observations, "
        yield f"{head}entropy {feature['entropy_nats']:.4f} nats, overdispersion {feature['overdispersion_ratio']:.3g}"
        yield f"  {feature['advice']}"
        labels = [clean(entry["label"]) for entry in feature["bins"]]
        width = max(map(len, labels))
        for label, entry in zip(labels, feature["bins"], strict=True):
            bar = "#" * round(40 * entry["p"])
            yield f"  {label.ljust(width)}  {entry['count']:>10}  {100 * entry['p']:6.2f} %  {bar}".rstrip()


def _differences(one: Snapshot, other: Snapshot) -> Iterator[str]:
    mine = {feature.name: index for index, feature in enumerate(one.schema.features)}
    theirs = {feature.name: index for index, feature in enumerate(other.schema.features)}
    for name in [*mine, *(name for name in theirs if name not in mine)]:
        if name not in theirs or name not in mine:
            yield f"{clean(name)}: only in {'A' if name in mine else 'B'}"
            continue
        a, b = one.schema.features[mine[name]], other.schema.features[theirs[name]]
        if a.as_dict() != b.as_dict():
            yield from (f"{clean(name)}: {said}" for said in _bins_differ(a.as_dict(), b.as_dict()))
            continue
        counts = one.counts[one.schema.bins(mine[name])], other.counts[other.schema.bins(theirs[name])]
        if not np.array_equal(*counts):
            yield f"{clean(name)}: {_moved(a, *counts)}"


def _bins_differ(a: dict[str, Any], b: dict[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys([*a, *b]):
        mine, theirs = a.get(key), b.get(key)
        if isinstance(mine, list) and isinstance(theirs, list):
            gone, come = [x for x in mine if x not in theirs], [x for x in theirs if x not in mine]
            if gone or come:
                yield f"{key}: {len(gone)} gone {clean(_few(gone))}, {len(come)} new {clean(_few(come))}"
            elif mine != theirs:
                yield f"{key}: in another order"
        elif mine != theirs:
            yield f"{key}: {clean(str(mine))} -> {clean(str(theirs))}"


def _few(values: list[Any]) -> str:
    return f"({', '.join(map(str, values[:5]))}{', ...' if len(values) > 5 else ''})" if values else ""


def _moved(feature: Feature, a: Counts, b: Counts) -> str:
    """KL(B||A) and the bins that moved most."""
    pair = Pair(Schema((feature,)), a.astype(np.float64), b.astype(np.float64), PSEUDOCOUNT)
    gaps = np.abs(pair.q - pair.p)
    most = [at for at in np.argsort(-gaps, kind="stable")[:3].tolist() if gaps[at] >= 0.001]
    labels = [clean(label) for label in feature.binning.labels()]
    moves = ", ".join(f"{labels[at]} {100 * pair.p[at]:.1f} % -> {100 * pair.q[at]:.1f} %" for at in most)
    kl_nats = float(kl_qp(pair).sum())
    return f"{int(a.sum())} -> {int(b.sum())} observations, KL(B||A) {kl_nats:.4f} nats; {moves or 'the same shares'}"
