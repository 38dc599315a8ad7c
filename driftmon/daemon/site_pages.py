"""Site pages: what the pages for people show, and how they are sent.

Law: a page is made of the present as it was when it was asked for, and shows no secret; whatever is wrong
with the address is said in a page too, with the status that programs look at.
"""

from __future__ import annotations

import dataclasses
import hashlib
import platform
import time
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from driftmon.daemon.budget import parts
from driftmon.daemon.redaction import redacted
from driftmon.daemon.replies import sent
from driftmon.daemon.site import Shown
from driftmon.daemon.telemetry import release
from driftmon.daemon.vitals import memory_bytes
from driftmon.formats.compression import FREE_BYTES, ZSTD_WINDOW_BYTES
from driftmon.monitor.batch import MAX_ERRORS
from driftmon.monitor.history import History
from driftmon.monitor.report import Report
from driftmon.render import json
from driftmon.render.pages.alerts import Alerts, alerts, firing
from driftmon.render.pages.configuration import configuration
from driftmon.render.pages.feature import FeatureView, feature
from driftmon.render.pages.overview import Facts, Overview, overview
from driftmon.render.pages.ranking import SORTS, Query
from driftmon.render.pages.shell import POLICY, Shell, document, trouble
from driftmon.render.pages.status import StatusView, status
from driftmon.render.status_json import status_json

HTML: Final = "text/html; charset=utf-8"
ASSETS: Final = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8",
                 "icon.svg": "image/svg+xml"}  # fmt: skip
GUARDS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",  # for browsers that know no frame-ancestors
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
REFRESH_S: Final = (2, 60)
MOST_SEARCHED: Final = 128
FIXED: Final = {
    "errors_in_reply": MAX_ERRORS,
    "ratio_free_bytes": FREE_BYTES,
    "zstd_window_bytes": ZSTD_WINDOW_BYTES,
}


class SitePages:
    """The handlers."""

    def __init__(self, shown: Shown) -> None:
        self._present, self._mailbox, self._telemetry = shown.present, shown.mailbox, shown.telemetry
        self._receivers, self._places = shown.receivers, shown.places
        self._storage = shown.storage

    async def overview(self, request: Request) -> Response:
        present, shell = self._present, self._shell(request, "")
        facts = [
            Facts(name, any(source.type == "http" for source in settings.sources))
            for name, settings in present.config.streams.items()
        ]
        view = Overview(facts, present.reports, present.histories, _query(request), shell.as_of_ms, shell.root)
        return await _page(request, lambda: document(shell, "Overview", overview(view)))

    async def feature(self, request: Request) -> Response:
        shell = self._shell(request, "-")
        stream, name = request.path_params["stream"], request.path_params["feature"]
        report = self._present.reports.get(stream)
        if stream not in self._present.config.streams:
            return await self._trouble(request, shell, 404, "No such stream", f"The configuration has no {stream}.")
        if report is None:
            return await self._trouble(request, shell, 503, "Not yet", f"Stream {stream} has no report yet.")
        if name not in report.statuses:
            return await self._trouble(request, shell, 404, "No such feature", f"Stream {stream} has no {name}.")
        view = self._feature_view(report, name, request.query_params.get("window", ""), shell)
        return await _page(request, lambda: document(shell, name, feature(view)))

    def _feature_view(self, report: Report, name: str, window: str, shell: Shell) -> FeatureView:
        history = self._present.histories.get(report.stream, History())
        return FeatureView(report, name, history, window, shell.as_of_ms, shell.root)

    async def alerts(self, request: Request) -> Response:
        shell = self._shell(request, "alerts")
        view = Alerts(self._present.reports, self._present.ended, self._receivers(), shell.root)
        return await _page(request, lambda: document(shell, "Alerts", alerts(view)))

    async def status(self, request: Request) -> Response:
        """A page; JSON to those who ask for it by name."""
        if "application/json" in request.headers.get("accept", "") and "html" not in request.headers["accept"]:
            return await self.status_json(request)
        shell = self._shell(request, "status")
        view = self._status(shell)
        return await _page(request, lambda: document(shell, "Status", status(view)))

    async def status_json(self, request: Request) -> Response:
        view = self._status(self._shell(request, "status"))
        return await sent(request, lambda: json.to_bytes(status_json(view, FIXED)), "application/json")

    def _status(self, shell: Shell) -> StatusView:
        present, telemetry = self._present, self._telemetry
        return StatusView(
            version=shell.version,
            python=platform.python_version(),
            started_ms=present.started_ms,
            now_ms=shell.as_of_ms,
            memory_bytes=memory_bytes(),
            mailbox_bytes=self._mailbox.bytes,
            mailbox_limit_bytes=self._mailbox.limit_bytes,
            storage=self._storage,
            config_file=str(present.config.path),
            loaded_ms=present.loaded_ms,
            load_succeeded=present.load_succeeded,
            unready=present.unready,
            tick_s=telemetry.tick.mean(),
            intake=telemetry.intake(time.monotonic()),
            refusals=telemetry.refusals,
            receivers=self._receivers(),
            limits=dataclasses.asdict(present.config.limits),
            budget=parts(present.config, present.reports),
            connections=len(self._places),
        )

    async def config(self, request: Request) -> Response:
        shell, present = self._shell(request, "config"), self._present
        config, loaded_ms = present.config, present.loaded_ms

        def make() -> str:
            return document(shell, "Configuration", configuration(redacted(config), str(config.path), loaded_ms))

        return await _page(request, make)

    async def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ASSETS:
            shell = self._shell(request, "-")
            return await self._trouble(request, shell, 404, "No such file", f"There is no {name}.")
        tagged = request.query_params.get("v") == _tag()
        kept = {"Cache-Control": "public, max-age=31536000, immutable"} if tagged else {}
        return await sent(request, lambda: _asset(name), ASSETS[name], headers={**GUARDS, **kept})

    async def _trouble(self, request: Request, shell: Shell, code: int, heading: str, detail: str) -> Response:
        return await _page(request, lambda: trouble(shell, code, heading, detail), code)

    def _shell(self, request: Request, here: str) -> Shell:
        present = self._present
        ticks = [stream.tick_ms // 1000 for stream in present.config.streams.values()]
        refresh_s = min(max(min(ticks, default=REFRESH_S[0]), REFRESH_S[0]), REFRESH_S[1])
        now_ms = time.time_ns() // 1_000_000
        return Shell(_root(request), here, firing(present.reports), now_ms, release(), _tag(), refresh_s)


async def _page(request: Request, make: Callable[[], str], code: int = 200) -> Response:
    return await sent(request, lambda: make().encode("utf-8", "replace"), HTML, code, GUARDS)


def _root(request: Request) -> str:
    """The way up to `/` from here: relative, so that a proxy may put driftmon below any path."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return "../" * (raw.partition(b"?")[0].count(b"/") - 1) or "./"


def _query(request: Request) -> Query:
    asked = request.query_params
    sort, page = asked.get("sort", ""), asked.get("page", "")
    return Query(
        asked.get("q", "")[:MOST_SEARCHED],
        asked.get("stream", ""),
        asked.get("status", ""),
        sort if sort in SORTS else "excess",
        int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1,
    )


@cache
def _asset(name: str) -> bytes:
    return files("driftmon.render.pages").joinpath("assets", name).read_bytes()


@cache
def _tag() -> str:
    """Of all assets together: a new release is fetched, an old one never again."""
    return hashlib.sha256(b"".join(_asset(name) for name in ASSETS)).hexdigest()[:12]
