"""Valueless: features of which no record of the inputs has a value, mostly a name that was written in another way.

Law: counted as missing they would agree, or drift, for ever, and nobody would know why: so it is said, with the fields
that there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, islice
from typing import Final

import click

from driftmon.cli.support.inputs import Input
from driftmon.cli.support.raw import fields
from driftmon.daemon.faults import nearest
from driftmon.render.openmetrics import clean
from driftmon.stats.schema import Counts, Schema

TOLD: Final = 5  # by name; of a wide schema it may be all


def lines(schema: Schema, counts: Counts, sources: Sequence[Input]) -> Iterator[str]:
    """What to say of them."""
    missing = [not counts[schema.bins(index)][:-1].any() for index in range(len(schema.features))]
    names = list(compress(schema.names, missing))
    if not names:
        return
    there = {field for source in sources for field in fields(source)}
    field_of = {feature.name: feature.field or feature.name for feature in schema.features}
    where = ", ".join(source.name for source in sources)
    if not counts.any():
        yield f"{where}: no usable record has a value for any feature"
        return
    for name in names[:TOLD]:
        field = field_of[name]
        cure = "it is never given" if field in there else nearest(field, there)
        yield f"{where}: no record has a value for feature {clean(name)!r} (field {clean(field)!r}); {clean(cure)}"
    if len(names) > TOLD:
        yield f"{where}: so it is with {len(names) - TOLD} more: {_some(names[TOLD:])}"


def tell(schema: Schema, counts: Counts, sources: Sequence[Input]) -> None:
    """On stderr."""
    for line in lines(schema, counts, sources):
        click.echo(f"warning: {line}", err=True)


def _some(names: Iterable[str]) -> str:
    found = [clean(name) for name in islice(names, TOLD + 1)]
    return ", ".join(found[:TOLD]) + (" ..." if len(found) > TOLD else "")
