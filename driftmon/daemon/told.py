"""Told: how many notifications each sink was given, and how many of them failed.

Law: counters only grow, over reloads and restarts too; a sink that is new begins at zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from driftmon.daemon.counter_rows import Counter as Total
from driftmon.daemon.counter_rows import Counters
from driftmon.render.catalogue import METRICS
from driftmon.render.openmetrics import Family


class Told:
    """By sink.

    >>> told = Told(["hook"]); told.sent["hook"] += 2
    >>> told.totals()
    {('', 'sent', ('hook',)): 2, ('', 'failed', ('hook',)): 0}
    """

    def __init__(self, sinks: Iterable[str]) -> None:
        self.sent: Counter[str] = Counter(dict.fromkeys(sinks, 0))
        self.failed: Counter[str] = Counter(dict.fromkeys(self.sent, 0))

    def succeed(self, old: Told) -> None:
        """After a reload."""
        for sink in self.sent.keys() & old.sent.keys():
            self.sent[sink], self.failed[sink] = old.sent[sink], old.failed[sink]

    def families(self) -> Iterator[Family]:
        """The two counters of notifications."""
        for name, counter in (("total", self.sent), ("failed_total", self.failed)):
            metric = METRICS[f"driftmon_alert_notifications_{name}"]
            yield Family(metric, [((sink,), float(count)) for sink, count in sorted(counter.items())])

    def totals(self) -> dict[Total, int]:
        """The same by name and sink, of no stream, for the store; from the pump's thread."""
        counters = {"sent": dict(self.sent), "failed": dict(self.failed)}
        return {("", name, (sink,)): times for name, counter in counters.items() for sink, times in counter.items()}

    def restore(self, totals: Counters) -> None:
        """Go on where an earlier process stopped, for sinks there still are."""
        for name, counter in (("sent", self.sent), ("failed", self.failed)):
            for sink in counter:
                counter[sink] += totals.get(("", name, (sink,)), 0)
