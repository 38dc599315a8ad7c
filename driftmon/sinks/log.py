"""The default sink: each firing and each resolve is one line in the daemon's own log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from driftmon.render.notice import Notice

TOLD = ("features", "value", "reference_value", "noise_floor", "lower_bound", "evidence")
LEVELS = {"firing": logging.WARNING, "resolved": logging.INFO}


@dataclass(frozen=True)
class Options:
    """Nothing to set."""


class Sink:
    """Labels and what was measured; not `top_bins`, for a log holds no values of features."""

    resends = False

    def __init__(self, options: Options) -> None:
        self._log = logging.getLogger("driftmon.alerts")

    async def send(self, alerts: Sequence[Notice], now_ms: int) -> None:
        for notice in alerts:
            told = {name: notice.annotations[name] for name in TOLD if name in notice.annotations}
            labels = " ".join(f"{name}={text}" for name, text in {**notice.labels, **told}.items())
            self._log.log(LEVELS[notice.status], "alert %s: %s", notice.status, labels)

    async def close(self) -> None:
        """Nothing is held open."""
