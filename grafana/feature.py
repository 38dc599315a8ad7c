"""Feature: what changed in one feature of one stream, bin by bin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from grafana import losses
from grafana.panels import PLAIN, QUIET, STATUS_WORDS, SURE, Dashboard, Panel, Target, bars, series, stat, to_page
from grafana.queries import Scope, evidence, status
from grafana.variables import COMMON, PAGE, alerts, one, segment, values

SCOPE: Final = Scope(("segment",), ("stream", "feature", "window"))
STREAMS: Final = Scope().of("feature_status_code")
OF_STREAM: Final = Scope(single=("stream",))
OF_FEATURE: Final = (
    'driftmon_window_observations{job=~"$job", instance=~"$instance", stream=~"$stream", feature=~"$feature"}'
)
ENCODED: Final = "percentencode"
DASHED: Final = {"custom.lineStyle": {"dash": [8, 6], "fill": "dash"}, "custom.fillOpacity": 0}
PODS: Final = "Each value is that of the worst of the chosen instances."


def dashboard() -> Dashboard:
    return Dashboard(
        "driftmon-feature",
        "driftmon / Feature",
        "One feature of one stream: how far Q (live) is from P (reference), how surely, and which bins did it.",
        (
            *COMMON,
            one("stream", values(STREAMS, "stream")),
            segment(OF_STREAM),
            one("feature", values(OF_STREAM.of("feature_status_code"), "feature")),
            one("window", values(OF_FEATURE, "window")),
            one(
                "rule",
                values('driftmon_rule_threshold{job=~"$job", instance=~"$instance"}', "rule"),
                "DriftmonFeatureDrift",
            ),
            PAGE,
        ),
        alerts(SCOPE),
        {
            "": numbers(),
            "How far": [divergence(), directions()],
            "What changed": [shares(), contributions(), shares_over_time()],
            "Why the loss grows": [decomposition(), evidence_over_time()],
            "Predictions and their labels": losses.rows(),
            "Quality and quantity": [quality(), observations(), distances(), wasserstein()],
        },
        links=(to_page("The daemon's own page", f"${{page}}/features/${{stream:{ENCODED}}}/${{feature:{ENCODED}}}"),),
    )


def numbers() -> list[Panel]:
    floor = most("kl_noise_floor_nats")
    return [
        stat("Status", "Drift if any chosen instance says so.", Target(f"max({status(SCOPE)})"), "short", PLAIN,
             mappings=(STATUS_WORDS,)),
        stat("KL debiased", f"KL less what chance alone would give. {PODS}",
             Target(most("kl_divergence_debiased_nats")), "short", PLAIN),
        stat("Noise floor", f"KL that chance exceeds once in a hundred. {PODS}", Target(floor), "short", PLAIN),
        stat("Evidence", "log10, of the mean over instances.", Target(f"max({evidence(SCOPE)})"), "short",
             SURE),
        stat("Observations", "In the window, over the chosen instances.",
             Target(f"sum({SCOPE.of('window_observations')})"), "short", PLAIN),
        stat("Last seen", "Time since the feature's last observation.",
             Target(f"time() - max({SCOPE.of('last_observation_timestamp_seconds')})"), "s",
             QUIET),
    ]  # fmt: skip


def most(name: str, **own: str) -> str:
    return f"max({SCOPE.of(name, **own)})"


def divergence() -> Panel:
    threshold = f"max({Scope(single=('rule',)).of('rule_threshold')})"
    styles = {
        "KL debiased": {"color": {"mode": "fixed", "fixedColor": "blue"}, "custom.lineWidth": 2},
        "noise floor": {**DASHED, "color": {"mode": "fixed", "fixedColor": "#8e8e8e"}},
        "threshold": {**DASHED, "color": {"mode": "fixed", "fixedColor": "red"}},
        "lower bound": {"custom.lineWidth": 0, "custom.fillOpacity": 0, "color": _blue()},
        "upper bound": {
            "custom.lineWidth": 0,
            "custom.fillBelowTo": "lower bound",
            "custom.fillOpacity": 18,
            "color": _blue(),
        },
    }  # fmt: skip
    return series(
        "KL(Q||P), noise floor and bounds",
        f"{PODS} The band lies between the one-sided 99 % bounds; the red line is the chosen rule's threshold.",
        [
            Target(most("kl_divergence_debiased_nats"), "KL debiased"),
            Target(most("kl_noise_floor_nats"), "noise floor"),
            Target(threshold, "threshold"),
            Target(most("kl_divergence_lower_bound_nats"), "lower bound"),
            Target(most("kl_divergence_upper_bound_nats"), "upper bound"),
        ],
        "short", 14, 10, styles,
    )  # fmt: skip


def _blue() -> Mapping[str, Any]:
    return {"mode": "fixed", "fixedColor": "light-blue"}


def directions() -> Panel:
    return series(
        "Both directions",
        f"KL(Q||P) grows where live data lie in bins that P hardly knows, KL(P||Q) where bins have emptied. {PODS}",
        [
            Target(most("kl_divergence_nats", direction="q_p"), "KL(Q||P)"),
            Target(most("kl_divergence_nats", direction="p_q"), "KL(P||Q)"),
            Target(most("psi_nats"), "PSI, their sum"),
            Target(most("js_divergence_nats"), "Jensen-Shannon"),
        ],
        "short", 10, 10, low=0,
    )  # fmt: skip


COUNTS: Final = f"sum by (bin) ({SCOPE.of('window_bin_observations')})"
P: Final = f"max by (bin) ({SCOPE.of('reference_bin_ratio')})"
A: Final = f"scalar(max({SCOPE.of('smoothing_pseudocount')}))"
ORDER: Final = f"max by (bin) ({SCOPE.of('bin_number')})"
# As the daemon smooths: (n + a) / (N + a K). Counts add over instances, so q is that of all of them together.
Q: Final = f"({COUNTS} + {A}) / scalar(sum({COUNTS}) + {A} * count({COUNTS}))"


def shares() -> Panel:
    styles = {
        "P (reference)": {"color": {"mode": "fixed", "fixedColor": "#8e8e8e"}},
        "Q (live)": {"color": {"mode": "fixed", "fixedColor": "blue"}},
    }
    return bars(
        "P against Q",
        "Share of each bin, smoothed; live counts are added over the chosen instances, which must have one reference.",
        {"P (reference)": P, "Q (live)": Q}, ORDER, "percentunit", 12, 10, styles,
    )  # fmt: skip


def contributions() -> Panel:
    styles = {"q ln(q/p)": {"color": {"mode": "continuous-BlYlRd"}}}
    return bars(
        "Contribution of each bin to KL(Q||P)",
        "q ln(q/p) in nats: above 0 the bin has more than its share, below 0 less. The bars add up to KL(Q||P).",
        {"q ln(q/p)": f"({Q}) * ln(({Q}) / {P})"}, ORDER, "short", 12, 10, styles,
    )  # fmt: skip


def shares_over_time() -> Panel:
    custom = {"stacking": {"group": "A", "mode": "normal"}, "fillOpacity": 70, "lineWidth": 0}
    share = f"{COUNTS} / scalar(sum({COUNTS}) > 0)"
    return series(
        "Live bins over time",
        "Share of each bin in the window, stacked to 100 %.",
        [Target(share, "{{bin}}")],
        "percentunit", 24, 9, custom=custom, low=0, high=1,
    )  # fmt: skip


def decomposition() -> Panel:
    stacked = {"custom.stacking": {"group": "A", "mode": "normal"}, "custom.fillOpacity": 55, "custom.lineWidth": 0}
    styles = {
        "H(Q)": {**stacked, "color": {"mode": "fixed", "fixedColor": "#8e8e8e"}},
        "KL(Q||P)": {**stacked, "color": {"mode": "fixed", "fixedColor": "orange"}},
        "H(Q,P)": {"custom.fillOpacity": 0, "custom.lineWidth": 2, "color": {"mode": "fixed", "fixedColor": "white"}},
        "H(P)": {**DASHED, "color": {"mode": "fixed", "fixedColor": "green"}},
    }
    return series(
        "H(Q,P) = H(Q) + KL(Q||P)",
        "Cross-entropy, the loss of a model that believes P, is the live data's own entropy plus the divergence. With "
        "several instances each is the mean over them, for which the sum still holds; choose one to see its own.",
        [
            Target(f"avg({SCOPE.of('entropy_nats', distribution='live')})", "H(Q)"),
            Target(f"avg({SCOPE.of('kl_divergence_nats', direction='q_p')})", "KL(Q||P)"),
            Target(f"avg({SCOPE.of('cross_entropy_nats', direction='q_p')})", "H(Q,P)"),
            Target(f"avg({SCOPE.of('entropy_nats', distribution='reference')})", "H(P)"),
        ],
        "short", 14, 10, styles, low=0,
    )  # fmt: skip


def evidence_over_time() -> Panel:
    return series(
        "Evidence by instance",
        "log10 of each instance's e-detector. One line that climbs alone is that pod's fault; all of them, the world.",
        [Target(SCOPE.of("evidence_log10"), "{{instance}}")],
        "short", 10, 10, low=0,
    )  # fmt: skip


def quality() -> Panel:
    names = ("missing", "invalid", "unseen")
    return series(
        "Missing, invalid, unseen",
        f"Share of the window's values. {PODS}",
        [Target(most(f"{name}_ratio"), name) for name in names],
        "percentunit", 12, 9, low=0,
    )  # fmt: skip


def observations() -> Panel:
    return series(
        "Observations in the window",
        "Over the chosen instances; effective ones are what overdispersion and decay leave of them.",
        [
            Target(f"sum({SCOPE.of('window_observations')})", "observations"),
            Target(f"sum({SCOPE.of('effective_observations')})", "effective"),
        ],
        "short", 12, 9, low=0,
    )  # fmt: skip


def distances() -> Panel:
    names = {"hellinger": "Hellinger", "total_variation": "total variation", "ks": "Kolmogorov-Smirnov"}
    return series(
        "Distances",
        f"Each from 0 to 1; Kolmogorov-Smirnov for numeric features only. {PODS}",
        [Target(most(f"{name}_distance"), words) for name, words in names.items()],
        "short", 12, 9, low=0,
    )  # fmt: skip


def wasserstein() -> Panel:
    return series(
        "Wasserstein distance",
        f"How far, on average, values have moved, in the feature's own unit; for numeric features only. {PODS}",
        [Target(most("wasserstein_distance"), "Wasserstein")],
        "short", 12, 9, low=0,
    )  # fmt: skip
