"""Fuzz: `python -m tests.campaigns.fuzz [--short] [--seed N] [--seconds S] [--only NAME] [--at I]`.

Law: each input depends on the seed, its target's name and its number alone; a failure prints what replays it.
"""

# ruff: noqa: T201  it reports to a terminal
from __future__ import annotations

import argparse
import logging
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Final, TypeAlias

from tests.campaigns.fuzz import documents, records

Target: TypeAlias = tuple[Callable[[random.Random], bytes], Callable[[bytes], None]]

TARGETS: Final[Mapping[str, Target]] = {
    "ndjson": (records.ndjson_input, records.check_ndjson),
    "csv": (records.csv_input, records.check_csv),
    "anything": (records.any_input, records.check_any),
    "packed": (records.packed_input, records.check_packed),
    "configuration": (documents.config_input, documents.check_config),
    "web-file": (documents.web_input, documents.check_web),
    "snapshot": (documents.snapshot_input, documents.check_snapshot),
    "exposition": (documents.exposition_input, documents.check_exposition),
}
SHORT_S: Final = 40.0
LONG_S: Final = 600.0
HANGS_S: Final = 10
ENOUGH: Final = 5  # failures of one target


def one(name: str, seed: int, at: int) -> str:
    """What is wrong with input `at` of a target; empty if nothing is."""
    make, check = TARGETS[name]
    data = make(random.Random(f"{seed}/{name}/{at}"))
    signal.alarm(HANGS_S)
    try:
        check(data)
    except Exception:
        return f"{traceback.format_exc(limit=-6)}\ninput: {data[:600]!r}"
    finally:
        signal.alarm(0)
    return ""


def campaign(name: str, seed: int, seconds: float) -> tuple[int, int]:
    """Inputs tried, and failures, which are printed."""
    until, tried, failed = time.monotonic() + seconds, 0, 0
    while time.monotonic() < until and failed < ENOUGH:
        if fault := one(name, seed, tried):
            failed += 1
            print(f"FAILED: --seed {seed} --only {name} --at {tried}\n{fault}\n", file=sys.stderr)
        tried += 1
    return tried, failed


def _hangs(_: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"no answer within {HANGS_S} s")


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.campaigns.fuzz")
    asked.add_argument("--short", action="store_true", help=f"{SHORT_S:g} s in all")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--seconds", type=float, help="in all")
    asked.add_argument("--only", choices=list(TARGETS))
    asked.add_argument("--at", type=int, help="this input only")
    options = asked.parse_args()
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGALRM, _hangs)
    names = [options.only] if options.only else list(TARGETS)
    if options.at is not None:
        faults = [one(name, options.seed, options.at) for name in names]
        print("\n".join(filter(None, faults)) or "nothing wrong")
        return int(any(faults))
    seconds = options.seconds or (SHORT_S if options.short else LONG_S)
    print(f"seed {options.seed}\n{'target':<14} {'inputs':>8} {'failures':>8}")
    total = 0
    for name in names:
        tried, failed = campaign(name, options.seed, seconds / len(names))
        print(f"{name:<14} {tried:>8} {failed:>8}", flush=True)
        total += failed
    return int(total > 0)


if __name__ == "__main__":
    sys.exit(main())
