"""Asked: the stream that a request names, and its counts as they are now.

Law: what is not there is a Problem that says what there is instead, or when to come again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request

from driftmon.daemon.mailbox import Closed
from driftmon.daemon.present import Present
from driftmon.daemon.problem import Problem, busy
from driftmon.monitor.snapshot import Snapshot

SnapshotOf: TypeAlias = Callable[[str], Awaitable[Snapshot | None]]  # by a question to the pump; None: it gathers
Reload: TypeAlias = Callable[[], Awaitable[str]]  # what was wrong with the configuration, if anything


def stream_of(request: Request, present: Present) -> str:
    """The one in its path."""
    stream: str = request.path_params["stream"]
    if stream not in present.config.streams:
        raise Problem(404, f"there is no stream {stream!r}; there are {', '.join(present.config.streams)}")
    return stream


async def snapshot_now(snapshot_of: SnapshotOf, stream: str) -> Snapshot:
    """All that it has counted."""
    try:
        snapshot = await snapshot_of(stream)
    except Closed:
        raise busy(503, "the daemon is shutting down", 5) from None
    if snapshot is None:
        raise Problem(409, f"stream {stream} is still gathering its reference; it has no counts yet")
    return snapshot
