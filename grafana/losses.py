"""Losses: how well predictions met their labels, of a log_loss feature, and how the labels fare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from grafana.panels import Panel, Target, series
from grafana.queries import RATE, Scope

SCOPE: Final = Scope(("segment",), ("stream", "feature", "window"))
LABELLED: Final = SCOPE.of("labelled_observations")
OVER_ALL: Final = (
    "Over the chosen instances, each by its labelled observations: that is the mean of all rows together; its bounds "
    "are wider than they need be, choose one instance to see its own."
)


def rows() -> list[Panel]:
    return [loss(), gap(), accuracy(), labels(), ages()]


def mean(name: str) -> str:
    """Means of rows over instances are weighted by the rows."""
    return f"sum({SCOPE.of(name)} * {LABELLED}) / (sum({LABELLED}) > 0)"


def loss() -> Panel:
    styles = {
        "log loss": {**_colour("blue"), "custom.lineWidth": 2},
        "entropy of the predictions": {
            **_colour("green"),
            "custom.lineStyle": {"dash": [8, 6], "fill": "dash"},
            "custom.fillOpacity": 0,
        },
        **_band("light-blue"),
    }
    return series(
        "Log loss and entropy of the predictions",
        f"The mean of -ln p(label) of a log_loss feature, and what it would be of a calibrated model. {OVER_ALL}",
        [
            Target(mean("log_loss_nats"), "log loss"),
            Target(mean("prediction_entropy_nats"), "entropy of the predictions"),
            Target(mean("log_loss_lower_bound_nats"), "lower bound"),
            Target(mean("log_loss_upper_bound_nats"), "upper bound"),
        ],
        "short", 14, 10, styles, low=0,
    )  # fmt: skip


def gap() -> Panel:
    return series(
        "Calibration gap",
        "Log loss less entropy of the predictions. While the band lies above 0 the model is surer than it should be, "
        "below 0 less sure.",
        [
            Target(mean("calibration_gap_nats"), "gap"),
            Target(mean("calibration_gap_lower_bound_nats"), "lower bound"),
            Target(mean("calibration_gap_upper_bound_nats"), "upper bound"),
        ],
        "short", 10, 10, {"gap": {**_colour("orange"), "custom.lineWidth": 2}, **_band("light-orange")},
    )  # fmt: skip


def accuracy() -> Panel:
    return series(
        "Accuracy",
        "Share of the labels that were the likeliest class, over the chosen instances.",
        [Target(mean("accuracy_ratio"), "accuracy")],
        "percentunit", 8, 9, low=0, high=1,
    )  # fmt: skip


def labels() -> Panel:
    right = {name: {"custom.axisPlacement": "right"} for name in ("waiting", "labelled, in the window")}
    return series(
        "Labels by outcome",
        "Per second, of a stream whose labels come later; waiting are the predictions that have none yet.",
        [
            Target(f"sum by (outcome) ({SCOPE.rate('labels_total')})", "{{outcome}}"),
            Target(f"sum({SCOPE.of('labels_waiting')})", "waiting"),
            Target(f"sum({LABELLED})", "labelled, in the window"),
        ],
        "short", 8, 9, right, low=0,
    )  # fmt: skip


def ages() -> Panel:
    by_bucket = f"sum by (le) (rate({SCOPE.buckets('label_age_seconds')}[{RATE}]))"
    shares = {"median": 0.5, "99 %": 0.99}
    return series(
        "Age of labels",
        "Time of a label less that of its prediction. Gaps: none came.",
        [Target(f"histogram_quantile({share}, {by_bucket}) >= 0", words) for words, share in shares.items()],
        "s", 8, 9, low=0,
    )  # fmt: skip


def _band(colour: str) -> Mapping[str, Mapping[str, Any]]:
    lower = {**_colour(colour), "custom.lineWidth": 0, "custom.fillOpacity": 0}
    return {
        "lower bound": lower,
        "upper bound": {**lower, "custom.fillBelowTo": "lower bound", "custom.fillOpacity": 18},
    }


def _colour(name: str) -> Mapping[str, Any]:
    return {"color": {"mode": "fixed", "fixedColor": name}}
