"""Budget: the most memory the daemon should ever need, added up from the bounds that are in force.

Law: every term is a bound of the configuration times what a byte of it costs; nothing in it is measured while it
runs, so memory above the budget is a leak or a hole in the bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from driftmon.daemon.settings import KIB, MIB, Limits
from driftmon.monitor.panes import PANES
from driftmon.monitor.report import Report

PROCESS: Final = 96 * MIB  # interpreter, numpy, scipy: 72 MiB; and holes in the heap
READ: Final = 64 * KIB  # of each connection, before anybody asked for it
PARSED: Final = 25  # bytes of objects for a byte of JSON, at worst
JOURNAL: Final = 8 * MIB  # of the store: page cache, and what waits for a commit
CELL: Final = 8  # int64
COPIES: Final = 2  # of all panes: those that count, and those being saved or built by a reload


def parts(limits: Limits, reports: Iterable[Report]) -> Mapping[str, int]:
    """Bytes by what they are for; their sum is the budget."""
    reports = list(reports)
    labels = sum(report.labels.most_bytes for report in reports if report.labels is not None)
    return {
        "process": PROCESS,
        "connections": limits.connections * (limits.header_bytes + READ),
        "bodies": limits.inflight_bytes,
        "mailbox": max(limits.mailbox_bytes, limits.decompressed_bytes),
        "parser": PARSED * limits.array_bytes,
        "panes": COPIES * sum(map(_panes, reports)),
        "journal": JOURNAL,
        **({"labels": COPIES * labels} if labels else {}),
    }


def _panes(report: Report) -> int:
    """Of one stream: a vector of all its bins for each pane of each window."""
    return CELL * report.schema.state_width * PANES * len(report.windows)
