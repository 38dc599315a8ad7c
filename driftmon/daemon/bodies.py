"""Bodies: request bodies, read within bounds of bytes and time.

Law: a request holds at most what its limits say, all requests together at most `inflight_bytes`, and what is
refused is refused before it is read where its length is known.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request

from driftmon.daemon.lane import WHOLE
from driftmon.daemon.problem import Problem, busy
from driftmon.daemon.settings import Limits
from driftmon.formats.compression import DecompressionError, TooLarge, UnsupportedError, decompress, said_size

LINGER_S: Final = 2.0
IN_THREAD_BYTES: Final = 4 * 1024  # decompressing more, to 100 times as much, would hold the event loop up for long


class Bodies:
    """Counts what is in flight."""

    def __init__(self) -> None:
        self._inflight = 0
        self._unpacking = asyncio.Semaphore(1)  # threads without the GIL would take the cores from everybody else

    async def read(self, request: Request, limits: Limits, claim: Callable[[int], None]) -> bytes:
        """The decompressed body; Problem 400, 408, 413, 415 or 429.

        `claim` raises where so many bytes have no place to go: they are neither read nor unpacked.
        """
        encoding = request.headers.get("content-encoding", "identity").strip().lower() or "identity"
        if encoding not in ("identity", "gzip", "zstd"):
            raise Problem(
                415, f"Content-Encoding {encoding!r} is not understood; send identity, gzip or zstd, one of them"
            )
        length = _checked_length(request, limits)
        claim(length)
        if self._inflight and not self.fits(length, limits):
            raise _crowded()
        taken: list[int] = []
        try:
            data = await self._receive(request, limits, taken)
            if encoding == "identity":
                return data
            plain = await self._decompressed(data, encoding, limits, claim)
            self._take(len(plain), taken, limits)
            return plain
        except ClientDisconnect:
            raise Problem(400, "the client closed the connection before the body was complete") from None
        finally:
            self._inflight -= sum(taken)

    def fits(self, size: int, limits: Limits) -> bool:
        """Whether so many bytes more may be in flight."""
        return self._inflight + size <= limits.inflight_bytes

    async def _receive(self, request: Request, limits: Limits, taken: list[int]) -> bytes:
        if not _is_whole(request):
            return await self._awaited(request, limits, taken)
        message = await request.receive()  # nothing to wait for, and its length was looked at
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body: bytes = message["body"]
        self._take(len(body), taken, limits)
        return body

    async def _awaited(self, request: Request, limits: Limits, taken: list[int]) -> bytes:
        chunks: list[bytes] = []
        clock, idle_s = asyncio.get_running_loop().time, limits.idle_timeout_ms / 1000
        began_s, size = clock(), 0
        last_s = began_s + limits.request_timeout_ms / 1000
        try:
            async with asyncio.timeout_at(
                min(began_s + idle_s, last_s)
            ) as timer:  # one, where wait_for makes one a chunk
                async for chunk in request.stream():  # to its end, or the loop must end it later, in a task
                    if not chunk:
                        continue
                    self._take(len(chunk), taken, limits)
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > limits.body_bytes:
                        raise _too_large("the body", limits.body_bytes, "body_bytes")
                    now_s = clock()
                    if size < limits.rate_bytes * (now_s - began_s - limits.header_timeout_ms / 1000):
                        raise Problem(408, f"the body comes at under {limits.rate_bytes} bytes/s (limits.rate_bytes)")
                    timer.reschedule(min(now_s + idle_s, last_s))
        except TimeoutError:
            raise Problem(
                408,
                f"the body did not come within {limits.idle_timeout_ms / 1000:g} s of silence (limits.idle_timeout) "
                f"or {limits.request_timeout_ms / 1000:g} s in all (limits.request_timeout)",
            ) from None
        return b"".join(chunks)

    async def _decompressed(self, data: bytes, encoding: str, limits: Limits, claim: Callable[[int], None]) -> bytes:
        asked = data, encoding, limits.decompressed_bytes, limits.decompression_ratio
        said_bytes = min(said_size(data, encoding), limits.decompressed_bytes)
        claim(said_bytes)
        try:
            if len(data) < IN_THREAD_BYTES:
                plain = decompress(*asked)
            else:
                async with self._unpacking:
                    claim(said_bytes)  # others had their turns meanwhile
                    plain = await asyncio.to_thread(decompress, *asked)
        except TooLarge as fault:
            raise Problem(413, f"{fault} (limits.decompressed_bytes, limits.decompression_ratio)") from None
        except UnsupportedError as fault:
            raise Problem(415, str(fault)) from None
        except DecompressionError as fault:
            raise Problem(400, str(fault)) from None
        return plain

    def _take(self, size: int, taken: list[int], limits: Limits) -> None:
        taken.append(size)
        self._inflight += size
        if self._inflight > limits.inflight_bytes:
            raise _crowded()


async def discard(request: Request) -> None:
    """Read on and keep nothing, for LINGER_S at most, so that a client still sending gets to see why it was refused.

    A connection closed with bytes unread is reset, and the answer with it. Who asked before sending
    (Expect: 100-continue) is not asked to send.
    """
    if "expect" in request.headers or _is_whole(request):
        return
    with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: it was read to its end
        async with asyncio.timeout(LINGER_S):
            async for _ in request.stream():
                pass


def _is_whole(request: Request) -> bool:
    """Whether all of the body is here."""
    return WHOLE in request.scope.get("state", ())


def _checked_length(request: Request, limits: Limits) -> int:
    """What the client says it will send; 0 where it does not say."""
    said = request.headers.get("content-length", "")
    length = int(said) if said.isdigit() else 0
    if length > limits.body_bytes:
        raise _too_large("the body", limits.body_bytes, "body_bytes")
    return length


def _crowded() -> Problem:
    return busy(429, "too many bytes are being received at once (limits.inflight_bytes); try again", 1)


def _too_large(what: str, limit: int, key: str) -> Problem:
    return Problem(413, f"{what} is larger than {limit} bytes (limits.{key}); send it in several requests")
