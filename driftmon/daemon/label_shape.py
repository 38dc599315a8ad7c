"""The keys of `labels`: how predictions and labels in records of their own find each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from driftmon.daemon.faults import KeyFault
from driftmon.daemon.settings import doc
from driftmon.monitor.delayed import Waits
from driftmon.monitor.scoring import LOG_LOSS

if TYPE_CHECKING:
    from driftmon.daemon.shapes import StreamShape


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsShape:
    """A record with a probability and no label waits for one with its label and no probability, in either order."""

    id: str = doc("Path of what both records have in common.", example="id: request_id")
    wait_ms: int = doc(
        "How long one waits for the other, and for how long an id is known for a duplicate.", 86_400_000, least=1000
    )
    entries: int = doc(
        "Ids kept at most; at the bound the oldest goes early and is counted.", 1_000_000, least=1, most=1_000_000_000
    )
    time: Literal["label", "prediction"] = doc(
        "At whose time a loss is counted. prediction: `time.lateness` must be as long as labels take.", "label"
    )

    def waits(self) -> Waits:
        return Waits(self.id, self.wait_ms, self.entries, self.time)


def check_labels(shape: StreamShape) -> None:
    """Whether the stream has what they need."""
    assert shape.labels is not None
    if not any(spec.kind == LOG_LOSS for spec in shape.specs()):
        cure = "add one, such as outcome: {type: log_loss, probability: p, label: y}"
        raise KeyFault("labels", "there is no log_loss feature to score with them", cure)
    if shape.overload == "sample":
        raise KeyFault("overload", "a thinned stream loses one of the two records that belong together", "use block")
    if getattr(shape.reference.options, "observations", None) is not None:
        cure = "build it from records that have both: type: file, and `driftmon reference build`"
        raise KeyFault("reference", "a reference is not gathered from records that wait for their labels", cure)
    if shape.labels.time == "prediction" and shape.time is None:
        raise KeyFault(("labels", "time"), "records have no time of their own here", "add `time`, or use label")
