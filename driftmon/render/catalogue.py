"""Every metric driftmon exports, in the order it exports them: one table for /metrics, README, rules and dashboards.

Law: nothing is exported that is not in CATALOGUE, and how many series a configuration makes follows
from the labels alone. P = reference, Q = live, p and q smoothed, q̂ the raw live shares, all in nats.
"""

# ruff: noqa: E501  one metric a line: this is a table
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from driftmon.monitor.panes import Window
from driftmon.monitor.rules import Rule
from driftmon.stats.columns import BOOLEAN, NESTED, NUMBER, TEXT
from driftmon.stats.losses import REASONS as LOSS_REASONS

Kind: TypeAlias = Literal["gauge", "counter", "histogram", "info"]
Bins: TypeAlias = Literal["none", "window", "counters"]

PREFIX: Final = "driftmon_"
FEATURE: Final = ("stream", "feature")
WINDOW: Final = ("stream", "feature", "window")
DELAYED: Final = ("driftmon_labels_", "driftmon_label_")
DIRECTIONS: Final = ("q_p", "p_q")
DISTRIBUTIONS: Final = ("reference", "live")
OWN_VALUES: Final[Mapping[str, tuple[str, ...]]] = {"direction": DIRECTIONS, "distribution": DISTRIBUTIONS}
KINDS: Final = ("numeric", "categorical", "boolean", "log_loss")
ORDERED: Final = ("numeric", "log_loss")
LOSS: Final = ("log_loss",)
INVALID_REASONS: Final = {
    "numeric": (TEXT, BOOLEAN, NESTED),
    "boolean": (TEXT, NUMBER, NESTED),
    "categorical": (NESTED,),
    "log_loss": (TEXT, BOOLEAN, NESTED, NUMBER, *LOSS_REASONS),
}


class Metric(Struct, frozen=True):
    """One metric. `labels` in order; `only` the kinds of feature that have it; `bins` the modes that bring it."""

    name: str
    kind: Kind
    unit: str  # "" where it has none; else the name's suffix
    help: str
    labels: tuple[str, ...] = ()
    core: bool = True
    only: tuple[str, ...] = KINDS
    bins: tuple[Bins, ...] = ()
    calibrated: bool = False  # only of features that a calibrated rule watches

    @property
    def window(self) -> bool:
        return "window" in self.labels

    @property
    def family(self) -> str:
        """The name OpenMetrics gives the family: without `_total` or `_info`.

        >>> Metric("driftmon_surprisal_nats_total", "counter", "nats", "").family
        'driftmon_surprisal_nats'
        """
        suffix = {"counter": "_total", "info": "_info"}.get(self.kind, "")
        return self.name.removesuffix(suffix)

    @property
    def quantity(self) -> str:
        """The name that the report and rules use: without prefix and unit `nats`.

        >>> METRICS["driftmon_kl_divergence_nats"].quantity, METRICS["driftmon_missing_ratio"].quantity
        ('kl_divergence', 'missing_ratio')
        """
        return self.name.removeprefix(PREFIX).removesuffix("_nats")


@dataclass(frozen=True, slots=True)
class Selection:
    """What of the catalogue is exported: `metrics: {set, bins}` and `limits: {series}` of the configuration."""

    metrics: Literal["core", "full"] = "core"
    bins: Bins = "none"
    limit: int = 10_000

    def takes(self, metric: Metric) -> bool:
        return self.bins in metric.bins if metric.bins else metric.core or self.metrics == "full"


def _divergence(name: str, text: str, *own: str, core: bool = False, only: tuple[str, ...] = ()) -> Metric:
    unit = name.rpartition("_")[2] if name.endswith(("_nats", "_ratio")) else ""
    kinds = only or KINDS
    return Metric(PREFIX + name, "gauge", unit, text, (*WINDOW, *own), core, kinds)


def _feature(
    name: str, kind: Kind, unit: str, text: str, *own: str, core: bool = True, only: str = "", calibrated: bool = False
) -> Metric:
    kinds = (only,) if only else KINDS
    return Metric(PREFIX + name, kind, unit, text, (*FEATURE, *own), core, kinds, calibrated=calibrated)


def _bins(name: str, kind: Kind, unit: str, text: str, labels: tuple[str, ...], *modes: Bins) -> Metric:
    return Metric(PREFIX + name, kind, unit, text, labels, False, bins=modes)


def _process(name: str, kind: Kind, unit: str, text: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, kind, unit, text, labels)


# fmt: off
CATALOGUE: Final[tuple[Metric, ...]] = (
    _divergence("kl_divergence_nats", 'KL divergence of the window: direction="q_p" is KL(Q||P) = sum q ln(q/p), "p_q" is KL(P||Q) = sum p ln(p/q). Never sum or average it over pods.', "direction", core=True),
    _divergence("kl_divergence_debiased_nats", "KL(q̂||p) less its expectation when nothing has drifted; may be negative.", core=True),
    _divergence("kl_noise_floor_nats", "99 % quantile of KL(q̂||p) when nothing has drifted, for this many observations.", core=True),
    _divergence("kl_divergence_lower_bound_nats", "One-sided 99 % lower bound of KL(Q||P), both samples' errors and overdispersion included; at or below 0 it excludes nothing."),
    _divergence("kl_divergence_upper_bound_nats", "One-sided 99 % upper bound of KL(Q||P), both samples' errors and overdispersion included."),
    _divergence("cross_entropy_nats", 'Cross-entropy: direction="q_p" is H(Q,P) = -sum q ln p, "p_q" is H(P,Q) = -sum p ln q.', "direction", core=True),
    _divergence("entropy_nats", "Entropy of the reference, H(P) = -sum p ln p, or of the live data, H(Q) = -sum q ln q.", "distribution", core=True),
    _divergence("js_divergence_nats", "Jensen-Shannon divergence (KL(P||M) + KL(Q||M)) / 2 with M = (P + Q) / 2; at most ln 2."),
    _divergence("psi_nats", "Population stability index, KL(Q||P) + KL(P||Q) = sum (q - p) ln(q/p)."),
    _divergence("hellinger_distance", "Hellinger distance sqrt(sum (sqrt p - sqrt q)^2 / 2), from 0 to 1."),
    _divergence("total_variation_distance", "Total variation distance sum |p - q| / 2, from 0 to 1."),
    _divergence("ks_distance", "Kolmogorov-Smirnov distance max |cumsum(q - p)| over the regular bins.", only=ORDERED),
    _divergence("wasserstein_distance", "Wasserstein-1 distance between bin midpoints, in the unit of the feature.", only=ORDERED),
    _divergence("mean_surprisal_nats", "H(q̂,P) = -1/N sum ln p(x) over the window's observations: their mean negative log-likelihood, q̂ unsmoothed."),
    _divergence("missing_ratio", "Share of the window's values that are missing."),
    _divergence("invalid_ratio", "Share of the window's values that could not be read as the feature's type."),
    _divergence("unseen_ratio", "Share of the window's values outside the reference's vocabulary.", only=("categorical",)),
    _divergence("window_observations", "Observations in the window, N; with a half-life the sum of weights.", core=True),
    _divergence("effective_observations", "Observations in the window less what overdispersion and decay cost: as many independent ones say as much."),
    _divergence("labelled_observations", "Observations of the window that have a label and a probability that can be scored; log loss and accuracy are over these.", core=True, only=LOSS),
    _divergence("log_loss_nats", "Mean of -ln p(label) over the window's predictions with a label. P is the label, Q the prediction, neither is smoothed.", core=True, only=LOSS),
    _divergence("log_loss_lower_bound_nats", "One-sided 99 % lower bound of the mean log loss, by the normal distribution with the losses' own variance; overdispersion included.", core=True, only=LOSS),
    _divergence("log_loss_upper_bound_nats", "One-sided 99 % upper bound of the mean log loss, by the normal distribution with the losses' own variance; overdispersion included.", core=True, only=LOSS),
    _divergence("prediction_entropy_nats", "Mean entropy of the predictions: what the log loss of a calibrated model would be.", core=True, only=LOSS),
    _divergence("calibration_gap_nats", "Mean log loss less prediction entropy: 0 in expectation for a calibrated model; above 0 it is surer than it should be, below 0 less sure.", core=True, only=LOSS),
    _divergence("calibration_gap_lower_bound_nats", "One-sided 99 % lower bound of the gap, by the normal distribution with the variance of the losses, overdispersion included; above 0 the model is surer than it should be.", only=LOSS),
    _divergence("calibration_gap_upper_bound_nats", "One-sided 99 % upper bound of the gap, as the lower one; below 0 the model is less sure than it should be.", only=LOSS),
    _divergence("accuracy_ratio", "Share of the window's predictions whose likeliest class was the label.", core=True, only=LOSS),
    _feature("overdispersion_ratio", "gauge", "ratio", "Phi of the reference: its counts vary so many times as much as those of independent rows; 1 where it kept no blocks.", core=False),
    _feature("evidence_log10", "gauge", "", "log10 of the e-detector R on the divergence, capped at 300: without drift R >= A in any of F features takes A / F panes on average at least.", calibrated=True),
    _bins("window_bin_observations", "gauge", "", "Observations of each bin in the window; sum them over pods.", (*WINDOW, "bin"), "window"),
    _feature("feature_status_code", "gauge", "", "0 ok, 1 significant, 2 drift, 3 insufficient_data, 4 weak_reference, 5 warming_up, 6 stale."),
    _feature("observations_total", "counter", "", "Observations counted since the stream began."),
    _feature("missing_values_total", "counter", "", "Observations whose value was missing.", core=False),
    _feature("invalid_values_total", "counter", "", "Observations whose value could not be read as the feature's type.", core=False),
    _feature("invalid_value_reasons_total", "counter", "", "Invalid values by what they were: text, boolean, number or nested; of log_loss also negative_probability, probabilities_not_one, probability_not_finite, unknown_class.", "reason", core=False),
    _feature("unseen_values_total", "counter", "", "Observations outside the reference's vocabulary.", core=False, only="categorical"),
    _feature("surprisal_nats_total", "counter", "nats", "Sum of -ln p(x); its rate over that of observations_total is H(q̂,P), over any range and any pods."),
    _feature("last_observation_timestamp_seconds", "gauge", "seconds", "Arrival time of the feature's last observation."),
    _feature("drift_seconds_total", "counter", "seconds", "Time the feature was evaluated and in drift.", core=False),
    _feature("evaluated_seconds_total", "counter", "seconds", "Time the feature had enough data to be judged.", core=False),
    _bins("bin_observations_total", "counter", "", "Observations of each bin since the stream began.", (*FEATURE, "bin"), "counters"),
    _bins("reference_bin_ratio", "gauge", "ratio", "Smoothed p of each bin, (n + a) / (N + a K).", (*FEATURE, "bin"), "window", "counters"),
    _bins("bin_number", "gauge", "", "Place of the bin in its feature, from 0: text does not sort like edges.", (*FEATURE, "bin"), "window", "counters"),
    _bins("reference_observations", "gauge", "", "Observations of the feature in the reference.", FEATURE, "window", "counters"),
    _bins("smoothing_pseudocount", "gauge", "", "The a of (n + a) / (N + a K), counts per bin.", ("stream",), "window", "counters"),
    _process("alert_state", "gauge", "", "0 inactive, 1 pending, 2 firing; a rule `per: stream` has one alert, without feature.", *WINDOW, "rule", "severity"),
    _process("rule_threshold", "gauge", "", "The value above which a rule breaches, in the unit of its metric; of a calibrated rule its effect in nats, of one on a mean by how much it must rise.", "rule"),
    _process("reference_info", "info", "", "1; reference is a digest of the bins and counts of P, source where it came from.", "stream", "reference", "source"),
    _process("reference_timestamp_seconds", "gauge", "seconds", "When the reference was built, by the times in its data.", "stream"),
    _process("series_limit_exceeded", "gauge", "", "Features of the stream that are not exported, because limits.series would be exceeded.", "stream"),
    _process("labels_total", "counter", "", "Predictions and labels in records of their own by what became of them: matched in a pair; late, matched when the pane had closed, not counted; expired, a prediction whose label did not come in time; orphan, a label whose prediction did not; duplicate, a second one of an id.", "stream", "outcome"),
    _process("labels_waiting", "gauge", "", "Predictions that wait for their label.", "stream"),
    _process("label_age_seconds", "histogram", "seconds", "Time of a label less that of its prediction, at least 0.", "stream"),
    _process("ingest_records_total", "counter", "", "Records received.", "stream", "source"),
    _process("ingest_records_rejected_total", "counter", "", "Records that could not be used.", "stream", "source", "reason"),
    _process("ingest_late_records_total", "counter", "", "Records whose pane had closed already; not counted.", "stream", "source"),
    _process("source_gap_events_total", "counter", "", "Times that records may have been lost before they were read; of a file: its unread end is gone, truncated without a copy or removed.", "stream", "source"),
    _process("source_lag_records", "gauge", "", "Records that wait in the source, where it knows their number.", "stream", "source"),
    _process("source_lag_bytes", "gauge", "bytes", "Bytes of followed files that were not read yet.", "stream", "source"),
    _process("ingest_sampled_out_records_total", "counter", "", "Records left out by chance under overload (overload: sample); those taken count for them.", "stream", "source"),
    _process("sampling_ratio", "gauge", "ratio", "Share of records that is taken now (overload: sample); each counts 1 / ratio.", "stream", "source"),
    _process("clock_steps_total", "counter", "", "Steps of the wall clock by more than 5 s."),
    _process("clock_offset_seconds", "gauge", "seconds", "The clock that records are counted by, less the wall clock; other than 0 after a step."),
    _process("ingest_duration_seconds", "histogram", "seconds", "Time to decode and count one block of records."),
    _process("tick_duration_seconds", "histogram", "seconds", "Time to evaluate one stream and publish the result."),
    _process("mailbox_bytes", "gauge", "bytes", "Bytes received and not yet counted."),
    _process("mailbox_limit_bytes", "gauge", "bytes", "Bytes the mailbox holds before it answers 429."),
    _process("resident_memory_bytes", "gauge", "bytes", "Memory of the daemon's process that is in RAM; only on Linux."),
    _process("storage_commit_duration_seconds", "histogram", "seconds", "Time of one transaction of --storage.path, until it is on the disk."),
    _process("memory_budget_bytes", "gauge", "bytes", "The most memory the bounds of the configuration allow for; more in RAM is a leak."),
    _process("storage_ephemeral", "gauge", "", "1 when nothing is kept over a restart (no --storage.path)."),
    _process("state_recovered", "gauge", "", "1 since a start that found state.db damaged and went on with a generation of it, or empty.", "source"),
    _process("state_lost_seconds", "gauge", "seconds", "From the generation that was restored to the last commit before the damage; absent where nothing could be restored."),
    _process("state_generation_timestamp_seconds", "gauge", "seconds", "When the newest copy of state.db was made that a start could go back to."),
    _process("state_damaged_rows_total", "counter", "", "Rows of the state that were damaged and left out, such as panes, alerts or batch ids.", "table"),
    _process("alert_notifications_total", "counter", "", "Notifications attempted.", "sink"),
    _process("alert_notifications_failed_total", "counter", "", "Notifications that failed; those worth it are retried.", "sink"),
    _process("config_last_reload_successful", "gauge", "", "1 if the last load of the configuration succeeded."),
    _process("config_last_reload_success_timestamp_seconds", "gauge", "seconds", "When the configuration was last loaded with success."),
    _process("web_config_last_reload_successful", "gauge", "", "1 if the file of --web.config.file in force is the one on disk; 0 where a change of it was refused. Only with that flag."),
    _process("http_requests_refused_total", "counter", "", "Requests that did not get in: unauthenticated, forbidden, throttled (too many logins of an address), busy (too many at once), host, origin.", "listener", "reason"),
    _process("tls_handshakes_refused_total", "counter", "", "TLS handshakes that led to no connection: limit (too many under way) or failed (also those that took over 5 s).", "listener", "reason"),
    _process("build_info", "info", "", "1, with the versions of driftmon and Python.", "version", "python"),
)
# fmt: on

METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for metric in CATALOGUE}


class StreamFacts(Struct, frozen=True):
    """What of a stream decides the number of its series: features by kind and by K, special bins included."""

    stream: str
    kinds: Mapping[str, str]
    bins: Mapping[str, int]
    windows: tuple[Window, ...]


def series_count(streams: Sequence[StreamFacts], rules: Sequence[Rule], selection: Selection) -> int:
    """Series on /metrics that come from data and rules, before the limit; the daemon's own are some dozens more.

    >>> facts = StreamFacts("s", {"x": "numeric"}, {"x": 18}, (Window.sliding("fast", 3_600_000),))
    >>> series_count([facts], [Rule("R", "kl_divergence", 0.1)], Selection())
    18
    """
    per_feature = sum(sum(feature_series(facts, rules, selection).values()) for facts in streams)
    per_stream = sum(stream_series(facts, rules, selection) for facts in streams)
    return per_feature + per_stream + len({rule.name for rule in rules if rule.detector is None})


def stream_series(facts: StreamFacts, rules: Sequence[Rule], selection: Selection) -> int:
    """Series that one stream has once, whatever its features: those of alerts `per: stream` among them."""
    alerts = sum(len(judged_windows(rule, facts)) for rule in rules if rule.per == "stream")
    return alerts + sum(_of_stream(metric) and selection.takes(metric) for metric in CATALOGUE)


def judged_windows(rule: Rule, facts: StreamFacts, feature: str | None = None) -> tuple[Window, ...]:
    """The windows in which a rule judges a feature, or any; by evidence or a detector only in the shortest."""
    names = [name for name in (facts.kinds if feature is None else (feature,)) if rule.judges(facts.kinds[name])]
    found = [one for one in facts.windows if any(rule.watches(facts.stream, name, one.name) for name in names)]
    if (rule.calibrated is not None or rule.detector is not None) and found:
        return (min(found, key=lambda window: window.pane_ms),)
    return tuple(found)


def feature_series(facts: StreamFacts, rules: Sequence[Rule], selection: Selection) -> dict[str, int]:
    """Series per feature of one stream, by feature name."""
    taken = [metric for metric in CATALOGUE if "feature" in metric.labels and selection.takes(metric)]
    return {name: sum(_series(metric, facts, name, rules) for metric in taken) for name in facts.kinds}


def _series(metric: Metric, facts: StreamFacts, feature: str, rules: Sequence[Rule]) -> int:
    kind = facts.kinds[feature]
    if kind not in metric.only:
        return 0
    if "rule" in metric.labels:
        return sum(len(judged_windows(rule, facts, feature)) for rule in rules if rule.per == "feature")
    weighing = [rule for rule in rules if rule.calibrated and not rule.mean]
    if metric.calibrated and not any(judged_windows(rule, facts, feature) for rule in weighing):
        return 0
    each = {"bin": facts.bins[feature], "reason": len(INVALID_REASONS[kind]), "window": len(facts.windows)}
    count = 1
    for label in metric.labels:
        count *= each.get(label, len(OWN_VALUES.get(label, ("one",))))
    return count


def _of_stream(metric: Metric) -> bool:
    """Said once per stream by the reports, not by the daemon's own counters (which have a source)."""
    if metric.name.startswith(DELAYED):
        return False  # only of streams with delayed labels
    own = {"reference", "source"} if metric.kind == "info" else set()
    return "stream" in metric.labels and set(metric.labels) <= {"stream"} | own


def metric_table() -> str:
    """The README's table in Markdown, one line per metric."""
    return "\n".join(("| metric | type | labels | core | what |", "| --- | --- | --- | --- | --- |", *_rows()))


def _rows() -> Iterator[str]:
    for metric in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        modes = ", ".join(f"`bins: {mode}`" for mode in metric.bins)
        exported = "x" if metric.core else modes
        text = metric.help.replace("|", "\\|")
        yield f"| `{metric.name}` | {metric.kind} | {labels} | {exported} | {text} |"
