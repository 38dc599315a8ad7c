"""Exposition: what /metrics answers.

Law: what the reports say is rendered at the first scrape after them and served as bytes until the next, plain and
squeezed; the daemon's own counters, some dozens, are fresh in every scrape. Rendering keeps no event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from driftmon.daemon.present import Present
from driftmon.daemon.replies import reply, takes_gzip
from driftmon.daemon.squeezed import Squeezed
from driftmon.daemon.telemetry import in_catalogue_order
from driftmon.monitor.report import Report
from driftmon.render.catalogue import Selection
from driftmon.render.labels import label_families
from driftmon.render.openmetrics import END, Family, Render, choose
from driftmon.render.series import Layout


class Plain(Struct, frozen=True):
    """The part that stays, as it is."""

    body: bytes

    def followed_by(self, rest: bytes) -> bytes:
        return self.body + rest


Kept: TypeAlias = Plain | Squeezed


class Exposition:
    """`own` are the families of whoever in the daemon counts."""

    def __init__(self, present: Present, own: Callable[[], Iterator[Family]]) -> None:
        self._present, self._own = present, own
        self._reports: Mapping[str, Report] = {}
        self._layout = Layout({}, Selection())
        self._selection = Selection()
        self._kept: dict[tuple[Render, bool], Kept] = {}
        self._rendering = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        """In the format and the coding that the client asks for."""
        render, media_type = choose(request.headers.get("accept", ""))
        squeeze = takes_gzip(request)
        kept = await self._current(render, squeeze)
        return reply(kept.followed_by(render(in_catalogue_order(self._own()))), squeeze, media_type)

    async def _current(self, render: Render, squeeze: bool) -> Kept:
        """Of the newest reports; who comes while it is rendered waits for that."""
        async with self._rendering:
            metrics, limits = self._present.config.metrics, self._present.config.limits
            now = self._present.reports, Selection(metrics.set, metrics.bins, limits.series)
            if now[0] is not self._reports or now[1] != self._selection:
                self._reports, self._selection = now
                self._kept = {}
            if (render, squeeze) not in self._kept:
                # A request that is cancelled leaves its thread at work, which therefore changes nothing here.
                self._layout, self._kept[render, squeeze] = await asyncio.to_thread(
                    _rendered, self._layout, self._reports, self._selection, render, squeeze
                )
            return self._kept[render, squeeze]


def _rendered(
    layout: Layout, reports: Mapping[str, Report], selection: Selection, render: Render, squeeze: bool
) -> tuple[Layout, Kept]:
    """The layout that fits, which may be the one there was, and what /metrics answers of these reports."""
    if not layout.fits(reports, selection):
        layout = Layout(reports, selection)
    body = render((*layout.filled(reports), *label_families(reports))).removesuffix(END)
    return layout, Squeezed.of(body) if squeeze else Plain(body)
