"""Which samples a report gives, and which it leaves out."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from driftmon.monitor.report import Report
from driftmon.render.catalogue import Selection
from driftmon.render.openmetrics import Histogram
from driftmon.render.series import families

FULL = Selection("full", "window", 10**6)


def values(reports: Mapping[str, Report], selection: Selection = FULL) -> dict[str, dict[tuple[str, ...], float]]:
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in families(reports, selection):
        for labels, value in family.samples:
            assert not isinstance(value, Histogram)
            assert labels not in found.setdefault(family.metric.name, {}), "a series is there once"
            found[family.metric.name][labels] = value
    return found


def test_values_are_those_of_the_report(drifted: Report) -> None:
    found = values({"flights": drifted})
    assert found["driftmon_kl_divergence_nats"]["flights", "delay", "fast", "q_p"] == drifted.value(
        0, 0, "kl_divergence", direction="q_p"
    )
    assert found["driftmon_entropy_nats"]["flights", "carrier", "slow", "live"] == drifted.value(
        1, 1, "entropy", distribution="live"
    )


def test_missing_invalid_and_unseen_are_counted_each_in_its_own(drifted: Report) -> None:
    found, key = values({"flights": drifted}), ("flights", "carrier")
    names = ("missing", "invalid", "unseen")
    assert [found[f"driftmon_{name}_values_total"][key] for name in names] == [60, 10, 30]
    assert [found[f"driftmon_{name}_ratio"][*key, "fast"] for name in names] == [0.2, 10 / 300, 0.1]
    assert found["driftmon_invalid_value_reasons_total"][*key, "nested"] == 10
    assert found["driftmon_invalid_value_reasons_total"]["flights", "delay", "text"] == 0


def test_surprisal_over_observations_is_the_unsmoothed_cross_entropy(drifted: Report) -> None:
    found, pair = values({"flights": drifted}), drifted.pairs[0]
    bins = drifted.schema.bins(0)
    expected = -sum(q * math.log(p) for q, p in zip(pair.q_raw[bins], pair.p[bins], strict=True))
    surprisal = found["driftmon_surprisal_nats_total"]["flights", "delay"]
    assert surprisal / found["driftmon_observations_total"]["flights", "delay"] == pytest.approx(expected, abs=1e-12)


def test_nothing_observed_is_absence_not_zero(empty: Report) -> None:
    found = values({"idle": empty})
    assert "driftmon_kl_divergence_nats" not in found
    assert "driftmon_last_observation_timestamp_seconds" not in found
    assert set(found["driftmon_entropy_nats"]) == {
        ("idle", name, window, "reference") for name in empty.schema.names for window in ("fast", "slow")
    }


def test_what_counts_is_there_from_the_start_at_zero(empty: Report) -> None:
    found = values({"idle": empty}, Selection("full", "counters"))
    for name in ("window_observations", "observations_total", "alert_state", "bin_observations_total"):
        assert set(found[f"driftmon_{name}"].values()) == {0}
    assert len(found["driftmon_bin_observations_total"]) == empty.schema.width


def test_alert_states_name_every_watched_window(drifted: Report) -> None:
    found = values({"flights": drifted})["driftmon_alert_state"]
    assert found["flights", "delay", "fast", "Drift", "warning"] == 2
    assert found["flights", "cancelled", "fast", "Drift", "warning"] == 0
    assert found["flights", "carrier", "fast", "Break", "info"] == 2
    assert not [labels for labels in found if labels[3] == "Elsewhere"]


def test_evidence_has_one_alert_in_the_shortest_window_and_a_stream_one_without_feature(judged: Report) -> None:
    found = values({"flights": judged})["driftmon_alert_state"]
    assert {labels[1:4]: state for labels, state in found.items()} == {
        ("delay", "fast", "Evidence"): 2,
        ("carrier", "fast", "Evidence"): 0,
        ("cancelled", "fast", "Evidence"): 0,
        ("", "fast", "Together"): 2,
        ("", "day", "Any"): 0,
        ("", "fast", "Any"): 0,
    }


def test_bounds_enclose_the_value_and_evidence_names_the_feature(judged: Report) -> None:
    found = values({"flights": judged})
    key = ("flights", "delay", "fast")
    lower, middle, upper = (
        found[f"driftmon_kl_divergence_{name}_nats"][key] for name in ("lower_bound", "debiased", "upper_bound")
    )
    assert 0 < lower < middle < upper
    evidence = found["driftmon_evidence_log10"]
    assert evidence["flights", "delay"] > 6 > evidence["flights", "carrier"]
    assert list(found["driftmon_overdispersion_ratio"].values()) == judged.overdispersion.tolist()


def test_a_threshold_is_exported_once_whatever_the_streams(drifted: Report, empty: Report) -> None:
    found = values({"flights": drifted, "idle": empty})["driftmon_rule_threshold"]
    assert found == {("Drift",): 0.1, ("Break",): 0.05, ("Elsewhere",): 0.2}


def test_a_warming_stream_has_a_status_and_nothing_else_of_its_features(warming: Report) -> None:
    found = values({"young": warming})
    assert set(found) == {"driftmon_feature_status_code", "driftmon_series_limit_exceeded"}
    assert set(found["driftmon_feature_status_code"].values()) == {5}


def test_bins_of_the_window_sum_to_its_observations(drifted: Report) -> None:
    found = values({"flights": drifted})
    bins = found["driftmon_window_bin_observations"]
    total = sum(count for labels, count in bins.items() if labels[:3] == ("flights", "delay", "fast"))
    assert total == found["driftmon_window_observations"]["flights", "delay", "fast"] == 300


def test_smoothed_p_can_be_recomputed_from_what_is_exported(drifted: Report) -> None:
    found = values({"flights": drifted})
    a, n = (
        found["driftmon_smoothing_pseudocount"]["flights",],
        found["driftmon_reference_observations"]["flights", "delay"],
    )
    bins = {labels[2]: p for labels, p in found["driftmon_reference_bin_ratio"].items() if labels[1] == "delay"}
    assert sum(bins.values()) == pytest.approx(1, abs=1e-12)
    assert bins["missing"] == a / (n + a * len(bins))


@pytest.mark.parametrize("limit", [0, 1, 60, 100])
def test_beyond_the_limit_core_is_exported_without_the_excess_features(
    drifted: Report, empty: Report, limit: int
) -> None:
    found = values({"flights": drifted, "idle": empty}, Selection("full", "window", limit))
    left_out = found["driftmon_series_limit_exceeded"]
    kept = {labels[:2] for labels in found.get("driftmon_observations_total", {})}
    assert len(kept) + sum(left_out.values()) == 8
    assert "driftmon_psi_nats" not in found
    assert "driftmon_window_bin_observations" not in found
    features = {name: series for name, series in found.items() if "limit_exceeded" not in name}
    assert sum(map(len, features.values())) <= max(limit, 10), (
        "streams and rules speak for themselves even without room"
    )


def test_a_feature_is_exported_whole_or_not_at_all(drifted: Report) -> None:
    found = values({"flights": drifted}, Selection(limit=60))
    kept = {labels[1] for labels in found["driftmon_observations_total"]}
    assert 0 < len(kept) < 4
    for name in ("kl_divergence_nats", "alert_state", "feature_status_code", "window_observations"):
        assert {labels[1] for labels in found[f"driftmon_{name}"]} <= kept


def test_below_the_limit_nothing_is_left_out(reports: Mapping[str, Report]) -> None:
    assert set(values(reports)["driftmon_series_limit_exceeded"].values()) == {0}
