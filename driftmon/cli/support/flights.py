"""The bundled flights of 2013: January to March as a reference, the rest as days of events.

Law: what the demo sends is what the file holds, in the order of the scheduled departures.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Final

from driftmon.cli.support.inference import cell

STREAM: Final = "flights"
LIVE_FROM: Final = "2013-04-01"
REFERENCE_NAME: Final = "january-to-march.csv"
DATA: Final = resources.files("driftmon") / "data"


@dataclass(frozen=True, slots=True)
class Day:
    """One day of flights: its date, how many, and the NDJSON to post."""

    date: str
    flights: int
    body: bytes


def lines() -> list[str]:
    """The CSV, header first."""
    with (DATA / "flights.csv.gz").open("rb") as packed:
        return gzip.decompress(packed.read()).decode().splitlines(keepends=True)


def write_reference(folder: Path) -> Path:
    """January to March, as a CSV file."""
    header, *rows = lines()
    path = folder / REFERENCE_NAME
    path.write_text("".join((header, *(row for row in rows if row < LIVE_FROM))), encoding="utf-8")
    return path


def live_days() -> Iterator[Day]:
    """April to December."""
    header, *rows = lines()
    names = next(csv.reader([header]))
    for date, flown in groupby((row for row in rows if row >= LIVE_FROM), key=lambda row: row[:10]):
        records = [dict(zip(names, map(cell, row), strict=True)) for row in csv.reader(io.StringIO("".join(flown)))]
        yield Day(date, len(records), "".join(f"{json.dumps(record)}\n" for record in records).encode())


def config() -> str:
    """The demo's configuration."""
    return (DATA / "demo.yaml").read_text(encoding="utf-8")
