"""Log loss bins: the numeric bins of -ln p(label) in nats, and where a record has probability and label.

Law: what decides a loss is part of the binning's identity, so counts of losses add only where they were scored alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from driftmon.stats.binnings import numeric

# Of each feature, integers that add beside its counts: hi whole 2^32, lo the rest, of units of 2^-40 (losses.py).
TALLIES: Final = ("loss_hi", "loss_lo", "squared_loss_hi", "squared_loss_lo", "entropy_hi", "entropy_lo", "correct")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a prediction and its label are read. `label` and `probability` are paths in a record.

    Binary: `probability` is one number, that of `positive` (None: true, or 1). Else it is a list in the order of
    `classes`, or a map with them as keys; or `fields` has one path for each of them.
    """

    label: str
    probability: str | None = None
    classes: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    positive: str | None = None

    @property
    def binary(self) -> bool:
        """Whether there is one probability, of one class of two."""
        return not self.fields and (not self.classes or self.positive is not None)

    def as_dict(self) -> dict[str, Any]:
        """In JSON; what is not given is left out."""
        given = {"label": self.label, "probability": self.probability, "positive": self.positive}
        lists = {"classes": list(self.classes), "fields": list(self.fields)}
        return {key: value for key, value in {**given, **lists}.items() if value}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Outcome:
        """
        >>> outcome = Outcome("y", "p", ("a", "b"))
        >>> Outcome.from_dict(outcome.as_dict()) == outcome
        True
        """
        classes, fields = (tuple(map(str, entry.get(key, ()))) for key in ("classes", "fields"))
        return cls(str(entry["label"]), entry.get("probability"), classes, fields, entry.get("positive"))


@dataclass(frozen=True)
class Binning(numeric.Binning):
    """
    >>> bins = Binning((0.5, 1.0), Outcome("y", "p"))
    >>> bins.labels(), bins.as_dict()["outcome"]
    (('(-inf, 0.5)', '[0.5, 1)', '[1, inf)', 'invalid', 'missing'), {'label': 'y', 'probability': 'p'})
    """

    outcome: Outcome

    kind = "log_loss"
    tallies: ClassVar[tuple[str, ...]] = TALLIES

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "outcome": self.outcome.as_dict()}
