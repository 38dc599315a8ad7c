"""Ingest: POST /api/v1/ingest/{stream}: a body becomes blocks, and the reply says what became of each record.

Law: accepted + rejected + late + sampled_out == records of the body; a request that is refused as a whole
counted nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from driftmon.daemon.bodies import Bodies, discard
from driftmon.daemon.mailbox import Busy, Closed, Mailbox
from driftmon.daemon.present import Present
from driftmon.daemon.problem import Problem, busy
from driftmon.daemon.pump import UnknownStream
from driftmon.daemon.repeats import KEY_BYTES, Repeats
from driftmon.daemon.settings import Limits
from driftmon.sources.base import Block, Settled, joined, pieces


class Ingest:
    """The handler and what it remembers between requests."""

    def __init__(self, present: Present, mailbox: Mailbox, repeats: Repeats) -> None:
        self._present = present
        self._mailbox = mailbox
        self._bodies = Bodies()
        self._repeats = repeats

    async def handle(self, request: Request) -> Response:
        try:
            return await self._answer(request, request.path_params["stream"])
        except Problem as refusal:
            if refusal.status != HTTPStatus.REQUEST_TIMEOUT:
                await discard(request)
            raise

    async def _answer(self, request: Request, stream: str) -> Response:
        self._check(stream)
        if request.method == "HEAD":
            return Response()
        try:
            outcome, repeated = await self._once(request, stream)
        except asyncio.CancelledError:
            raise busy(503, "the daemon stopped before the records were on the disk; send it again", 5) from None
        return _reply(outcome, repeated)

    def _check(self, stream: str) -> None:
        settings = self._present.config.streams.get(stream)
        if settings is None or all(source.type != "http" for source in settings.sources):
            raise _unknown(stream, self._present)
        if self._present.draining:
            raise busy(503, "the daemon is shutting down; send it again", 5)
        if self._present.disk_full:
            raise busy(503, "the disk of --storage.path is full; make room, and send it again", 5)

    async def _once(self, request: Request, stream: str) -> tuple[Settled, bool]:
        key = request.headers.get("idempotency-key")
        if key is None:
            return await self._take(request, stream, ""), False
        if not 0 < len(key) <= KEY_BYTES:
            raise Problem(400, f"Idempotency-Key must have 1 to {KEY_BYTES} characters")
        return await self._repeats.once((stream, key), time.monotonic(), lambda: self._take(request, stream, key))

    async def _take(self, request: Request, stream: str, key: str) -> Settled:
        length = request.headers.get("content-length", "")
        if not self._mailbox.has_room(int(length) if length.isdigit() else 0):
            raise busy(429, "the mailbox is full; try again", 1)
        limits = self._present.config.limits
        try:
            blocks, answers = _blocks(stream, await self._bodies.read(request, limits), limits, key)
        except asyncio.CancelledError:
            # The server gives up on a client slower than a drain may last. Nothing of its body was counted yet.
            raise busy(503, "the daemon stopped before the body was complete; send it again", 5) from None
        try:
            self._mailbox.offer(blocks)
        except Busy as fault:
            raise busy(429, str(fault), fault.retry_after_s) from None
        except Closed:
            raise busy(503, "the daemon is shutting down; send it again", 5) from None
        del blocks  # the mailbox has them; who waits for the answer holds no bytes
        outcomes = await asyncio.gather(*answers, return_exceptions=True)
        return joined([_settled(outcome, stream, self._present) for outcome in outcomes])


def _blocks(stream: str, body: bytes, limits: Limits, key: str) -> tuple[list[Block], list[asyncio.Future[Settled]]]:
    """NDJSON is cut at line ends; an array is one block, however long its lines are."""
    if not body.strip():
        raise Problem(400, "the body is empty; send JSON objects, one a line or in an array")
    whole = body.lstrip()[:1] == b"["
    if whole and len(body) > limits.array_bytes:
        raise Problem(
            413,
            f"an array of more than {limits.array_bytes} bytes (limits.array_bytes); send one object a line (NDJSON)",
        )
    blocks, answers = [], []
    cut = [(1, body)] if whole else list(pieces(body))
    for number, (first_line, piece) in enumerate(cut, 1):
        answer: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        blocks.append(
            Block(
                stream,
                "http",
                "ndjson",
                piece,
                ack=_settler(answer),
                origin="http",
                first_line=first_line,
                key=key,
                more=number < len(cut),
            )
        )
        answers.append(answer)
    return blocks, answers


def _settler(answer: asyncio.Future[Settled]) -> Any:
    def settle(outcome: Settled | Exception) -> None:
        if answer.done():
            return
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    return settle


def _settled(outcome: Settled | BaseException, stream: str, present: Present) -> Settled:
    if isinstance(outcome, UnknownStream):
        raise _unknown(stream, present)
    if isinstance(outcome, Closed):
        raise busy(503, "the daemon is shutting down; send it again", 5)
    if isinstance(outcome, BaseException):
        raise Problem(500, "the records could not be counted: a bug in driftmon; its log has more") from outcome
    return outcome


def _reply(outcome: Settled, repeated: bool) -> Response:
    counted = _as_dict(outcome, repeated)
    if not (outcome.accepted or outcome.late or outcome.sampled_out):
        raise Problem(400, "no record of the body could be used; see `errors`", members=counted)
    return Response(json.dumps(counted) + "\n", 200 if outcome.durable else 202, media_type="application/json")


def _as_dict(outcome: Settled, repeated: bool) -> Mapping[str, Any]:
    return {
        "accepted": outcome.accepted,
        "rejected": sum(outcome.rejected.values()),
        "late": outcome.late,
        "sampled_out": outcome.sampled_out,
        "duplicate": repeated,
        "durable": outcome.durable,
        "errors": [{"line": error.line, "reason": error.reason, "message": error.message} for error in outcome.errors],
    }


def _unknown(stream: str, present: Present) -> Problem:
    names = ", ".join(
        name for name, one in present.config.streams.items() if any(source.type == "http" for source in one.sources)
    )
    return Problem(
        404, f"no stream {stream!r} takes records over HTTP; {f'there are {names}' if names else 'none does'}"
    )
