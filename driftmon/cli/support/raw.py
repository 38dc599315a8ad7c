"""Raw records: a data file before anyone knows its types, each value as JSON would have it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence

from driftmon.cli.support import parquet
from driftmon.cli.support.inference import cell, flat
from driftmon.cli.support.inputs import Input, blocks, untold
from driftmon.cli.support.progress import progress
from driftmon.cli.support.sampling import Systematic
from driftmon.formats.csv import head
from driftmon.sources.base import Block

Record = dict[str, object]

DAMAGED: str = "\ufffd"  # what bytes that are no UTF-8 are read as

SAMPLE: int = 20_000  # records to infer types from: a value that one record in a thousand has is seen 20 times


def sample(source: Input) -> tuple[list[Record], frozenset[str]]:
    """Records spread evenly over the input, nested objects flattened to paths; and which fields are such paths."""
    chosen: Systematic[list[Record]] = Systematic(lambda block, items: block[items], SAMPLE)
    with progress("looking", source.size_bytes) as told:
        lists = parquet.records(source, told) if source.form == "parquet" else map(_parsed, blocks(source, told))
        for records in lists:
            chosen.offer(records, len(records))
    records = [record for block in chosen.blocks for record in block]
    flattened = [flat(record) for record in records]
    own = {key for record in records for key, value in record.items() if not isinstance(value, dict)}
    return flattened, frozenset(field for record in flattened for field in record if field not in own)


def fields(source: Input) -> set[str]:
    """The fields of the first records, nested ones as paths."""
    lists = parquet.records(source, untold) if source.form == "parquet" else map(_parsed, blocks(source, untold))
    return {field for record in next(iter(lists), []) for field in flat(record)}


def _parsed(block: Block) -> list[Record]:
    return list(_cells(block.data) if block.format == "csv" else _objects(block.data))


def _objects(data: bytes) -> Iterator[Record]:
    """The objects of NDJSON; lines that are none are left to the counting, which tells their number."""
    for line in data.splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        yield from (entry for entry in (found if isinstance(found, list) else [found]) if isinstance(entry, dict))


def _cells(data: bytes) -> Iterator[Record]:
    """The rows of CSV; those that are not UTF-8, or have more or fewer cells than the header, are left out as well."""
    first, _, rest = data.decode("utf-8-sig", errors="replace").lstrip(" \r\n").partition("\n")
    separator, header = head(first.rstrip("\r"))
    try:
        for row in csv.reader(io.StringIO(rest, newline=""), delimiter=separator):
            if len(row) == len(header) and not any(DAMAGED in text for text in row):
                yield _record(header, row)
    except csv.Error:  # an endless quoted cell; what was read so far is sample enough
        return


def _record(header: Sequence[str], row: Sequence[str]) -> Record:
    """Of two columns with one name the first counts, as it does where CSV is counted."""
    record: Record = {}
    for name, text in zip(header, row, strict=True):
        record.setdefault(name, cell(text))
    return record
