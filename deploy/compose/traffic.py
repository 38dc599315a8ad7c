"""Payments that drift: five calm minutes, then ten in which amounts grow and customers move, and again.

Law: nothing but the standard library, so that any image with Python can run it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any


def payment(chance: random.Random, *, shifted: bool) -> Mapping[str, Any]:
    """One record; a shifted one is larger, younger and from elsewhere. 1 in 100 has text for an amount, always."""
    growth, weights = (1.8, (2, 1, 1, 4)) if shifted else (1.0, (4, 2, 2, 1))
    amount = round(growth * chance.lognormvariate(3, 1), 2)
    return {
        "amount": f"{amount} EUR" if chance.random() < 0.01 else amount,
        "account_age_days": int(chance.expovariate(1 / (200 if shifted else 600))),
        "country": chance.choices(("DE", "FR", "NL", "US"), weights)[0],
        "new_customer": chance.random() < (0.35 if shifted else 0.2),
    }


def batches(chance: random.Random, rate: int, calm: int, shifted: int) -> Iterator[bytes]:
    """NDJSON, the records of one second at a time, without end."""
    while True:
        for seconds, moved in ((calm, False), (shifted, True)):
            for _ in range(seconds):
                rows = (json.dumps(payment(chance, shifted=moved)) for _ in range(rate))
                yield "\n".join(rows).encode()


def post(url: str, body: bytes) -> None:
    """A daemon that is away or busy misses these; its own metrics tell."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/x-ndjson"})
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            reply.read()
    except OSError as fault:
        sys.stderr.write(f"{url}: {fault}\n")


def main() -> None:
    """Post once a second until stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--rate", type=int, default=60, help="records a second")
    parser.add_argument("--calm", type=int, default=300, help="seconds; the first ones make the reference")
    parser.add_argument("--shifted", type=int, default=600, help="seconds")
    chosen = parser.parse_args()
    began = time.monotonic()
    for number, body in enumerate(batches(random.Random(1), chosen.rate, chosen.calm, chosen.shifted), 1):
        post(chosen.url, body)
        time.sleep(max(0.0, began + number - time.monotonic()))


if __name__ == "__main__":
    main()
