"""Site: the addresses of the pages for people, on the API listener.

Law: what draws the pages is imported when somebody first looks at one, and beside the event loop; most
sidecars are only scraped, and pay for no page, neither at the start nor in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from driftmon.daemon.connections import Connections
from driftmon.daemon.mailbox import Mailbox
from driftmon.daemon.present import Present
from driftmon.daemon.telemetry import Telemetry
from driftmon.render.own import Receiver

if TYPE_CHECKING:
    from driftmon.daemon.site_pages import SitePages

Receivers: TypeAlias = Callable[[], Sequence[Receiver]]
Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
Choice: TypeAlias = "Callable[[SitePages], Handler]"

ADDRESSES: Final[dict[str, Choice]] = {
    "/": lambda pages: pages.overview,
    "/features/{stream}/{feature:path}": lambda pages: pages.feature,
    "/alerts": lambda pages: pages.alerts,
    "/status": lambda pages: pages.status,
    "/api/v1/status": lambda pages: pages.status_json,
    "/config": lambda pages: pages.config,
    "/assets/{name}": lambda pages: pages.asset,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What the pages tell of. `storage` says where state is kept, "" nowhere; `receivers` who is told of alerts."""

    present: Present
    mailbox: Mailbox
    telemetry: Telemetry
    receivers: Receivers
    places: Connections
    storage: str = ""


class Site:
    """The pages' addresses."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._pages: SitePages | None = None

    def routes(self) -> Iterator[Route]:
        """What the pages answer to."""
        for path, choice in ADDRESSES.items():
            yield Route(path, self._handler(choice))

    def _handler(self, choice: Choice) -> Handler:
        async def handle(request: Request) -> Response:
            if self._pages is None:
                self._pages = await asyncio.to_thread(_pages, self._shown)
            return await choice(self._pages)(request)

        return handle


def _pages(shown: Shown) -> SitePages:
    from driftmon.daemon.site_pages import SitePages  # noqa: PLC0415  and with it all that draws

    return SitePages(shown)
