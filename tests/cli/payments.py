"""Payments: data of the tests' own making, in files as users have them."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from click.testing import Result

Run: TypeAlias = Callable[..., Result]
Record: TypeAlias = dict[str, object]

CONFIG = """\
version: 1
streams:
  pay:
    time: {field: paid_at}
    reference: {type: file, path: pay.reference.json}
    features:
      amount: {type: numeric}
      country: {type: categorical}
      new_customer: {type: boolean}
"""


def payments(count: int, seed: int = 1, shift: float = 0.0) -> list[Record]:
    """Payments: amounts grow by e^shift."""
    return list(_payments(count, random.Random(seed), shift))


def _payments(count: int, chance: random.Random, shift: float) -> Iterator[Record]:
    for number in range(count):
        yield {
            "payment_id": 70_000 + number,
            "paid_at": f"2024-03-{1 + number * 28 // count:02d}T12:00:00Z",
            "amount": round(chance.lognormvariate(3 + shift, 1), 2),
            "country": chance.choices(("DE", "FR", "US", "JP"), (5, 3, 2, 1))[0],
            "new_customer": chance.random() < 0.2,
        }


def write_csv(path: Path, records: Sequence[Record]) -> Path:
    """Booleans as CSV writers of other languages have them: true, false."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        for record in records:
            writer.writerow(
                {key: str(value).lower() if value in (True, False) else value for key, value in record.items()}
            )
    return path


def write_ndjson(path: Path, records: Sequence[Record]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path
