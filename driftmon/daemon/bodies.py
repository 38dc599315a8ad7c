"""Bodies: request bodies, read within bounds of bytes and time.

Law: a request holds at most what its limits say, all requests together at most INFLIGHT_BYTES, and what is
refused is refused before it is read where its length is known.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from starlette.requests import ClientDisconnect, Request

from driftmon.daemon.problem import Problem, busy
from driftmon.daemon.settings import Limits
from driftmon.formats.compression import DecompressionError, TooLarge, UnsupportedError, decompress

INFLIGHT_BYTES: Final = 32 * 1024 * 1024  # of all bodies being read, as sent and decompressed
WHOLE_S: Final = 60.0
IDLE_S: Final = 10.0
LINGER_S: Final = 2.0
IN_THREAD_BYTES: Final = 64 * 1024  # decompressing more would hold the event loop up for over a millisecond


class Bodies:
    """Counts what is in flight."""

    def __init__(self) -> None:
        self._inflight = 0

    async def read(self, request: Request, limits: Limits) -> bytes:
        """The decompressed body; Problem 400, 408, 413, 415 or 429."""
        encoding = request.headers.get("content-encoding", "identity").strip().lower() or "identity"
        if encoding not in ("identity", "gzip", "zstd"):
            raise Problem(
                415, f"Content-Encoding {encoding!r} is not understood; send identity, gzip or zstd, one of them"
            )
        _check_length(request, limits)
        taken: list[int] = []
        try:
            data = await self._receive(request, limits, taken)
            return data if encoding == "identity" else await self._decompressed(data, encoding, limits, taken)
        except ClientDisconnect:
            raise Problem(400, "the client closed the connection before the body was complete") from None
        finally:
            self._inflight -= sum(taken)

    async def _receive(self, request: Request, limits: Limits, taken: list[int]) -> bytes:
        chunks: list[bytes] = []
        stream = request.stream()
        try:
            async with asyncio.timeout(WHOLE_S):
                while chunk := await asyncio.wait_for(anext(stream, b""), IDLE_S):
                    self._take(len(chunk), taken)
                    chunks.append(chunk)
                    if sum(taken) > limits.body_bytes:
                        raise _too_large("the body", limits.body_bytes, "body_bytes")
        except TimeoutError:
            raise Problem(
                408, f"the body did not come within {IDLE_S:g} s of silence or {WHOLE_S:g} s in all"
            ) from None
        return b"".join(chunks)

    async def _decompressed(self, data: bytes, encoding: str, limits: Limits, taken: list[int]) -> bytes:
        try:
            if len(data) < IN_THREAD_BYTES:
                plain = decompress(data, encoding, limits.decompressed_bytes)
            else:
                plain = await asyncio.to_thread(decompress, data, encoding, limits.decompressed_bytes)
        except TooLarge as fault:
            raise Problem(413, f"{fault} (limits.decompressed_bytes)") from None
        except UnsupportedError as fault:
            raise Problem(415, str(fault)) from None
        except DecompressionError as fault:
            raise Problem(400, str(fault)) from None
        self._take(len(plain), taken)
        return plain

    def _take(self, size: int, taken: list[int]) -> None:
        taken.append(size)
        self._inflight += size
        if self._inflight > INFLIGHT_BYTES:
            raise busy(429, "too many bytes are being received at once; try again", 1)


async def discard(request: Request) -> None:
    """Read on and keep nothing, for LINGER_S at most, so that a client still sending gets to see why it was refused.

    A connection closed with bytes unread is reset, and the answer with it. Who asked before sending
    (Expect: 100-continue) is not asked to send.
    """
    if "expect" in request.headers:
        return
    with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: it was read to its end
        async with asyncio.timeout(LINGER_S):
            async for _ in request.stream():
                pass


def _check_length(request: Request, limits: Limits) -> None:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limits.body_bytes:
        raise _too_large("the body", limits.body_bytes, "body_bytes")


def _too_large(what: str, limit: int, key: str) -> Problem:
    return Problem(413, f"{what} is larger than {limit} bytes (limits.{key}); send it in several requests")
