"""Pinned: HTTP transports that resolve a name, check what it stands for, and connect to that very address.

Law: between the check and the connection nobody is asked again, so DNS cannot answer the one with a harmless address
and the other with a harmful one. Certificate, SNI and Host stay those of the name.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from typing import Final

import httpx

from driftmon.outward.login import Login
from driftmon.outward.targets import Resolve, addresses_of, forbidden

RESOLVE_S: Final = 3.0
PORTS: Final = {"http": 80, "https": 443}


class Refused(httpx.ConnectError):
    """Every address of the host is one that nothing is sent to."""


class Pinned(httpx.BaseTransport):
    """For threads. TLS is made with the first request: LoginError then where `ca_file` is none."""

    def __init__(self, login: Login, resolve: Resolve = addresses_of) -> None:
        self._login, self._resolve = login, resolve
        self._inner: httpx.HTTPTransport | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._inner is None:
            self._inner = httpx.HTTPTransport(verify=_trusted(self._login))
        host, port = _target(request)
        try:
            found = self._resolve(host, port)
        except OSError as error:
            raise _unknown(host, error) from None
        fault: httpx.ConnectError | httpx.ConnectTimeout = httpx.ConnectError(f"{host} has no address")
        for address in _allowed(host, found):
            try:
                return self._inner.handle_request(_to(request, host, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                fault = error
        raise fault

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()


class AsyncPinned(httpx.AsyncBaseTransport):
    """For the event loop; names are resolved in a thread."""

    def __init__(self, login: Login, resolve: Resolve = addresses_of) -> None:
        self._login, self._resolve = login, resolve
        self._inner: httpx.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._inner is None:
            self._inner = httpx.AsyncHTTPTransport(verify=await asyncio.to_thread(_trusted, self._login))
        host, port = _target(request)
        try:
            found = await asyncio.wait_for(asyncio.to_thread(self._resolve, host, port), RESOLVE_S)
        except TimeoutError:
            raise httpx.ConnectTimeout(f"{host} was not resolved within {RESOLVE_S:.0f} s") from None
        except OSError as error:
            raise _unknown(host, error) from None
        fault: httpx.ConnectError | httpx.ConnectTimeout = httpx.ConnectError(f"{host} has no address")
        for address in _allowed(host, found):
            try:
                return await self._inner.handle_async_request(_to(request, host, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                fault = error
        raise fault

    async def aclose(self) -> None:
        if self._inner is not None:
            await self._inner.aclose()


def _trusted(login: Login) -> ssl.SSLContext:
    """Without `ca_file` the authorities that httpx brings, or those of SSL_CERT_FILE."""
    return httpx.create_ssl_context() if login.ca_file is None else login.context()


def _target(request: httpx.Request) -> tuple[str, int]:
    return request.url.raw_host.decode("ascii"), request.url.port or PORTS[request.url.scheme]


def _allowed(host: str, found: Sequence[str]) -> Iterator[str]:
    """Those that may be asked; Refused where there are some and none may."""
    reasons = {address: forbidden(address) for address in found}
    if found and all(reasons.values()):
        raise Refused(f"{host}: {found[0]} {reasons[found[0]]}")
    yield from (address for address, reason in reasons.items() if not reason)


def _to(request: httpx.Request, host: str, address: str) -> httpx.Request:
    """The same request to an address; the header Host was made of the name already."""
    extensions = {**request.extensions, "sni_hostname": host}
    url = request.url.copy_with(host=address)
    return httpx.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=extensions)


def _unknown(host: str, error: OSError) -> httpx.ConnectError:
    return httpx.ConnectError(f"{host} is unknown: {error.strerror or error}")
