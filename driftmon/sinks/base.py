"""What the outbox and a sink agree on: a sink sends once and says what became of it; it never retries itself.

Law: `send` returns (all taken), raises Retry (nothing settled, come again) or Reject (these notices
will never be taken; the others were). Resending, backing off and counting are the outbox's.
"""

from __future__ import annotations

import asyncio
import email.utils
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from driftmon.outward.login import Login, LoginError
from driftmon.outward.targets import Resolve, addresses_of, forbidden, literal
from driftmon.render.notice import Notice

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS: Final = 3.0
TOTAL_SECONDS: Final = 10.0
RETRIED_STATUS: Final = frozenset({408, 425, 429})  # and every 5xx
REDACTED: Final = "<redacted>"
SHOWN_REPLY: Final = 200  # characters of a refusal worth logging
READ_REPLY: Final = 4096  # bytes of one that are read at all


class Retry(Exception):  # noqa: N818  a wish, not an error
    """The receiver is away or busy; `after_s` is its own wish (Retry-After), None where it has none."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


class Reject(Exception):  # noqa: N818
    """The receiver will never take `refused`; the rest of the batch, if any, was taken."""

    def __init__(self, reason: str, refused: Sequence[Notice] = (), status: int | None = None) -> None:
        super().__init__(reason)
        self.refused = tuple(refused)
        self.status = status


class Sink(Protocol):
    """`sinks/<type>.py` holds a class of this shape and a frozen dataclass `Options` beside it.

    `resends` tells whether the receiver forgets: Alertmanager needs every firing alert again each
    minute, a webhook is told once per transition.
    """

    resends: bool

    def __init__(self, options: Any) -> None: ...
    async def send(self, alerts: Sequence[Notice], now_ms: int) -> None: ...
    async def close(self) -> None: ...


def checked_endpoint(endpoint: str) -> str:
    """An http(s) URL whose host, where it is an address, may be asked, else ValueError. Names are judged when they
    are resolved, for each request.

    >>> checked_endpoint("http://127.0.0.1:9093/")
    'http://127.0.0.1:9093/'
    >>> checked_endpoint("127.0.0.1:9093")
    Traceback (most recent call last):
    ValueError: '127.0.0.1:9093' is no http or https URL; write it as http://host:port
    """
    try:
        parts = urlsplit(endpoint)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fine = False
    if not fine:
        raise ValueError(f"{endpoint!r} is no http or https URL; write it as http://host:port")
    address = literal(parts.hostname or "")
    if address is not None and (reason := forbidden(address)):
        raise ValueError(f"{endpoint!r}: the address {reason}; name the receiver's own address")
    return endpoint


def shown_url(url: str) -> str:
    """Where it leads, not how one gets in.

    >>> shown_url("https://me:pw@hooks.example:8443/T0/B1?token=x"), shown_url("http://127.0.0.1:9093")
    ('https://hooks.example:8443/<redacted>', 'http://127.0.0.1:9093')
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    hidden = f"/{REDACTED}" if parts.path.strip("/") or parts.query or parts.fragment else ""
    return f"{parts.scheme}://{host}{hidden}"


def client(login: Login, resolve: Resolve = addresses_of) -> httpx.AsyncClient:
    """An HTTP client that follows no redirects and takes no proxy or credentials from the environment."""
    import httpx  # noqa: PLC0415  17 MB that a daemon with the log sink alone never needs

    from driftmon.outward.pinned import AsyncPinned  # noqa: PLC0415

    return httpx.AsyncClient(
        transport=AsyncPinned(login, resolve),
        timeout=httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
    )


async def post(http: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str], login: Login) -> None:
    """POST once. 2xx returns; a timeout, a broken connection, 408, 425, 429, 5xx raise Retry; the rest Reject."""
    import httpx  # noqa: PLC0415

    sent = {"Content-Type": "application/json", **headers, **_authorization(login)}
    try:
        async with asyncio.timeout(TOTAL_SECONDS), http.stream("POST", url, content=body, headers=sent) as reply:
            said = b"" if reply.is_success else await _beginning(reply)
    except LoginError as error:
        raise Retry(str(error)) from None
    except TimeoutError:
        raise Retry(f"{shown_url(url)}: no whole answer within {TOTAL_SECONDS:.0f} s") from None
    except (httpx.TransportError, httpx.DecodingError) as error:
        told = f"{type(error).__name__} {error}".rstrip()
        if type(error) is httpx.ConnectError:  # not where we ourselves refused to connect
            told = f"no connection ({error}); start the receiver, or correct `endpoint`"
        raise Retry(f"{shown_url(url)}: {told}") from None
    if reply.is_success:
        return
    told = f"{shown_url(url)}: {reply.status_code} {said.decode(errors='replace')[:SHOWN_REPLY].strip()}"
    if reply.status_code in RETRIED_STATUS or reply.is_server_error:
        raise Retry(told, _seconds(reply.headers.get("Retry-After"), reply.headers.get("Date")))
    raise Reject(told, status=reply.status_code)


def _authorization(login: Login) -> dict[str, str]:
    try:
        return login.headers()
    except LoginError as error:
        raise Retry(str(error)) from None


async def _beginning(reply: httpx.Response) -> bytes:
    """A receiver may answer without end."""
    found = b""
    async for chunk in reply.aiter_bytes(READ_REPLY):
        found += chunk
        if len(found) >= READ_REPLY:
            break
    return found


def _seconds(retry_after: str | None, date: str | None) -> float | None:
    """Retry-After in seconds; a date counts from the reply's own clock.

    >>> _seconds("7", None), _seconds("soon", None), _seconds(None, None)
    (7.0, None, None)
    >>> _seconds("Tue, 24 Nov 2026 06:01:00 GMT", "Tue, 24 Nov 2026 06:00:30 GMT")
    30.0
    """
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        until, now = email.utils.parsedate_to_datetime(retry_after), email.utils.parsedate_to_datetime(date or "")
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return None
