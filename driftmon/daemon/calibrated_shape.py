"""The keys of `calibrated`: how large a drift must be, and how rarely it may be cried without one.

Law: the budget holds for all features of all streams together, however often anyone looks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from driftmon.daemon.faults import KeyFault
from driftmon.daemon.settings import doc
from driftmon.daemon.units import DURATION, milliseconds
from driftmon.monitor.rules import Calibrated

EFFECTS: Final[Mapping[str, float]] = {"small": 0.02, "medium": 0.1, "large": 0.3}
BUDGET: Final = rf"[1-9][0-9]{{0,5}}/(?=.){DURATION}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedShape:
    """An alarm by evidence, within a budget of false ones, and by the size of the drift."""

    effect: float = doc(
        "Least KL(Q||P), or rise of the mean, worth an alarm, in nats; small, medium, large are 0.02, 0.1, 0.3.",
        EFFECTS["small"],
        above=0,
        words=EFFECTS,
    )
    false_alarms: str = doc(
        "How many false alarms in how long, over all features of all streams together.",
        example='false_alarms: "1/30d"',
        pattern=BUDGET,
    )
    mean: Literal["surprisal", "log_loss"] | None = doc(
        "Instead of the divergence, the rise of a mean above the reference's: surprisal, -ln p(x) of any feature, "
        "or log_loss, of log_loss features only.",
        None,
    )
    pane_ms: int | None = doc(
        "How often evidence is weighed; by default the shortest multiple of the windows' shortest pane of a minute "
        "or more.",
        None,
        least=1000,
    )

    def __post_init__(self) -> None:
        if not self.budget_ms:
            raise KeyFault(
                "false_alarms",
                f'must be a number of alarms in a time, is "{self.false_alarms}"',
                'write it like "1/30d"',
            )

    @property
    def budget_ms(self) -> int:
        """Mean time between false alarms; 0 where the text does not say one."""
        if not re.fullmatch(BUDGET, self.false_alarms):
            return 0
        count, _, time = self.false_alarms.partition("/")
        return (milliseconds(time) or 0) // int(count)

    def calibrated(self) -> Calibrated:
        return Calibrated(self.effect, self.budget_ms, self.pane_ms, self.mean or "")
