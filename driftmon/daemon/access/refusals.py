"""Refusals: what did not get in, by listener and reason, as two families of the catalogue.

Law: every pair is there from the start, at 0, so that `increase()` sees the first one; no label comes from a client.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

from driftmon.render.catalogue import METRICS
from driftmon.render.openmetrics import Family

Door: TypeAlias = Literal["web", "api"]
Reason: TypeAlias = Literal["unauthenticated", "forbidden", "throttled", "busy", "host", "origin"]
Handshake: TypeAlias = Literal["limit", "failed"]

REASONS: Final[tuple[tuple[Door, Reason], ...]] = (
    *(("web", reason) for reason in ("unauthenticated", "forbidden", "throttled", "busy")),
    *(("api", reason) for reason in ("unauthenticated", "forbidden", "throttled", "busy", "host", "origin")),
)
HANDSHAKES: Final[tuple[tuple[Door, Handshake], ...]] = tuple(
    (door, reason) for door in ("web", "api") for reason in ("limit", "failed")
)


class Refusals:
    """Counted in the event loop."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter(dict.fromkeys(REASONS, 0))
        self.handshakes: Counter[tuple[str, str]] = Counter(dict.fromkeys(HANDSHAKES, 0))

    def families(self) -> Iterator[Family]:
        yield _family("http_requests_refused_total", self.requests)
        yield _family("tls_handshakes_refused_total", self.handshakes)


def _family(name: str, counter: Counter[tuple[str, str]]) -> Family:
    return Family(
        METRICS[f"driftmon_{name}"], [(labels, float(count)) for labels, count in sorted(dict(counter).items())]
    )
