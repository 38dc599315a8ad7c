"""Routes: URL -> handler, for the two kinds of listener.

Law: the web listener shows metrics and probes and nothing else, as exporters do; whatever reads or changes
data is on the API listener alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from driftmon.daemon.asked import Reload, SnapshotOf, snapshot_now, stream_of
from driftmon.daemon.exposition import Exposition
from driftmon.daemon.ingest import Ingest
from driftmon.daemon.mailbox import Mailbox
from driftmon.daemon.openapi import OPENAPI
from driftmon.daemon.present import Present
from driftmon.daemon.problem import Problem, answer_http, answer_problem, busy
from driftmon.daemon.promotions import Promotions
from driftmon.daemon.replies import sent
from driftmon.daemon.site import Site
from driftmon.daemon.telemetry import Telemetry, build_info, gauge, release, resident_memory
from driftmon.monitor.report import Report
from driftmon.render import json
from driftmon.render.openmetrics import Family

Families: TypeAlias = Callable[[], Iterator[Family]]

INGEST: Final = "/api/v1/ingest/"
HANDLERS: Final[Mapping[Any, Any]] = {Problem: answer_problem, HTTPException: answer_http}


class Pages:
    """The handlers that read. `others` are families of whoever else counts: the outbox."""

    def __init__(self, present: Present, mailbox: Mailbox, telemetry: Telemetry, others: Families) -> None:
        self._present = present
        self._mailbox = mailbox
        self._telemetry = telemetry
        self._others = others
        self._exposition = Exposition(present, self._own)

    async def healthy(self, request: Request) -> Response:
        return PlainTextResponse("driftmon is healthy.\n")

    async def ready(self, request: Request) -> Response:
        unready = self._present.unready
        return PlainTextResponse(f"{unready}\n" if unready else "driftmon is ready.\n", 503 if unready else 200)

    async def metrics(self, request: Request) -> Response:
        return await self._exposition.answer(request)

    def _own(self) -> Iterator[Family]:
        yield from self._telemetry.families()
        yield from self._present.families()
        yield from self._others()
        yield gauge("mailbox_bytes", self._mailbox.bytes)
        yield gauge("mailbox_limit_bytes", self._mailbox.limit_bytes)
        yield resident_memory()
        yield build_info()

    async def report(self, request: Request) -> Response:
        return await _json(request, json.report_json, self._present.reports)

    async def alerts(self, request: Request) -> Response:
        return await _json(request, json.alerts_json, self._present.reports)

    async def feature(self, request: Request) -> Response:
        report, name = self._report_of(request), request.path_params["feature"]
        if name not in report.statuses:
            raise Problem(
                404, f"stream {report.stream} has no feature {name!r}; there are {', '.join(report.statuses)}"
            )
        return await _json(request, json.feature_json, report, name, self._present.histories.get(report.stream))

    def _report_of(self, request: Request) -> Report:
        stream = stream_of(request, self._present)
        report = self._present.reports.get(stream)
        if report is None:
            raise busy(503, f"stream {stream} has no report yet", 1)
        return report

    async def openapi(self, request: Request) -> Response:
        return await _json(request, lambda: {**OPENAPI, "info": {**OPENAPI["info"], "version": release()}})


class Actions:
    """The handlers that ask something of the pump or the daemon."""

    def __init__(
        self, present: Present, snapshot_of: SnapshotOf, reload: Reload | None, promotions: Promotions
    ) -> None:
        self._present = present
        self._snapshot_of = snapshot_of
        self._reload = reload
        self._promotions = promotions

    async def promote(self, request: Request) -> Response:
        return await self._promotions.handle(request)

    async def snapshot(self, request: Request) -> Response:
        snapshot = await snapshot_now(self._snapshot_of, stream_of(request, self._present))
        return await sent(request, snapshot.to_bytes, "application/json")

    async def reload(self, request: Request) -> Response:
        if self._reload is None:
            raise Problem(403, "reloading over HTTP is off; start with --web.enable-lifecycle, or send SIGHUP")
        if fault := await self._reload():
            raise Problem(500, f"the configuration was not loaded, the old one stays: {fault}")
        return PlainTextResponse("")


def web_app(pages: Pages) -> Starlette:
    """What the world may see."""
    return _app([*_probes(pages)])


class Api(Starlette):
    """Posts of records are many: they go past Starlette's layers and routes, straight to their handler."""

    def __init__(self, ingest: Ingest, routes: list[Route]) -> None:
        super().__init__(routes=routes, exception_handlers=HANDLERS)
        self._ingest = ingest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = scope["path"].removeprefix(INGEST)
        if scope["method"] != "POST" or stream == scope["path"] or not stream or "/" in stream:
            await super().__call__(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            answer = await self._ingest.taken(request, stream)
        except Problem as fault:
            answer = await answer_problem(request, fault)
        await answer(scope, receive, send)


def api_app(pages: Pages, actions: Actions, ingest: Ingest, site: Site) -> Starlette:
    """Everything."""
    return Api(
        ingest,
        [
            Route(f"{INGEST}{{stream}}", ingest.handle, methods=["POST", "HEAD"]),
            *site.routes(),
            *_probes(pages),
            Route("/-/reload", actions.reload, methods=["POST", "PUT"]),
            Route("/openapi.json", pages.openapi),
            Route("/api/v1/report", pages.report),
            Route("/api/v1/alerts", pages.alerts),
            Route("/api/v1/streams/{stream}/features/{feature:path}", pages.feature),
            Route("/api/v1/streams/{stream}/snapshot", actions.snapshot),
            Route("/api/v1/streams/{stream}/reference/promote", actions.promote, methods=["POST"]),
        ],
    )


def _probes(pages: Pages) -> Iterator[Route]:
    yield Route("/metrics", pages.metrics)
    yield Route("/-/healthy", pages.healthy)
    yield Route("/-/ready", pages.ready)


def _app(routes: list[Route]) -> Starlette:
    return Starlette(routes=routes, exception_handlers=HANDLERS)


async def _json(request: Request, make: Callable[..., Mapping[str, Any]], *arguments: Any) -> Response:
    return await sent(request, lambda: json.to_bytes(make(*arguments)), "application/json")
