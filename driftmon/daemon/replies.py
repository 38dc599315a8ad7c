"""Replies: bytes that are rendered beside the event loop and compressed where the client takes it.

Law: thousands of features take a while to render; probes and ingest do not wait for it.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from driftmon.daemon.squeezed import LEVEL

GZIP_FROM_BYTES: Final = 1024


async def sent(
    request: Request,
    make: Callable[[], bytes],
    media_type: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """What `make` returns; never stored by caches unless `headers` say otherwise."""
    squeeze = takes_gzip(request)

    def render() -> tuple[bytes, bool]:
        body = make()
        if squeeze and len(body) >= GZIP_FROM_BYTES:
            return gzip.compress(body, LEVEL, mtime=0), True
        return body, False

    body, squeezed = await asyncio.to_thread(render)
    return reply(body, squeezed, media_type, status, headers)


def reply(
    body: bytes, squeezed: bool, media_type: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Bytes that are rendered, and squeezed or not, already."""
    # Not media_type: Starlette would add a charset of its own to text.
    stated = {"Vary": "Accept-Encoding", "Content-Type": media_type, "Cache-Control": "no-store", **(headers or {})}
    return Response(body, status, headers={**stated, "Content-Encoding": "gzip"} if squeezed else stated)


def takes_gzip(request: Request) -> bool:
    """Whether the client takes gzip, by the weights it gives (RFC 9110, 12.5.3)."""
    return accepts_gzip(",".join(request.headers.getlist("accept-encoding")))


def accepts_gzip(accept: str) -> bool:
    """
    >>> [accepts_gzip(one) for one in ("gzip, deflate", "GZIP;q=0.5", "*", "br, *;q=0.1", "x-gzip")]
    [True, True, True, True, True]
    >>> [accepts_gzip(one) for one in ("", "identity", "gzip;q=0", "*;q=0", "*, gzip;q=0.000", "gzip;q=no", "gzipped")]
    [False, False, False, False, False, False, False]
    """
    weights: dict[str, float] = {}
    for entry in accept.lower().split(","):
        coding, _, parameter = (part.strip() for part in entry.partition(";"))
        try:
            weights[coding] = float(parameter.removeprefix("q=")) if parameter else 1.0
        except ValueError:
            weights[coding] = 0.0
    named = [weights[coding] for coding in ("gzip", "x-gzip") if coding in weights]
    return max(named, default=weights.get("*", 0.0)) > 0
