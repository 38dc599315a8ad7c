"""POST /api/v1/streams/{stream}/reference/promote: the live window becomes the reference of a running daemon.

Law: the file on disk and the monitor change together or not at all; what the daemon compares with after the answer is
what it would compare with after a restart.
"""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from driftmon.daemon.asked import Reload, SnapshotOf, snapshot_now, stream_of
from driftmon.daemon.bodies import discard
from driftmon.daemon.present import Present
from driftmon.daemon.problem import Problem
from driftmon.daemon.promotion import replace_reference, restore_reference
from driftmon.daemon.pump import now_ms
from driftmon.monitor.promotion import promoted
from driftmon.monitor.snapshot import Snapshot, SnapshotError

BODY_BYTES: Final = 4096
KEYS: Final = ("window", "by", "reason")

log: Final = logging.getLogger("driftmon.promotions")


class Promotions:
    """One at a time; `reload` is the daemon's own, whether or not it may be asked for over HTTP."""

    def __init__(self, present: Present, snapshot_of: SnapshotOf, reload: Reload) -> None:
        self._present = present
        self._snapshot_of = snapshot_of
        self._reload = reload
        self._busy = asyncio.Lock()

    async def handle(self, request: Request) -> Response:
        """Answer with the audit line."""
        wanted = await _asked(request)
        stream = stream_of(request, self._present)
        path = self._file_of(stream)
        async with self._busy:
            snapshot = await snapshot_now(self._snapshot_of, stream)
            try:
                new = await asyncio.to_thread(promoted, [snapshot], wanted.pop("window", None), f"stream {stream}")
            except SnapshotError as fault:
                raise Problem(409, str(fault)) from fault
            client = "" if request.client is None else request.client.host
            return JSONResponse(await self._replace(stream, path, new, {**wanted, "client": client}))

    async def _replace(self, stream: str, path: Path, new: Snapshot, told: dict[str, str]) -> dict[str, Any]:
        try:
            entry = await asyncio.to_thread(replace_reference, path, new, now_ms(), told)
        except (OSError, SnapshotError) as fault:
            raise Problem(500, f"{path.name} was not replaced: {fault}; may this user write its folder?") from fault
        if fault_told := await self._reload():
            await asyncio.to_thread(restore_reference, path, entry, now_ms(), fault_told)
            raise Problem(500, f"the old reference is in place again: {fault_told}")
        log.info("stream %s: reference %s became %s", stream, entry["from"], entry["to"])
        return entry

    def _file_of(self, stream: str) -> Path:
        """The file that is the stream's reference; Problem where there is none to replace."""
        reference = self._present.config.streams[stream].reference
        if reference.type != "file" or reference.path is None:
            cure = (
                "make a file of the live window with `driftmon reference promote --from URL -o FILE` and roll that out"
            )
            raise Problem(409, f"the reference of stream {stream} is no file of this machine; {cure}")
        return reference.path


async def _asked(request: Request) -> dict[str, str]:
    """The body's keys. It must be JSON by its type: no page of another site can send that to a daemon on loopback."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Problem(415, 'send application/json: {}, or {"window": ..., "by": ..., "reason": ...}')
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            await discard(request)
            raise Problem(413, f"the body is larger than {BODY_BYTES} bytes")
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict) or not all(key in KEYS and isinstance(asked[key], str) for key in asked):
        raise Problem(400, f"send a JSON object with text under {', '.join(KEYS)}, or {{}}")
    return asked
