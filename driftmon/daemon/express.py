"""Express: a post whose small body is here goes to the mailbox at once, and its answer back: no task, no framework.

Law: it takes what the handlers would take without waiting for anything, and whatever it does not take is theirs, as if
it had not been asked. So nothing is refused here: why, they say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from starlette.responses import Response

from driftmon.daemon.access.guard import Guard
from driftmon.daemon.access.scopes import INGEST
from driftmon.daemon.ingest import Ingest
from driftmon.daemon.mailbox import QUICK_BYTES

Answered: TypeAlias = Callable[[Response], None]

NOT_PLAIN: Final = frozenset({b"content-encoding", b"idempotency-key"})  # to be unpacked, to be looked up


class Express:
    """Beside a listener's application, for its connections."""

    most_bytes = QUICK_BYTES

    def __init__(self, guard: Guard, ingest: Ingest) -> None:
        self._guard = guard
        self._ingest = ingest

    def take(self, asked: Mapping[str, Any], body: bytes, answered: Answered) -> bool:
        """Whether it is under way; `answered` is called later, with what the handlers would have answered."""
        path: str = asked["path"]
        stream = path.removeprefix(INGEST)
        if stream == path or not stream or "/" in stream:
            return False
        if not NOT_PLAIN.isdisjoint([name for name, _ in asked["headers"]]):
            return False
        return self._guard.open_to(asked) and self._ingest.at_once(stream, body, answered)
