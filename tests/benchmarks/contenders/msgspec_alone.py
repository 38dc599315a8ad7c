"""msgspec alone: the same lines into structs of the same fields, and nothing done with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from tests.benchmarks.contenders.common import NUMERIC, TEXTS, blocks_of


def load(folder: Path, block_bytes: int) -> Any:
    fields = [*((name, float | None, None) for name in NUMERIC), *((name, str | None, None) for name in TEXTS)]
    record = msgspec.defstruct("Record", fields, gc=False)
    pieces = blocks_of(folder, block_bytes)
    return msgspec.json.Decoder(record), pieces


def decode(state: Any) -> tuple[int, Any]:
    decoder, pieces = state
    events = 0
    for piece in pieces:
        events += len(decoder.decode_lines(piece))
    return events, events


TASKS = {"lines": (load, decode, lambda events: events)}
