"""Addresses: where the daemon listens, written as Prometheus writes it, plus `unix:/path`.

Law: a socket is bound before anything else starts, so an address in use is one line and exit 2, not a
daemon that runs deaf.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from pathlib import Path
from typing import Final

from msgspec import Struct

from driftmon.sources.unix import listening_socket

BACKLOG: Final = 512


class AddressError(ValueError):
    """An address that cannot be read or bound; the message names the cure."""


class Address(Struct, frozen=True):
    """`host` "" means every interface; `path` is set for a Unix socket, `port` 0 lets the system choose."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it: loopback or a Unix socket."""
        if self.path is not None or self.host == "localhost":
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return False


def parse(text: str) -> Address:
    """
    >>> parse(":10517"), parse("[::1]:80").is_local, str(parse("unix:/run/driftmon.sock"))
    (Address(host='', port=10517, path=None), True, 'unix:/run/driftmon.sock')
    >>> parse("localhost")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    AddressError: 'localhost' is no address; write host:port, :port, [v6]:port or unix:/path
    """
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Address(path=Path(text[len("unix:") :]))
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535 or (":" in host and not bracketed):
        raise AddressError(f"{text!r} is no address; write host:port, :port, [v6]:port or unix:/path")
    return Address(host[1:-1] if bracketed else host, int(port))


def bind(address: Address) -> socket.socket:
    """A listening socket; AddressError where it cannot be had."""
    try:
        if address.path is not None:
            return listening_socket(address.path)
        return _bind_inet(address)
    except OSError as fault:
        raise AddressError(
            f"cannot listen on {address}: {fault.strerror or fault}; free it or choose another"
        ) from fault


def bound(address: Address, opened: socket.socket, scheme: str = "http") -> str:
    """The address as a URL's client would use it, with the port the system chose.

    >>> with bind(parse("127.0.0.1:0")) as opened:
    ...     bound(parse("127.0.0.1:0"), opened).startswith("http://127.0.0.1:")
    True
    """
    if address.path is not None:
        return str(address)
    host = address.host or "127.0.0.1"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{opened.getsockname()[1]}"


def _bind_inet(address: Address) -> socket.socket:
    dual = not address.host and socket.has_dualstack_ipv6()
    host = "::" if dual else address.host or "0.0.0.0"
    family, kind, protocol, _, found = socket.getaddrinfo(
        host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        opened.bind(found)
    except OSError:
        opened.close()
        raise
    opened.listen(BACKLOG)
    opened.setblocking(False)
    return opened
