"""Neighbours: pages of other sites in a browser of this machine are kept away from a daemon on loopback.

Law: a name that some DNS made point at 127.0.0.1 is not ours, whatever it resolves to; and no page of another site
changes anything, with or without the password that its browser remembers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import urlsplit

from driftmon.daemon.access.scopes import READING


class Neighbours:
    """`hosts`: names beside localhost and addresses that are ours; `external_url` where people reach the API."""

    def __init__(self, hosts: Iterable[str], external_url: str) -> None:
        outside = urlsplit(external_url)
        self._ours = {"localhost", *(host.lower() for host in hosts if host), (outside.hostname or "").lower()}
        self._outside = outside.netloc.lower()

    def refusal(
        self, asked: Mapping[str, Any], headers: Mapping[str, str]
    ) -> tuple[Literal["host", "origin"], str] | None:
        """Why not; None where it may come in."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if host and _on_loopback(str((asked.get("server") or ("",))[0])) and not self._is_ours(host):
            return (
                "host",
                f"the Host {host[:100]!r} is none of ours; ask for localhost, or start with --web.external-url",
            )
        if origin is not None and asked["method"] not in READING:
            sender = urlsplit(origin).netloc.lower()
            if not sender or sender not in (host.lower(), self._outside):
                return "origin", "a page of another site may not change anything; send the request without a browser"
        return None

    def _is_ours(self, host: str) -> bool:
        """Any address is: to rebind takes a name.

        >>> [Neighbours((), "")._is_ours(host) for host in ("[::1]:80", "127.0.0.1", "LOCALHOST:1", "evil.example:80")]
        [True, True, True, False]
        """
        try:
            name, is_address = _named(host)
        except ValueError:
            return False
        return is_address or name in self._ours


@lru_cache(64)  # whoever posts a lot says the same each time
def _named(host: str) -> tuple[str, bool]:
    """Without its port, and whether it is an address; ValueError where it is neither that nor a name."""
    name = urlsplit(f"//{host}").hostname or ""
    return name, _address(name) is not None


@lru_cache(64)  # of our own addresses there are few
def _on_loopback(name: str) -> bool:
    found = _address(name)
    mapped = getattr(found, "ipv4_mapped", None)
    return found is not None and (found.is_loopback or (mapped is not None and mapped.is_loopback))


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    with suppress(ValueError):
        return ipaddress.ip_address(name)
    return None
