"""Render: a tick of many features, and a report as the text that Prometheus reads."""

from __future__ import annotations

from tests.benchmarks.checks import same, untold
from tests.benchmarks.data import data_of
from tests.benchmarks.engine import Contender, Contest
from tests.benchmarks.sizes import FULL, Size

TICKS_MS = {1_000: 2.0, 10_000: 20.0}
SERIES = 10_000


def contests(size: Size) -> list[Contest]:
    data, short = data_of(size.live_rows, size.reference_rows), size is not FULL
    found = []
    for features, most_ms in TICKS_MS.items():
        ours = Contender(
            "driftmon", "contenders/ours_render", "tick", arguments={"features": 20 if short else features}
        )
        work, aim = f"a tick of {features:,} features, every divergence, default rules", ("<=", most_ms)
        found.append(Contest(work, ours, (), data, "ms", untold, size.rounds, size.warm_ups, aim))
    arguments = {"series": 100 if short else SERIES}
    ours = Contender("driftmon", "contenders/ours_render", "text", arguments=arguments)
    others = [
        (Contender("prometheus_client: generate_latest", "contenders/prometheus", "text", arguments=arguments), 10.0)
    ]
    work = f"a new report of {SERIES:,} series as text"
    return [*found, Contest(work, ours, others, data, "ms", same, size.rounds, size.warm_ups)]
