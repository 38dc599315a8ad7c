"""`driftmon merge`: the counts of several snapshots, added.

Law: the order of the snapshots does not change a byte of the sum.
"""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import click

from driftmon.cli.support.faults import Fault, told
from driftmon.cli.support.snapshots import OUTPUT, write
from driftmon.library import load
from driftmon.monitor.snapshot import Snapshot, SnapshotError


@click.command("merge")
@click.argument("snapshots", metavar="SNAPSHOT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@OUTPUT
def command(snapshots: tuple[Path, ...], output: Path) -> None:
    """Add the counts of several snapshots: the shards of a stream, the hours of a day.

    Refuses snapshots whose bins differ, and says where they do.
    """
    with told():
        loaded = [(path, load(path)) for path in snapshots]
        (_, merged) = reduce(_added, loaded)
        write(merged, output)
    records = merged.provenance.get("records", "?")
    click.echo(f"wrote {output}: {len(snapshots)} snapshots, {records} records", err=True)


def _added(one: tuple[Path, Snapshot], other: tuple[Path, Snapshot]) -> tuple[Path, Snapshot]:
    try:
        return one[0], one[1].merge(other[1])
    except SnapshotError as fault:
        raise Fault(f"{other[0]} does not add to {one[0]}: {fault}") from fault
