"""Present: what is true now, for those who answer requests.

Law: it belongs to the event loop; each field is replaced as a whole, so a reader needs no lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from driftmon.daemon.budget import parts
from driftmon.daemon.settings import Config
from driftmon.daemon.telemetry import gauge
from driftmon.monitor.history import History
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Change
from driftmon.render.openmetrics import Family

MOST_ENDED: Final = 50


class Present(Struct):
    """`reports` holds the latest of each stream; `draining` once SIGTERM came.

    `histories` are the last evaluations of each stream, `ended` the alerts resolved lately, newest first.
    """

    config: Config
    ephemeral: bool
    loaded_ms: int
    load_succeeded: bool = True
    draining: bool = False
    reports: Mapping[str, Report] = {}
    histories: Mapping[str, History] = {}
    ended: tuple[Change, ...] = ()
    started_ms: int = 0
    disk_full: bool = False

    def take(self, reports: Mapping[str, Report]) -> None:
        """Newer reports of some streams."""
        self.reports = {**self.reports, **reports}
        longer = {name: self.histories.get(name, History()).after(report) for name, report in reports.items()}
        self.histories = {**self.histories, **longer}
        ended = [one for report in reports.values() for one in report.changes if one.event == "resolved"]
        self.ended = (*reversed(ended), *self.ended)[:MOST_ENDED]

    def forget(self, streams: Mapping[str, object]) -> None:
        """Keep nothing of streams that are not among these."""
        self.reports = {name: report for name, report in self.reports.items() if name in streams}
        self.histories = {name: history for name, history in self.histories.items() if name in streams}

    @property
    def unready(self) -> str:
        """Why the daemon is not ready, in words; empty when it is."""
        if self.draining:
            return "draining"
        waiting = sorted(self.config.streams.keys() - self.reports.keys())
        return f"starting: no report yet of {', '.join(waiting)}" if waiting else ""

    def families(self) -> Iterator[Family]:
        yield gauge("storage_ephemeral", self.ephemeral)
        yield gauge("memory_budget_bytes", sum(parts(self.config, self.reports).values()))
        yield gauge("config_last_reload_successful", self.load_succeeded)
        yield gauge("config_last_reload_success_timestamp_seconds", self.loaded_ms / 1000)
