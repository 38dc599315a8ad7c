"""Alertmanager's v2 API: the present state of every alert, again and again, to one Alertmanager.

Law: one bad alert costs only itself. Alertmanager answers 400 to the whole batch, so a refused
batch is halved until the bad ones stand alone. Name each member of a cluster as a sink of its
own: they must all be told, and load balancing between them loses alerts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from driftmon.outward.login import Login
from driftmon.render.alertmanager import bad_label_name, v2_alert
from driftmon.render.notice import Notice
from driftmon.sinks.base import Reject, Retry, checked_endpoint, client, post

POISON_STATUS = (400, 422)  # about the content, so a part of the batch may pass; 401 or 404 is about all of it


@dataclass(frozen=True)
class Options(Login):
    """Which Alertmanager, and with what credentials."""

    endpoint: str = field(
        metadata={"doc": "Base URL of one Alertmanager, http://host:9093; one sink per cluster member."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_endpoint(self.endpoint)


class Sink:
    """Alertmanager keeps alerts in memory only and drops those nobody repeats: `resends`."""

    resends = True

    def __init__(self, options: Options) -> None:
        self._options = options
        self._url = options.endpoint.rstrip("/") + "/api/v2/alerts"
        self._http = client(options)

    async def send(self, alerts: Sequence[Notice], now_ms: int) -> None:
        refused = [notice for notice in alerts if bad_label_name(notice) is not None]
        good = [notice for notice in alerts if bad_label_name(notice) is None]
        reason = f"Alertmanager takes no label named {bad_label_name(refused[0])!r}" if refused else ""
        try:
            await self._post(good, now_ms)
        except Reject as rejected:
            bad = await self._bisect(good, now_ms)
            reason, refused = (str(rejected) if bad else reason), refused + bad
        if refused:
            raise Reject(reason, refused)

    async def close(self) -> None:
        await self._http.aclose()

    async def _bisect(self, refused: Sequence[Notice], now_ms: int) -> list[Notice]:
        """The bad ones of a refused batch; the good ones are sent on the way. log2(n) requests for each bad one."""
        if len(refused) == 1:
            return list(refused)
        bad: list[Notice] = []
        for half in (refused[: len(refused) // 2], refused[len(refused) // 2 :]):
            try:
                await self._post(half, now_ms)
            except Reject:
                bad += await self._bisect(half, now_ms)
        return bad

    async def _post(self, alerts: Sequence[Notice], now_ms: int) -> None:
        """Reject only where the alerts are to blame; a wrong token or path is mended while they go on firing: Retry."""
        if not alerts:
            return
        body = json.dumps([v2_alert(notice, now_ms) for notice in alerts]).encode()
        try:
            await post(self._http, self._url, body, {}, self._options)
        except Reject as rejected:
            if rejected.status in POISON_STATUS:
                raise
            raise Retry(str(rejected)) from None
