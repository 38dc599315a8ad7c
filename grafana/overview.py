"""Fleet overview: what drifts, since when, how surely."""

from __future__ import annotations

from typing import Final

from grafana.panels import (
    PLAIN,
    QUIET,
    STATUS_WORDS,
    SURE,
    Dashboard,
    Json,
    Panel,
    Target,
    series,
    stat,
    table,
    thresholds,
)
from grafana.queries import BY_FEATURE, Scope, drifting, evidence, excess, moved_most, status, worst
from grafana.variables import COMMON, PAGE, alerts, segment, several, values

SCOPE: Final = Scope(("stream", "segment", "window"))
LABELS: Final = ("stream", "segment", "feature")
LEGEND: Final = "{{stream}} {{segment}} {{feature}}"
STREAMS: Final = Scope().of("feature_status_code")
WINDOWS: Final = Scope(("stream",)).of("window_observations")
CALM: Final = ((None, "green"), (1, "red"))

# The last moment of the range at which the feature did not drift on any pod.
CALM_AT: Final = worst(f"timestamp({SCOPE.of('feature_status_code')} != 2)")
CALM_TIMES: Final = f"{CALM_AT} unless on (stream, segment, feature) ({drifting(SCOPE)})"
SINCE: Final = f"max_over_time(({CALM_TIMES})[$__range:$__interval])"


def dashboard() -> Dashboard:
    return Dashboard(
        "driftmon-overview",
        "driftmon / Fleet overview",
        "Which features of which streams have changed, since when and how surely. P is the reference, Q is live.",
        (
            *COMMON,
            several("stream", values(STREAMS, "stream")),
            segment(Scope(("stream",))),
            several("window", values(WINDOWS, "window")),
            PAGE,
        ),
        alerts(SCOPE),
        {
            "": numbers(),
            "What drifts": [features(), worst_ten()],
            "Since when": [timeline()],
            "How surely": [over_floor(), surely()],
            "Over the whole fleet": [fleet(), ages()],
        },
    )


def numbers() -> list[Panel]:
    state = SCOPE.of("feature_status_code")
    firing = f"count(count by (rule, stream, segment, feature) ({SCOPE.of('alert_state')} == 2)) or vector(0)"
    age = f"max(time() - max by (stream) ({SCOPE.of('last_observation_timestamp_seconds')}))"
    return [
        stat("Features that drift", "On at least one pod.",
             Target(f"count({drifting(SCOPE)}) or vector(0)"), "short", CALM),
        stat("Alerts that fire", "Each counted once, however many pods and windows it fires in.",
             Target(firing), "short", CALM),
        stat("Surest evidence", "log10 of the evidence of drift, of the surest feature; 6 means: without drift one "
             "would wait a million panes for as much.", Target(f"max({evidence(SCOPE)})"), "short", SURE),
        stat("Features watched", "Over all streams.", Target(f"count(count {BY_FEATURE} ({state}))"), "short", PLAIN),
        stat("Daemons", "That answer.", Target(f"count({SCOPE.of('build_info')})"), "short", PLAIN),
        stat("Oldest data", "Time since the last observation of the stream that has been quiet for longest.",
             Target(age), "s", QUIET),
    ]  # fmt: skip


def features() -> Panel:
    columns = {
        "Excess": excess(SCOPE),
        "Status": status(SCOPE),
        "KL debiased": worst(SCOPE.of("kl_divergence_debiased_nats")),
        "Evidence": evidence(SCOPE),
        "Drifts since": f"1000 * ({SINCE}) and on (stream, segment, feature) ({drifting(SCOPE)})",
        "Observations": f"max {BY_FEATURE} (sum without (instance, pod) ({SCOPE.of('window_observations')}))",
    }
    styles: dict[str, Json] = {
        "Status": {"mappings": [STATUS_WORDS], "custom.cellOptions": {"type": "color-text"}, "decimals": 0},
        "Excess": {
            "thresholds": thresholds(((None, "green"), (0, "yellow"), (0.1, "red"))),
            "custom.cellOptions": {"type": "color-text"},
        },
        "Evidence": {"decimals": 1},
        "Drifts since": {"unit": "dateTimeFromNow", "decimals": 0},
        "Observations": {"decimals": 0},
        "feature": {"links": LINKS},
    }
    return table(
        "Features by excess over the noise floor",
        "The worst pod and window of each feature. Excess is KL(Q||P) less the noise floor: above 0 chance alone does "
        "not explain it. Evidence is the fleet's. `Drifts since` is empty where the drift is older than the range.",
        columns, LABELS, "short", 16, 10, "Excess", styles,
    )  # fmt: skip


LINKS: Final[list[Json]] = [
    {
        "title": "What changed in ${__data.fields.feature}",
        "url": "/d/driftmon-feature/?${__url_time_range}&${datasource:queryparam}&${job:queryparam}"
        "&${instance:queryparam}&${page:queryparam}&var-stream=${__data.fields.stream:percentencode}"
        "&var-feature=${__data.fields.feature:percentencode}",
    },
    {
        "title": "The daemon's own page",
        "url": "${page}/features/${__data.fields.stream:percentencode}/${__data.fields.feature:percentencode}",
        "targetBlank": True,
    },
]


def worst_ten() -> Panel:
    return Panel(
        "bargauge",
        "The ten furthest over the floor",
        "In nats, of the worst pod and window; 0 where chance explains it all.",
        (Target(f"sort_desc(topk(10, clamp_min({excess(SCOPE)}, 0)))", LEGEND, "instant"),),
        "short", 8, 10,
        {"color": {"mode": "thresholds"}, "decimals": 3, "min": 0,
         "thresholds": thresholds(((None, "green"), (0.02, "yellow"), (0.1, "red")))},
        {"displayMode": "gradient", "orientation": "horizontal", "showUnfilled": True, "valueMode": "color",
         "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}},
        {},
    )  # fmt: skip


def timeline() -> Panel:
    return Panel(
        "state-timeline",
        "Status of the features that moved most",
        "The 20 features with the largest debiased KL in the range shown. Drift on one pod counts as drift.",
        (Target(moved_most(SCOPE, status(SCOPE)), LEGEND),),
        "short", 24, 10,
        {"color": {"mode": "thresholds"}, "mappings": [STATUS_WORDS], "thresholds": thresholds(((None, "green"),)),
         "custom": {"fillOpacity": 75, "lineWidth": 0}},
        {"alignValue": "left", "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
         "mergeValues": True, "perPage": 20, "rowHeight": 0.85, "showValue": "never",
         "tooltip": {"mode": "single", "sort": "none"}},
        {},
    )  # fmt: skip


def over_floor() -> Panel:
    return series(
        "KL(Q||P) over its noise floor",
        "The 20 features that moved most, each by its worst pod and window. Above 0 is more than chance.",
        [Target(moved_most(SCOPE, excess(SCOPE)), LEGEND)],
        "short",
    )


def surely() -> Panel:
    return series(
        "Evidence of the fleet",
        "log10 of the mean over pods of the e-detectors, which is one itself. With F features, a line at log10(F x "
        "panes between false alarms) keeps that promise for all pods together. What changed in one pod only is diluted "
        "here: see the table for the worst pod.",
        [Target(moved_most(SCOPE, evidence(SCOPE)), LEGEND)],
        "short",
    )


def fleet() -> Panel:
    surprisal, seen = SCOPE.rate("surprisal_nats_total"), SCOPE.rate("observations_total")
    reference = SCOPE.of("entropy_nats", distribution="reference")
    expr = (
        f"sum {BY_FEATURE} ({surprisal}) / (sum {BY_FEATURE} ({seen}) > 0) "
        f"- on (stream, segment, feature) max {BY_FEATURE} ({reference})"
    )
    return series(
        "Surprise above the reference's own: H(Q,P) - H(P)",
        "Exact over any number of pods with one reference: the mean of -ln p(x) of all observations, less the entropy "
        "of P. It has a sign, and a shift between equally likely bins does not show.",
        [Target(moved_most(SCOPE, expr), LEGEND)],
        "short",
    )


def ages() -> Panel:
    seen = SCOPE.of("last_observation_timestamp_seconds")
    return series(
        "Time since the last observation",
        "Of each stream, over all pods. A stream without data is not a stream without drift.",
        [Target(f"time() - max by (stream) ({seen})", "{{stream}}")],
        "s",
        low=0,
    )
