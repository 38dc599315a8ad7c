"""Limits: what the machine and compiled code need for the same work; here nobody is beaten, the gap is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.checks import same_inside
from tests.benchmarks.contenders.common import BLOCK_BYTES
from tests.benchmarks.data import data_of
from tests.benchmarks.engine import Contender, Contest
from tests.benchmarks.sizes import Size

WITHIN: Final = 1 / 3  # of the compiled histograms


def contests(size: Size) -> list[Contest]:
    data = data_of(size.live_rows, size.reference_rows)
    return [*(_regular(data, bins, size) for bins in (16, 64)), _decoding(data, size)]


def _regular(data: Path, bins: int, size: Size) -> Contest:
    arguments = {"bins": bins}
    ours = Contender("driftmon", "contenders/ours_columns", "array", arguments={**arguments, "regular": True})
    others: list[tuple[Contender, float | None]] = [
        (Contender("boost-histogram, Regular axis", "peers/histograms", "boost", "hand", arguments), WITHIN),
        (Contender("fast-histogram", "peers/histograms", "fast", "hand", arguments), WITHIN),
    ]
    if bins == 16:
        memory = {"values": 16 * size.live_rows}  # 128 MB, more than any cache
        others.append(
            (Contender("numpy sum: reading memory", "contenders/numpy_hand", "memory", arguments=memory), None)
        )
    work = f"count 1 M floats in {bins} regular bins, exactly"
    return Contest(work, ours, others, data, "ns a value", _counts_only, size.rounds, size.warm_ups)


def _decoding(data: Path, size: Size) -> Contest:
    ours = Contender("driftmon", "contenders/ours_blocks", "blocks", arguments={"block_bytes": BLOCK_BYTES})
    decoder = Contender(
        "msgspec: decode_lines, nothing else", "contenders/msgspec_alone", "lines", arguments=ours.arguments
    )
    work = "NDJSON of 10 fields to counts, blocks of 200 kB"
    return Contest(work, ours, [(decoder, None)], data, "ns an event", _every_line, size.rounds, size.warm_ups)


def _counts_only(answers: Mapping[str, Any]) -> None:
    same_inside({name: answer for name, answer in answers.items() if isinstance(answer, dict)})


def _every_line(answers: Mapping[str, Any]) -> None:
    """Each feature has as many values as there are records."""
    features, lines = answers.values()
    assert {sum(counts) for counts in features.values()} == {lines}
