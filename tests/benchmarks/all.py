"""Benchmarks: `python -m tests.benchmarks.all [--short] [--json FILE] [GROUP...]`: runs groups, prints one table.

Law: what is not installed is in the table with the reason. Results go to a file beside earlier ones, by group, so that
a group can be run again alone; `python -m tests.benchmarks.readme` writes README's table and pictures from it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

from tests.benchmarks.engine import compare
from tests.benchmarks.rows import Row, as_json, kept, table
from tests.benchmarks.sizes import FULL, SHORT, Size

GROUPS: Final = ("limits", "hand", "peers", "render", "daemon", "process", "files", "store", "growth", "shares")
LONG: Final = ("year",)  # only where they are named
RESULTS: Final = Path(__file__).with_name("results.json")


def rows_of(name: str, size: Size) -> Iterator[list[Row]]:
    """Of each contest of the group; or what it measures by itself."""
    group = import_module(f"tests.benchmarks.groups.{name}")
    if hasattr(group, "contests"):
        for contest in group.contests(size):
            yield compare(contest, name)
    else:
        yield from group.rows(size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join((*GROUPS, *LONG)))
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    if wrong := [name for name in options.groups if name not in (*GROUPS, *LONG)]:
        parser.error(f"no group {wrong[0]}; there are {', '.join((*GROUPS, *LONG))}")
    rows = []
    for name in options.groups or GROUPS:
        began_s = time.monotonic()
        found: list[Row] = []
        for more in rows_of(name, SHORT if options.short else FULL):
            found += more
            if not options.short:  # a run that is stopped leaves what it has
                kept(options.json, {name: as_json(found)})
        rows += found
        sys.stderr.write(f"{name}: {time.monotonic() - began_s:.0f} s\n")
    sys.stdout.write(table(rows))


if __name__ == "__main__":
    main()
