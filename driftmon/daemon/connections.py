"""Connections: the places of all listeners together, and the clock that runs against whoever holds one.

Law: a place belongs to who uses it. A connection has `header_timeout` to say what it wants; when all places are
taken, the one that waits longest without a request gives way, those that never asked anything first. Who sent much,
was told to come back later and comes back at once is heard when a large request has been counted, the first to be
refused first, or after DEAF_S.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import ClassVar, Final

from driftmon.daemon.lane import Express, Lane
from driftmon.daemon.settings import Limits

LARGE: Final = "large"  # in the state of a request that was: what became of it
REFUSED, COUNTED = "refused", "counted"
DEAF_S: Final = 2.0  # as long as Retry-After asks for at most; else who is refused could keep the event loop busy
APART_S: Final = 0.01  # between two who are heard because time has passed: refused together, they come one by one
LINGER_S: Final = 1.0  # for a last answer to leave; then the connection is cut


class Connections:
    """Who is connected. `limits` are those of the configuration in force."""

    def __init__(self, limits: Callable[[], Limits]) -> None:
        self._limits = limits
        self._open: dict[Connection, str] = {}
        self._silent: dict[Connection, None] = {}  # those that never asked anything, the oldest first
        self._deaf: dict[Connection, None] = {}  # those whose next request is not read yet, the oldest first
        self._heard_s = 0.0  # when the last of them will be
        self._hosts: Counter[str] = Counter()

    @property
    def limits(self) -> Limits:
        return self._limits()

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, newcomer: Connection, host: str) -> str:
        """Give it a place; else why there is none. Neighbours on this machine share one address: they have no quota."""
        limits = self.limits
        if _far(host) and self._hosts[host] >= limits.connections_per_ip:
            return f"{limits.connections_per_ip} connections of {host} are open (limits.connections_per_ip)"
        if len(self._open) >= limits.connections:
            idlest = next(iter(self._silent), None) or min(
                (one for one in self._open if one.idle), key=lambda one: one.idle_since_s, default=None
            )
            if idlest is None:
                return f"{limits.connections} connections are open (limits.connections)"
            idlest.cut()
        self._open[newcomer] = host
        self._silent[newcomer] = None
        self._hosts[host] += 1
        return ""

    def asks(self, one: Connection) -> None:
        """Its first request has begun, or its next."""
        self._silent.pop(one, None)

    def refused(self, one: Connection) -> None:
        """There was no room for what it sent, and it was much."""
        self._deaf[one] = None
        self._heard_s = max(one.idle_since_s + DEAF_S, self._heard_s + APART_S)
        one.hear_not(self._heard_s)

    def hear(self, one: Connection) -> None:
        """Its next request may come."""
        if one in self._deaf:
            del self._deaf[one]
            one.hear()

    def counted(self) -> None:
        """A large request has left its place to another."""
        if self._deaf:
            self.hear(next(iter(self._deaf)))

    def leave(self, one: Connection) -> None:
        """It is closed, or as good as that."""
        self._silent.pop(one, None)
        self._deaf.pop(one, None)
        host = self._open.pop(one, None)
        if host is not None:
            self._hosts[host] -= 1
            self._hosts += Counter()  # drops those at zero


class Connection(Lane):
    """uvicorn's, with a place among `places`."""

    places: ClassVar[Connections]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        self.idle_since_s = self.loop.time()
        self._header_timer: asyncio.TimerHandle | None = None
        self._deaf_timer: asyncio.TimerHandle | None = None
        if refusal := self.places.admit(self, self.client[0] if self.client else ""):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, f"{refusal}; try again", "Retry-After: 1\r\n")
            return
        self._expect_header()

    def connection_lost(self, exc: Exception | None) -> None:
        self.places.leave(self)
        self._stop_waiting()
        self._end_deafness()
        super().connection_lost(exc)

    @property
    def idle(self) -> bool:
        """No request is under way; perhaps the head of one has begun."""
        return self.cycle is None or self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if not self.idle:
            self.places.asks(self)
            self._stop_waiting()
        elif self._header_timer is None and not self.transport.is_closing():
            self._expect_header()

    def on_response_complete(self) -> None:
        self.idle_since_s, large = self.loop.time(), self.scope["state"].get(LARGE, "")
        super().on_response_complete()
        if large == COUNTED:
            self.places.counted()
        elif large == REFUSED and self.idle:  # else its next request was here already
            self.places.refused(self)

    def timeout_keep_alive_handler(self) -> None:
        """Also where the client never read the answer: closing would wait for it for ever."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(LINGER_S, self.transport.abort)

    def hear_not(self, until_s: float) -> None:
        """Unless `hear` comes before."""
        self.flow.pause_reading()
        self._deaf_timer = self.loop.call_at(until_s, self.places.hear, self)

    def hear(self) -> None:
        """Read again."""
        self._end_deafness()
        self.flow.resume_reading()

    def _end_deafness(self) -> None:
        if self._deaf_timer is not None:
            self._deaf_timer.cancel()
            self._deaf_timer = None

    def cut(self) -> None:
        """Give the place away."""
        self.places.leave(self)
        self.transport.abort()

    def _expect_header(self) -> None:
        wait_s = self.places.limits.header_timeout_ms / 1000
        self._header_timer = self.loop.call_later(wait_s, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _too_slow(self) -> None:
        self._header_timer = None
        if not self.transport.is_closing():
            wait_s = self.places.limits.header_timeout_ms / 1000
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"the head of the request did not come within {wait_s:g} s")

    def _refuse(self, status: HTTPStatus, detail: str, more: str = "") -> None:
        """Answer without a request, and hang up."""
        body = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}
        text = json.dumps(body) + "\n"
        head = f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: application/problem+json\r\n{more}"
        self.transport.write(f"{head}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode())
        self.transport.close()
        self.loop.call_later(LINGER_S, self.transport.abort)


def with_places(places: Connections, express: Express | None) -> type[Connection]:
    """The protocol for listeners that share these places; `express` belongs to one of them."""
    return type("Connection", (Connection,), {"places": places, "express": express})


def _far(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False  # a Unix socket
    return not (getattr(address, "ipv4_mapped", None) or address).is_loopback
