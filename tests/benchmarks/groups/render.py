"""Render: a tick of many features, and a report as the text that Prometheus reads."""

from __future__ import annotations

from tests.benchmarks.checks import same, untold
from tests.benchmarks.data import data_of
from tests.benchmarks.engine import Contender, Contest, compare
from tests.benchmarks.rows import Row
from tests.benchmarks.sizes import FULL, Size

TICKS_MS = {1_000: 2.0, 10_000: 20.0}
SERIES = 10_000


def rows(size: Size) -> list[Row]:
    data, short = data_of(size.live_rows, size.reference_rows), size is not FULL
    found = []
    for features, most_ms in TICKS_MS.items():
        ours = Contender("driftmon", "ours_render", "tick", arguments={"features": 20 if short else features})
        work = f"a tick of {features:,} features, every divergence, default rules"
        contest = Contest(work, ours, (), data, "ms", untold, size.rounds, size.warm_ups, ("<=", most_ms))
        found += compare(contest, "render")
    arguments = {"series": 100 if short else SERIES}
    ours = Contender("driftmon", "ours_render", "text", arguments=arguments)
    others = [(Contender("prometheus_client: generate_latest", "prometheus_peer", "text", arguments=arguments), 10.0)]
    work = f"a new report of {SERIES:,} series as text"
    return found + compare(Contest(work, ours, others, data, "ms", same, size.rounds, size.warm_ups), "render")
