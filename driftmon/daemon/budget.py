"""Budget: the most memory the daemon should ever need, added up from the bounds that are in force.

Law: every term is a bound of the configuration times what a byte of it costs; nothing in it is measured while it
runs, so memory above the budget is a leak or a hole in the bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from driftmon.daemon.ahead import AHEAD_BYTES
from driftmon.daemon.repeats import ENTRY_BYTES, KEYS
from driftmon.daemon.settings import KIB, MIB, Config
from driftmon.monitor.panes import PANES
from driftmon.monitor.report import Report
from driftmon.stats.evidence import PANES as LONGEST_LAG

PROCESS: Final = 96 * MIB  # interpreter, numpy, the web server: 60 MiB; pages once looked at; and holes in the heap
READ: Final = 64 * KIB  # of each connection, before anybody asked for it
PARSED: Final = 25  # bytes of objects for a byte of JSON, at worst
JOURNAL: Final = 8 * MIB  # of the store: page cache, and what waits for a commit
CELL: Final = 8  # int64
VALUE: Final = 32  # a float in a list
SERIES: Final = KIB  # of /metrics: a line in both formats, what its value stands behind, and what rendering takes
COPIES: Final = 2  # of all panes: those that count, and those being saved or built by a reload


def parts(config: Config, reports: Mapping[str, Report]) -> Mapping[str, int]:
    """Bytes by what they are for; their sum is the budget. `reports` by stream."""
    limits = config.limits
    labels = sum(report.labels.most_bytes for report in reports.values() if report.labels is not None)
    return {
        "process": PROCESS,
        "connections": limits.connections * (limits.header_bytes + READ),
        "bodies": limits.inflight_bytes,
        "mailbox": max(limits.mailbox_bytes, limits.decompressed_bytes),
        "counting": limits.decompressed_bytes,
        "parser": PARSED * limits.array_bytes + AHEAD_BYTES,
        "keys": KEYS * ENTRY_BYTES,
        "panes": COPIES * sum(_panes(report, *_kept(config, name)) for name, report in reports.items()),
        "journal": JOURNAL,
        "exposition": SERIES * limits.series,
        "detectors": COPIES * sum(map(_detectors, reports.values())),
        **({"labels": COPIES * labels} if labels else {}),
    }


def _panes(report: Report, history: int, thinned: bool) -> int:
    """Of one stream: a vector of all its bins for each pane of each window, of evidence, and of a past that is P.

    Another stands beside each where rows may be thinned.
    """
    panes = PANES * len(report.windows) + history
    if any(rule.calibrated is not None for rule in report.rules):
        panes += LONGEST_LAG + 1
    return CELL * report.schema.state_width * panes * (2 if thinned else 1)


def _kept(config: Config, name: str) -> tuple[int, bool]:
    """Panes kept for a trailing reference, and whether rows may stand for several; (0, False) just after a reload."""
    if (settings := config.streams.get(name)) is None:
        return 0, False
    wanted, history = settings.reference, 0
    if wanted.type == "trailing":
        history = PANES + 1 + -(-wanted.lag_ms * PANES // wanted.length_ms)
    return history, settings.overload == "sample"


def _detectors(report: Report) -> int:
    """Of one stream: the values that detectors of others are fed again."""
    windows = [window.name for window in report.windows]
    return sum(
        VALUE * rule.detector.memory
        for rule in report.rules
        for feature in report.schema.features
        if rule.detector is not None
        and rule.judges(feature.kind)
        and any(rule.watches(report.stream, feature.name, window) for window in windows)
    )
