"""Timing: does how long a refused login takes tell whether the user exists?

`python -m tests.campaigns.timing [--short]` asks real bcrypt, interleaved in random order, as an unknown user, a known
one with a wrong password, and, to compare, one whose password is remembered. Prints medians and the difference with a
95 % interval by bootstrap, of the time on the clock, which a stranger sees, and of the processor's, which no neighbour
of the machine disturbs. Exit 1 where the processor's differs by over 5 %, or the whole interval of the clock's lies
beyond 5 %, which the short form only tells; the aim is 2 %. `--mutant` answers an unknown user without a bcrypt, as
careless programs do, and must fail.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Final

import bcrypt
import click

from driftmon.daemon.access.attempts import Attempts
from driftmon.daemon.access.credentials import Credentials
from tests.daemon.access_kit import PASSWORD, basic

COST: Final = 8  # some 15 ms: long against what surrounds it, short enough for hundreds
AIM, LIMIT = 0.02, 0.05
RESAMPLES: Final = 2000

CLOCKS: Final = {"clock": time.perf_counter, "processor": time.process_time}

Samples = dict[str, list[tuple[float, ...]]]


class Careless(Credentials):
    """The mutant."""

    async def _known(self, user: str, password: bytes, address: str) -> bool:
        return user in self._users and await super()._known(user, password, address)


async def measured(credentials: Credentials, times: int, chance: random.Random) -> Samples:
    """Seconds by kind of login, on each of CLOCKS."""
    headers = {
        "unknown user": lambda number: basic(f"nobody{number}", PASSWORD),
        "wrong password": lambda number: basic(f"user{number % 3}", f"wrong{number}"),
        "remembered": lambda number: basic("user0"),
    }
    await credentials.scopes(basic("user0")["Authorization"])
    found: Samples = {kind: [] for kind in headers}
    for number in range(times):
        for kind in chance.sample(sorted(headers), len(headers)):
            header = headers[kind](number)["Authorization"]
            began_s = [now() for now in CLOCKS.values()]
            await credentials.scopes(header)
            found[kind].append(tuple(now() - began for now, began in zip(CLOCKS.values(), began_s, strict=True)))
    return found


def difference(one: Sequence[float], other: Sequence[float]) -> float:
    """Of the medians, as a share of the second's."""
    return statistics.median(one) / statistics.median(other) - 1


def interval(one: Sequence[float], other: Sequence[float], chance: random.Random) -> tuple[float, float]:
    """95 %, by bootstrap over the pairs, which were measured side by side."""
    pairs = list(zip(one, other, strict=True))
    drawn = sorted(difference(*zip(*chance.choices(pairs, k=len(pairs)), strict=True)) for _ in range(RESAMPLES))
    return drawn[int(0.025 * RESAMPLES)], drawn[int(0.975 * RESAMPLES)]


def main() -> int:
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--short", action="store_true", help="150 of each kind in place of 1,000")
    asked.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked.add_argument("--mutant", action="store_true", help="answer an unknown user at once; must fail")
    given = asked.parse_args()
    chance, times = random.Random(given.seed), 150 if given.short else 1000
    hashes = {f"user{number}": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(COST)).decode() for number in range(3)}
    kind = Careless if given.mutant else Credentials
    began_s = time.monotonic()
    samples = asyncio.run(measured(kind(hashes, {}, Attempts(burst=10**9)), times, chance))
    click.echo(f"seed {given.seed}, {times} of each, {time.monotonic() - began_s:.0f} s")
    failed = False
    for at, clock in enumerate(CLOCKS):
        seconds = {name: [one[at] for one in measured] for name, measured in samples.items()}
        for name, values in seconds.items():
            click.echo(f"  {clock:10} {name:15} median {1e3 * statistics.median(values):9.4f} ms")
        unknown, wrong = seconds["unknown user"], seconds["wrong password"]
        low, high = interval(unknown, wrong, chance)
        found = difference(unknown, wrong)
        beyond = abs(found) > LIMIT if clock == "processor" else not given.short and (low > LIMIT or high < -LIMIT)
        verdict = "FAILED" if beyond else "ok" if abs(found) <= AIM else "above the aim of 2 %"
        told = f"{found:+.2%}, 95 % [{low:+.2%}, {high:+.2%}]: {verdict}"
        click.echo(f"  {clock:10} unknown user against wrong password {told}")
        failed |= beyond
    if failed:
        click.echo(f"a stranger can tell users apart; replay: python -m tests.campaigns.timing --seed {given.seed}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
