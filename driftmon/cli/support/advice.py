"""Advice on size: how much data makes an effect stand out from noise, and what fewer bins would do for thin traffic.

Law: it says what the engine will do: the same overdispersion, the same error of the reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import click
import numpy as np

from driftmon.daemon.calibrated_shape import EFFECTS
from driftmon.monitor.snapshot import Snapshot
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.schema import Feature
from driftmon.stats.sizing import FEWER_BINS, live_needed, reference_needed

BLOCKS: Final[Mapping[str, str]] = {
    "time": "measured on stretches of time",
    "rows": "measured on rows in the order they came; shuffled rows hide dependence",
    "": "unknown, there are too few blocks to measure it; rows are taken for independent",
}


def effect_nats(context: click.Context, option: click.Parameter, value: str) -> float:
    """The number of nats that a word or a number says; a usage error for anything else."""
    try:
        nats = EFFECTS[value] if value in EFFECTS else float(value)
    except ValueError:
        nats = 0.0
    if not 0 < nats < np.inf:
        raise click.BadParameter(f"{value!r} is none; use small, medium, large, or a number of nats above 0")
    return nats


@dataclass(frozen=True, slots=True)
class Need:
    """For so many regular bins: n of the reference, and N of a window; None: no N will do with so small an n."""

    bins: int
    reference: int
    window: int | None


@dataclass(frozen=True, slots=True)
class Advice:
    """Of one feature: what its bins need, what fewer would, and what to say of it."""

    feature: Feature
    observations: int
    effect: float
    overdispersion: float
    needs: tuple[Need, ...]  # that of the present bins first
    thin: int | None  # how many observations a window is said to have

    def as_dict(self) -> dict[str, Any]:
        first, *fewer = [_need_dict(need) for need in self.needs]
        return {
            "overdispersion_ratio": round(self.overdispersion, 3),
            "effect_nats": self.effect,
            **first,
            **({"with_fewer_bins": fewer} if fewer else {}),
            "advice": "; ".join(self.sentences()),
        }

    def sentences(self) -> Iterator[str]:
        now = self.needs[0]
        if self.observations < now.reference:
            yield f"few: {self.effect:g} nats want a reference of {now.reference} observations"
        else:
            yield f"enough for {self.effect:g} nats, they want {now.reference}"
        yield self._window()

    def _window(self) -> str:
        now, fewer = self.needs[0], self.needs[1:]
        if self.thin is None:
            others = ", ".join(f"{need.window} with {need.bins} bins" for need in fewer if need.window is not None)
            return f"a window wants {_many(now.window)} with its {now.bins} bins" + (f", {others}" if others else "")
        if now.window is not None and self.thin >= now.window:
            return f"{self.thin} in a window are enough, it wants {now.window}"
        short = f"{self.thin} in a window are too few for {now.bins} bins, which want {_many(now.window)}"
        best = next((need for need in fewer if need.window is not None and self.thin >= need.window), None)
        if best is not None:
            key = "top" if self.feature.kind == "categorical" else "bins"
            return f"{short}: use {key}: {best.bins}, then {best.window} will do"
        return f"{short}: use a longer window" + ("" if now.window is not None else " and a larger reference")


def advice(snapshot: Snapshot, effect: float, window_observations: int | None) -> list[Advice]:
    """Of every feature, in order."""
    schema, found = snapshot.schema, snapshot.measured_dispersion()
    phi = found.ratio
    totals = schema.totals(snapshot.counts.astype(np.float64))
    told = []
    for index, feature in enumerate(schema.features):
        needs = tuple(
            _need(feature, bins, effect, Sample(found, index, float(totals[index]))) for bins in _bins(feature)
        )
        told.append(Advice(feature, int(totals[index]), effect, float(phi[index]), needs, window_observations))
    return told


@dataclass(frozen=True, slots=True)
class Sample:
    """One feature of a reference: n, and phi of so many observations."""

    dispersion: Dispersion
    feature: int
    total: float

    def phi_at(self, observations: float) -> float:
        everywhere = np.full(self.dispersion.average.shape[1], observations)
        return float(self.dispersion.average_at(everywhere)[self.feature])


def dispersion_told(snapshot: Snapshot) -> str:
    """What the overdispersion was measured on."""
    return BLOCKS[snapshot.dispersion.get("by", "")]


def _bins(feature: Feature) -> list[int]:
    """The present number of regular bins, then those to think of instead."""
    now = feature.binning.regular
    return [now, *(bins for bins in FEWER_BINS if bins < now and feature.kind != "boolean")]


def _need(feature: Feature, bins: int, effect: float, sample: Sample) -> Need:
    size = np.array([float(bins + feature.binning.size - feature.binning.regular)])
    reference = reference_needed(size, effect, np.array([sample.phi_at(np.inf)]))
    window, phi = 0.0, 1.0
    while (wider := float(live_needed(size, effect, np.array([phi]), np.array([sample.total]))[0])) > window:
        window, phi = wider, sample.phi_at(wider)  # a longer window is more dependent, and so wants more again
    return Need(bins, int(reference[0]), int(window) if np.isfinite(window) else None)


def _need_dict(need: Need) -> dict[str, int]:
    window = {} if need.window is None else {"window_observations_needed": need.window}
    return {"regular_bins": need.bins, "reference_observations_needed": need.reference, **window}


def _many(window: int | None) -> str:
    return "more than this reference can ever give" if window is None else str(window)
