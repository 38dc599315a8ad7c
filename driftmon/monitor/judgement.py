"""Judgement: what one rule says of every feature at one look, by threshold or by evidence.

Law: verdicts are arrays over all features (0.02 ms for 3,000 pairs); what an alert tells a person is
computed only for the few features that breach or are on alert already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from driftmon.monitor.calibration import BOUND_LEVEL, Calibration, Finding
from driftmon.monitor.flags import Flagged
from driftmon.monitor.quantities import RATIOS, index_of, special_share
from driftmon.monitor.risen import measure, raising, rise_of
from driftmon.monitor.rules import Mean, Rule, TopBin, Verdict
from driftmon.monitor.tallies import NAMES as SCORES
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import independent
from driftmon.stats.divergences import Pair, kl_qp
from driftmon.stats.special import ndtri

TOP_BINS: Final = 3
MEANS: Final[Mapping[tuple[str, ...], Mean]] = {  # thresholds on these are about a mean: what raises it is to blame
    ("mean_surprisal",): "surprisal",
    ("cross_entropy", "q_p"): "surprisal",
    ("log_loss",): "log_loss",
    ("log_loss_lower_bound",): "log_loss",
    ("log_loss_upper_bound",): "log_loss",
    ("calibration_gap",): "log_loss",
    ("calibration_gap_lower_bound",): "log_loss",
}
SINGLE_LOOK_LEVEL: Final = 0.999  # one look has no evidence over time, so it asks for more certainty


class Judgement(Struct, frozen=True, eq=False):
    """`verdicts` int8[features], and `describe(feature)`: the fields of an alert that say what was seen."""

    verdicts: NDArray[np.int8]
    describe: Callable[[int], Mapping[str, Any]]


def by_threshold(rule: Rule, values: Floats, pair: Pair, seen: Floats) -> Judgement:
    """Hold one window's values float64[D, F] against the rule's threshold; of `seen` float64[F] observations."""
    compared = rule_values(rule, values, pair)
    if rule.metric in SCORES:  # of rows that have a label
        total = np.maximum(pair.live_total, 1.0)
        seen = seen * pair.schema.totals(np.where(pair.schema.regular, pair.live, 0.0)) / total

    mean = MEANS.get((rule.metric, *rule.metric_labels.values()))

    def describe(feature: int) -> Mapping[str, Any]:
        floor = float(values[index_of("kl_noise_floor"), feature])
        found = top_bins(pair, feature) if mean is None else _raising(mean, pair, feature)
        return {"value": float(compared[feature]), "noise_floor": floor, "top_bins": found}

    return Judgement(verdicts_of(rule, compared, seen), describe)


def by_bound(rule: Rule, values: Floats, pair: Pair, seen: Floats) -> Judgement:
    """A calibrated rule where there is no time to weigh evidence over: the 99.9 % lower bound against the effect."""
    mean = rule.mean
    if mean:
        observed, effective = values[index_of("window_observations")], values[index_of("effective_observations")]
        phi = np.divide(observed, effective, out=np.ones(len(observed)), where=effective > 0)
        scores = rise_of(mean, pair, independent(pair.schema)).scores
        middle, lower, before = measure(pair, scores, phi, BOUND_LEVEL)
    else:
        middle, lower = values[index_of("kl_divergence_debiased")], values[index_of("kl_divergence_lower_bound")]
        before = np.full(len(middle), np.nan)
    widened = (middle - lower) * float(ndtri(SINGLE_LOOK_LEVEL) / ndtri(BOUND_LEVEL))

    def describe(feature: int) -> Mapping[str, Any]:
        return {
            "value": float(middle[feature]),
            **_beside(mean, values, pair, before, feature),
            "lower_bound": float(lower[feature]),
        }

    return Judgement(verdicts_of(rule, middle - widened, seen), describe)


def by_evidence(calibration: Calibration, finding: Finding, values: Floats, firing: NDArray[np.bool_]) -> Judgement:
    """Hold the newest finding against the budget and the effect."""

    def describe(feature: int) -> Mapping[str, Any]:
        log_r = float(finding.log_r[feature])
        since_pane = finding.closed_pane - int(finding.lag[feature]) + 1
        return {
            "value": float(finding.size[feature]),
            **_beside(calibration.mean, values, finding.pair, finding.before, feature),
            "lower_bound": float(finding.lower[feature]),
            "evidence_log10": float(finding.log10[feature]),
            "once_in_ms": calibration.once_in_ms(log_r),
            "drift_since_ms": since_pane * calibration.pane_ms,
        }

    return Judgement(finding.verdicts(calibration.effect, firing), describe)


def _beside(mean: Mean, values: Floats, pair: Pair, before: Floats, feature: int) -> Mapping[str, Any]:
    """Of KL its noise floor and largest terms; of a mean, which has no floor, the reference's and what raises it."""
    if mean:
        return {"reference_value": float(before[feature]), "top_bins": _raising(mean, pair, feature)}
    return {"noise_floor": float(values[index_of("kl_noise_floor"), feature]), "top_bins": top_bins(pair, feature)}


def _raising(mean: Mean, pair: Pair, feature: int) -> tuple[TopBin, ...]:
    return raising(pair, rise_of(mean, pair, independent(pair.schema)), feature)


def by_flags(flagged: Flagged, pair: Pair) -> Judgement:
    """A detector's word, which lasts for a while."""

    def describe(feature: int) -> Mapping[str, Any]:
        return {"value": float(flagged.mean[feature]), "top_bins": top_bins(pair, feature)}

    return Judgement(np.where(flagged.breach, Verdict.BREACH, Verdict.CLEAR).astype(np.int8), describe)


def rule_values(rule: Rule, values: Floats, pair: Pair) -> Floats:
    """float64[features]: what a rule compares; for the ratios the live share less the reference's."""
    seen: Floats = values[index_of(rule.metric, rule.metric_labels)]
    return seen - special_share(pair.p_raw, pair, rule.metric) if rule.metric in RATIOS else seen


def verdicts_of(rule: Rule, values: Floats, observations: Floats) -> NDArray[np.int8]:
    """int8[features]: Rule.verdict for all features at once."""
    clear_below = rule.above if rule.resolve_below is None else rule.resolve_below
    found = np.full(len(values), Verdict.BETWEEN, dtype=np.int8)
    found[values > rule.above] = Verdict.BREACH
    found[(values < clear_below) & ~(values > rule.above)] = Verdict.CLEAR
    found[(observations < rule.min_observations) | np.isnan(values)] = Verdict.UNKNOWN
    return found


def top_bins(pair: Pair, feature: int) -> tuple[TopBin, ...]:
    """The bins that contribute most to KL(Q||P), either way, largest first."""
    bins = pair.schema.bins(feature)
    terms = kl_qp(pair)[bins]
    labels, name = pair.schema.features[feature].binning.labels(), pair.schema.names[feature]
    order = np.argsort(-np.abs(terms), kind="stable")[:TOP_BINS]
    p, q = pair.p_raw[bins], pair.q_raw[bins]
    return tuple(TopBin(name, labels[k], float(p[k]), float(q[k]), float(terms[k])) for k in order)
