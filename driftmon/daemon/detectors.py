"""Detectors: the keys of `detector`, and what they name in river.

Law: a name is looked up among river's own detectors and nowhere else; nothing is imported by it. River itself is
imported when a configuration has such a rule, and not before.
"""
# ruff: noqa: RUF009  doc() is dataclasses.field

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from driftmon.daemon.faults import KeyFault, nearest
from driftmon.daemon.settings import doc
from driftmon.monitor.rules import Detector, Series

DRIFT: Final = ("ADWIN", "KSWIN", "PageHinkley")
BINARY: Final = ("DDM", "EDDM", "FHDDM", "HDDM_A", "HDDM_W")  # of errors: 0 or 1
MODULES: Final[Mapping[str, str]] = dict.fromkeys(DRIFT, "river.drift") | dict.fromkeys(BINARY, "river.drift.binary")
KINDS: Final[Mapping[tuple[Series, bool], tuple[str, ...] | None]] = {
    ("value", False): ("numeric",),
    ("value", True): ("boolean",),
    ("surprisal", False): None,
    ("log_loss", False): ("log_loss",),
    ("error", False): ("log_loss",),
    ("error", True): ("log_loss",),
}
SEED: Final = 0  # of those that draw by chance, so that a restart draws the same
MOST: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorShape:
    """A drift detector of river, one of its own for each feature. Its false alarms are its own."""

    river: str = doc(
        f"Which: {', '.join(DRIFT)}, or of errors and booleans {', '.join(BINARY)}.", example="river: ADWIN"
    )
    params: Mapping[str, object] | None = doc("Its parameters, by river's names.", None)
    of: Series = doc(
        "value: the numbers, in the order they came. surprisal: of each row -ln of its bin's share of the reference. "
        "log_loss and error, of log_loss features: the loss of each prediction, or 1 where it was wrong.",
        "value",
    )
    memory: int = doc(
        "Values since the last flag that a restart feeds to it again; of a longer stretch the last ones.",
        2000,
        least=1,
        most=MOST,
    )
    hold_ms: int | None = doc(
        "How long a flag counts as a breach; by default as long as the window.", None, least=1, example="hold: 10m"
    )

    def __post_init__(self) -> None:
        if self.river not in MODULES:
            raise KeyFault("river", f"{self.river} is no detector of river's", nearest(self.river, MODULES))
        if (self.of, self.river in BINARY) not in KINDS:
            cure = f"use of: error with a log_loss feature, of: value with a boolean one, or one of {', '.join(DRIFT)}"
            raise KeyFault("of", f"{self.river} takes errors, 0 or 1, and {self.of} is none", cure)
        known = inspect.signature(_class(self.river)).parameters
        for name, value in (self.params or {}).items():
            _check(name, value, known)
        try:
            made(self.detector())
        except (ValueError, TypeError, OverflowError, ZeroDivisionError) as fault:
            raise KeyFault("params", f"{self.river} says: {fault}", "correct it") from None
        longest = self.detector().params.get("window_size", 0)
        if isinstance(longest, int) and longest > self.memory:
            raise KeyFault(
                "memory", f"{self.memory} values do not fill a window of {longest}", f"use {longest} or more"
            )

    def detector(self) -> Detector:
        params: Mapping[str, Any] = self.params or {}
        return Detector(
            self.river, dict(params), self.of, self.memory, self.hold_ms, KINDS[self.of, self.river in BINARY]
        )


def made(detector: Detector) -> Any:
    """A fresh one."""
    found = _class(detector.river)
    seed = {"seed": SEED} if "seed" in inspect.signature(found).parameters else {}
    return found(**{**seed, **detector.params})


def _class(name: str) -> Any:
    """HDDM_A is HDDMA since river 0.26."""
    module = importlib.import_module(MODULES[name])
    return getattr(module, name if hasattr(module, name) else name.replace("_", ""))


def _check(name: str, value: object, known: Mapping[str, inspect.Parameter]) -> None:
    """A parameter that river has, of the type of its default; what has none is a whole number or is not settable."""
    settable = {key: type(parameter.default) for key, parameter in known.items() if key != "window"}
    if name not in settable:
        raise KeyFault(("params", name), f"is none of {', '.join(settable)}", nearest(name, settable))
    wanted = int if settable[name] is type(None) else settable[name]
    if type(value) is not wanted and not (wanted is float and type(value) is int):
        words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
        raise KeyFault(("params", name), f"must be {words[wanted]}, is {value!r}", f"write {words[wanted]}")
