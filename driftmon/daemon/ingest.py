"""Ingest: POST /api/v1/ingest/{stream}: a body becomes blocks, and the reply says what became of each record.

Law: accepted + rejected + late + sampled_out == records of the body; a request that is refused as a whole
counted nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from driftmon.daemon.bodies import Bodies, discard
from driftmon.daemon.connections import COUNTED, LARGE, REFUSED
from driftmon.daemon.mailbox import QUICK_BYTES, Busy, Closed, Mailbox
from driftmon.daemon.present import Present
from driftmon.daemon.problem import Problem, busy, response_of, stopped
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
        return await self.taken(request, request.path_params["stream"])

    async def taken(self, request: Request, stream: str) -> Response:
        """What becomes of a post to a stream."""
        try:
            return await self._answer(request, stream)
        except Problem as refusal:
            if refusal.status != HTTPStatus.REQUEST_TIMEOUT:
                await discard(request)
            raise

    def at_once(self, stream: str, body: bytes, answered: Callable[[Response], None]) -> bool:
        """Whether a small plain body is on its way; else nothing was done, and `taken` says why not."""
        limits = self._present.config.limits

        def tell(outcome: Settled | Exception) -> None:
            try:
                reply = _reply(_settled(outcome, stream, self._present), repeated=False)
            except Problem as fault:
                reply = response_of(fault)
            answered(reply)

        try:
            self._check(stream)
            if len(body) > limits.body_bytes or not self._bodies.fits(len(body), limits):
                return False
            ((_, data),) = _cut(body, limits)
            self._mailbox.offer([Block(stream, "http", "ndjson", data, ack=tell, origin="http")])
        except (Problem, Busy, Closed):
            return False
        return True

    async def _answer(self, request: Request, stream: str) -> Response:
        self._check(stream)
        if request.method == "HEAD":
            return Response()
        try:
            outcome, repeated = await self._once(request, stream)
        except asyncio.CancelledError:
            raise stopped() from None
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
        limits = self._present.config.limits
        try:
            body = await self._bodies.read(request, limits, lambda size: self._claim(request, size))
        except asyncio.CancelledError:
            # The server gives up on a client slower than a drain may last. Nothing of its body was counted yet.
            raise busy(503, "the daemon stopped before the body was complete; send it again", 5) from None
        cut, size = _cut(body, limits), len(body)
        del body
        answer = _Answer(len(cut))
        blocks = [
            Block(
                stream,
                "http",
                "ndjson",
                piece,
                ack=answer.settle,
                origin="http",
                first_line=first_line,
                key=key,
                more=number < len(cut),
            )
            for number, (first_line, piece) in enumerate(cut, 1)
        ]
        del cut
        try:
            self._mailbox.offer(blocks)
        except Busy:
            raise _full(request, size) from None
        except Closed:
            raise busy(503, "the daemon is shutting down; send it again", 5) from None
        del blocks  # the mailbox has them; who waits for the answer holds no bytes
        outcomes = await answer.outcomes
        if size > QUICK_BYTES:
            request.scope["state"][LARGE] = COUNTED
        settled = [_settled(outcome, stream, self._present) for outcome in outcomes]
        return settled[0] if len(settled) == 1 and not settled[0].errors else joined(settled)

    def _claim(self, request: Request, size: int) -> None:
        if not self._mailbox.has_room(size):
            raise _full(request, size)


class _Answer:
    """What becomes of the blocks of one request; whoever waits is woken once, when the last of them is settled."""

    def __init__(self, blocks: int) -> None:
        self.outcomes: asyncio.Future[list[Settled | Exception]] = asyncio.get_running_loop().create_future()
        self._found: list[Settled | Exception] = []
        self._blocks = blocks

    def settle(self, outcome: Settled | Exception) -> None:
        """One of them; in any order."""
        self._found.append(outcome)
        if len(self._found) == self._blocks and not self.outcomes.done():
            self.outcomes.set_result(self._found)


def _cut(body: bytes, limits: Limits) -> list[tuple[int, bytes]]:
    """NDJSON is cut at line ends; an array is one block, however long its lines are."""
    first = body.lstrip()[:1]
    if not first:
        raise Problem(400, "the body is empty; send JSON objects, one a line or in an array")
    if first != b"[":
        return list(pieces(body))
    if len(body) > limits.array_bytes:
        raise Problem(
            413,
            f"an array of more than {limits.array_bytes} bytes (limits.array_bytes); send one object a line (NDJSON)",
        )
    return [(1, body)]


def _full(request: Request, size: int) -> Problem:
    """There is no room; who sent much is not heard for a while on this connection."""
    if size > QUICK_BYTES:
        request.scope["state"][LARGE] = REFUSED
    return busy(429, "the mailbox is full; try again", 1)


def _settled(outcome: Settled | Exception, stream: str, present: Present) -> Settled:
    if isinstance(outcome, UnknownStream):
        raise _unknown(stream, present)
    if isinstance(outcome, Closed):
        raise busy(503, "the daemon is shutting down; send it again", 5)
    if isinstance(outcome, Exception):
        raise Problem(500, "the records could not be counted: a bug in driftmon; its log has more") from outcome
    return outcome


def _reply(outcome: Settled, repeated: bool) -> Response:
    if not (outcome.accepted or outcome.late or outcome.sampled_out):
        members = _as_dict(outcome, repeated)
        raise Problem(400, "no record of the body could be used; see `errors`", members=members)
    if outcome.rejected or outcome.errors:
        return _said(outcome, repeated)
    return _often_said(outcome.accepted, outcome.late, outcome.sampled_out, outcome.durable, repeated)


@lru_cache(256)
def _often_said(accepted: int, late: int, sampled_out: int, durable: bool, repeated: bool) -> Response:
    """Nothing was wrong, and most bodies of a sender are as large as his last."""
    return _said(Settled(accepted, late=late, sampled_out=sampled_out, durable=durable), repeated)


def _said(outcome: Settled, repeated: bool) -> Response:
    text = json.dumps(_as_dict(outcome, repeated)) + "\n"
    return Response(text, 200 if outcome.durable else 202, media_type="application/json")


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
