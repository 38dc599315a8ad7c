"""Process: the flags of `run`, everything that is not about the data, and the sockets they ask for.

Law: the API, which reads and changes data, is reachable from other machines only if somebody said so.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from driftmon.daemon.access.refusals import Refusals
from driftmon.daemon.access.tls import Following
from driftmon.daemon.addresses import Address, AddressError, bind, bound
from driftmon.daemon.telemetry import gauge
from driftmon.render.openmetrics import Family

if TYPE_CHECKING:
    from driftmon.daemon.access.keeper import Keeper

Opened: TypeAlias = list[tuple[str, socket.socket]]  # (URL, listening socket)


@dataclass(frozen=True, slots=True)
class Process:
    """Addresses of both listeners, where state lies, and what admins may do over HTTP."""

    config_file: Path
    web: tuple[Address, ...]
    api: tuple[Address, ...]
    storage: Path | None = None
    external_url: str = ""
    reload_over_http: bool = False
    keeper: Keeper | None = None  # of the file of --web.config.file
    refusals: Refusals = field(default_factory=Refusals, compare=False)

    @property
    def authenticates(self) -> bool:
        """Whether the API asks everybody who they are."""
        return self.keeper is not None and self.keeper.current().authenticates

    @property
    def speaks_tls(self) -> bool:
        return self.keeper is not None and self.keeper.current().context is not None

    @property
    def context(self) -> ssl.SSLContext | None:
        """TLS of both listeners, following the file; None without."""
        keeper = self.keeper
        if keeper is None or not self.speaks_tls:
            return None
        return Following(lambda: _certified(keeper))

    def families(self) -> Iterator[Family]:
        """Who did not get in, and whether the file that says so is in force."""
        yield from self.refusals.families()
        if self.keeper is not None:
            self.keeper.current()
            yield gauge("web_config_last_reload_successful", self.keeper.is_current)

    @property
    def in_clear(self) -> bool:
        """Whether passwords or tokens of other machines cross the network as anybody may read them."""
        return self.authenticates and not self.speaks_tls and not all(address.is_local for address in self.api)


def refuse_open_api(api: tuple[Address, ...]) -> None:
    """AddressError where others than this machine would reach the API without showing who they are."""
    for address in api:
        if not address.is_local:
            raise AddressError(
                f"--api.listen-address {address} is reachable from other machines and the API asks for no password; "
                "use 127.0.0.1 or unix:/path, give --web.config.file with users or tokens, or say --api.insecure"
            )


def bind_all(process: Process) -> Mapping[str, Opened]:
    """All sockets of both listeners, or none and AddressError."""
    opened: dict[str, Opened] = {"web": [], "api": []}
    scheme = "https" if process.speaks_tls else "http"
    try:
        for kind, wanted in (("web", process.web), ("api", process.api)):
            for address in wanted:
                made = bind(address)
                opened[kind].append((bound(address, made, scheme), made))
    except AddressError as fault:
        for _, made in (*opened["web"], *opened["api"]):
            made.close()
        raise AddressError(f"{fault} (--{kind}.listen-address)") from fault
    return opened


def _certified(keeper: Keeper) -> ssl.SSLContext:
    context = keeper.current().context
    assert context is not None  # a keeper does not switch TLS off
    return context


def forget_paths(process: Process) -> None:
    """Remove the Unix sockets of a process that has stopped listening."""
    for address in (*process.web, *process.api):
        if address.path is not None:
            address.path.unlink(missing_ok=True)
