"""One drift for all tests of dashboards: two daemons, scraped by a real Prometheus while their data change."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.grafana.viewer import Viewer
from tests.grafana.world import (
    BROKEN,
    CORE,
    EVERYTHING,
    FRAUD,
    LATE,
    MINUTE_MS,
    STREAMS,
    Daemon,
    Weather,
    daemon,
    orders,
    prometheus,
    rows,
)
from tests.servers.helpers import query, require, until

STORMY = Weather(dearer=1.2, slower=0.8, abroad=0.3, broken=0.1)


@dataclass(frozen=True)
class World:
    """Where Prometheus is, and the daemons: `whole` exports everything, `core` what is the default."""

    url: str
    whole: Daemon
    core: Daemon
    viewer: Viewer


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An hour of quiet data, then drift while Prometheus looks on."""
    require("prometheus")
    folders = [tmp_path_factory.mktemp(name) for name in ("whole", "core", "prometheus")]
    with daemon(folders[0], EVERYTHING) as whole, daemon(folders[1], CORE) as core:
        now_ms = int(time.time() * 1000)
        begun_ms, turned_ms = now_ms - 70 * MINUTE_MS, now_ms - 8 * MINUTE_MS
        both = [(one, stream, at) for at, one in enumerate((whole, core)) for stream in STREAMS]
        for one, stream, at in both:
            one.send(stream, rows(stream, 6000, 10 + at), begun_ms, turned_ms, BROKEN)
        for one in (whole, core):
            one.send(FRAUD, orders(4000, 3, "a"), begun_ms, turned_ms)
        with prometheus(folders[2], [whole.web, core.web]) as url:
            started = time.time()
            _seen(url, "count(driftmon_feature_status_code) == 18")
            for one, stream, at in both:
                one.send(stream, rows(stream, 8000, 20 + at, STORMY), turned_ms, now_ms, f"{LATE}\n{BROKEN}")
            for one in (whole, core):
                one.send(FRAUD, orders(2000, 4, "b"), turned_ms, now_ms)
            _seen(url, 'count(driftmon_feature_status_code{feature="amount"} == 2) == 2')
            # What the rates need is a second old, so that every step of the range has it.
            _seen(url, "count(rate(driftmon_alert_notifications_total[4s] offset 1s) > 0) == 2")
            matched = sum("y" in one for one in (*orders(4000, 3, "a"), *orders(2000, 4, "b")))
            _seen(url, f'count(driftmon_labels_total{{outcome="matched"}} offset 1s == {matched}) == 2')
            yield World(url, whole, core, Viewer(url, started, time.time(), 1.0, "4s"))


def _seen(url: str, expression: str) -> None:
    until(expression, lambda: query(url, expression))


@pytest.fixture(scope="session")
def dashboards() -> Sequence[Path]:
    return sorted((Path(__file__).parents[2] / "grafana" / "dashboards").glob("*.json"))
