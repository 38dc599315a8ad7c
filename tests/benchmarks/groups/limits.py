"""Limits: what the machine and compiled code need for the same work; here nobody is beaten, the gap is told."""

from __future__ import annotations

from tests.benchmarks.checks import same_inside
from tests.benchmarks.contenders.common import BLOCK_BYTES
from tests.benchmarks.data import data_of
from tests.benchmarks.engine import Contender, Contest, compare
from tests.benchmarks.rows import Row
from tests.benchmarks.sizes import Size

WITHIN = 1 / 3  # of the compiled histograms


def rows(size: Size) -> list[Row]:
    data = data_of(size.live_rows, size.reference_rows)
    found = []
    for bins in (16, 64):
        arguments = {"bins": bins}
        ours = Contender("driftmon", "ours_columns", "array", arguments={**arguments, "regular": True})
        others = [
            (Contender("boost-histogram, Regular axis", "histograms", "boost", "hand", arguments), WITHIN),
            (Contender("fast-histogram", "histograms", "fast", "hand", arguments), WITHIN),
        ]
        if bins == 16:
            others.append((Contender("numpy sum: reading memory", "numpy_hand", "memory"), None))
        work = f"count 1 M floats in {bins} regular bins, exactly"
        found += compare(
            Contest(work, ours, others, data, "ns a value", _counts_only, size.rounds, size.warm_ups), "limits"
        )
    ours = Contender("driftmon", "ours_blocks", "blocks", arguments={"block_bytes": BLOCK_BYTES})
    decoder = Contender("msgspec: decode_lines, nothing else", "msgspec_alone", "lines", arguments=ours.arguments)
    work = "NDJSON of 10 fields to counts, blocks of 200 kB"
    contest = Contest(work, ours, [(decoder, None)], data, "ns an event", _every_line, size.rounds, size.warm_ups)
    return found + compare(contest, "limits")


def _counts_only(answers: dict[str, object]) -> None:
    same_inside({name: answer for name, answer in answers.items() if isinstance(answer, dict)})


def _every_line(answers: dict[str, object]) -> None:
    """Each feature has as many values as there are records."""
    features, lines = answers.values()
    assert isinstance(features, dict)
    assert {sum(counts) for counts in features.values()} == {lines}
