"""Keeping: what the pump asks of whoever keeps its counts, and who keeps none.

Law: an answer that `settle` returns may go out now.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from driftmon.daemon.streams import Stream
from driftmon.monitor.report import Report
from driftmon.sources.base import Block, Settled

Outcome: TypeAlias = tuple[Block, Settled | Exception]
Ack: TypeAlias = Literal["durable", "memory"]
Streams: TypeAlias = Mapping[str, Stream]


class Keeper(Protocol):
    """What the pump asks for; `rest_s` is how long it may sleep."""

    ack: Ack

    def settle(self, streams: Streams, outcomes: Sequence[Outcome], at_ms: int) -> Sequence[Outcome]: ...
    def ticking(self, streams: Streams) -> None: ...
    def ticked(self, streams: Streams, reports: Iterable[Report], at_ms: int, at_s: float) -> None: ...
    def rest_s(self, at_s: float) -> float: ...
    def finish(self, streams: Streams, at_ms: int) -> None: ...
    def notified(self, at_ms: int) -> None: ...


class Forgetful:
    """Without --storage.path: nothing is kept, nothing waits."""

    ack: Ack = "memory"

    def settle(self, streams: Streams, outcomes: Sequence[Outcome], at_ms: int) -> Sequence[Outcome]:
        for stream in streams.values():
            stream.gathering.forget()
            if stream.delayed is not None:
                stream.delayed.keep()
        return outcomes

    def ticking(self, streams: Streams) -> None:
        """Nothing to take down."""

    def ticked(self, streams: Streams, reports: Iterable[Report], at_ms: int, at_s: float) -> None:
        """Nothing to write."""

    def rest_s(self, at_s: float) -> float:
        return math.inf

    def finish(self, streams: Streams, at_ms: int) -> None:
        """Nothing to write."""

    def notified(self, at_ms: int) -> None:
        """Nothing to write."""
