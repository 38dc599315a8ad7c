"""References and secrets that a configuration names, and what a valid one cannot promise."""
# ruff: noqa: E501  a message stands on one line, as users see it

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from driftmon.cli.support.fleet_plan import plan_of
from driftmon.daemon.cautions import cautions, series
from driftmon.daemon.config import ConfigError, loads
from driftmon.daemon.on_disk import load_reference, load_references
from driftmon.daemon.promises import family, features, promise
from driftmon.daemon.redaction import plain
from driftmon.daemon.settings import Config
from driftmon.monitor.rules import Calibrated, Rule
from driftmon.monitor.snapshot import Snapshot
from driftmon.stats import dispersion
from driftmon.stats.binnings import boolean, categorical, numeric
from driftmon.stats.schema import Feature, Schema

TEXT = """\
version: 1
streams:
  s:
    reference: {type: file, path: r.json}
    features:
      x: {type: numeric, edges: [1, 2]}
      c: {type: categorical}
"""
THRESHOLD = "rules: [{name: R, metric: psi, above: 1}]\n"
X = Feature("x", numeric.Binning((1.0, 2.0)))
C = Feature("c", categorical.Binning(("a", "b")))


def config_in(folder: Path, text: str = TEXT) -> Config:
    return loads(text.encode(), folder / "d.yaml", {})


def put(folder: Path, *features: Feature, each: int = 1000) -> Snapshot:
    schema = Schema(features)
    counts = np.where(schema.regular, each, 0).astype(np.int64)
    measured = dispersion.dispersion(schema, np.tile(counts, (20, 1)))
    assert measured is not None
    snapshot = Snapshot(schema, counts, dispersion=dispersion.as_dict(schema, measured, "time"))
    (folder / "r.json").write_bytes(snapshot.to_bytes())
    return snapshot


def faults(config: Config) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load_references(config)
    return [str(fault).replace(f"{config.path.parent}/", "") for fault in raised.value.faults]


def told(folder: Path, text: str) -> list[str]:
    config = config_in(folder, text)
    return [str(caution).replace(f"{folder}/", "") for caution in cautions(config, load_references(config))]


def test_a_reference_of_the_same_schema_is_taken_whatever_its_order(tmp_path: Path) -> None:
    snapshot = put(tmp_path, C, X)
    found = load_references(config_in(tmp_path))
    assert found["s"].to_bytes() == snapshot.to_bytes()


def test_a_warm_up_has_no_file(tmp_path: Path) -> None:
    config = config_in(tmp_path, TEXT.replace("{type: file, path: r.json}", "{type: warmup}"))
    assert load_reference(config.streams["s"]) is None
    assert load_references(config) == {}


MADE = "driftmon reference build DATA --config.file d.yaml --stream s -o r.json"
PLACE = "d.yaml:4  streams.s.reference"

SCHEMAS = [
    ((X,), "it has no c"),
    ((X, C, Feature("y", boolean.Binning())), "the configuration has no y"),
    ((X, Feature("c", boolean.Binning())), "c is boolean there and categorical here"),
    ((Feature("x", X.binning, "a.x"), C), "x is field a.x there and x here"),
    ((Feature("x", X.binning, None, "skip"), C), "x has absent: skip there and missing here"),
    ((Feature("x", numeric.Binning((1.0, 3.0))), C), "x has other edges"),
]


@pytest.mark.parametrize(("features", "difference"), SCHEMAS)
def test_a_reference_of_another_schema(tmp_path: Path, features: tuple[Feature, ...], difference: str) -> None:
    put(tmp_path, *features)
    fault = f"r.json was counted with another schema: {difference}; make it again: {MADE}"
    assert faults(config_in(tmp_path)) == [f"{PLACE}: {fault}"]


def test_a_reference_with_another_vocabulary(tmp_path: Path) -> None:
    put(tmp_path, X, C)
    config = config_in(tmp_path, TEXT.replace("{type: categorical}", "{type: categorical, categories: [b, a]}"))
    assert faults(config) == [
        f"{PLACE}: r.json was counted with another schema: c has other categories; make it again: {MADE}"
    ]


def test_a_field_that_is_the_name_is_no_difference(tmp_path: Path) -> None:
    put(tmp_path, Feature("x", X.binning, "x"), C)
    assert load_references(config_in(tmp_path))["s"].schema.names == ("x", "c")


def test_no_reference_yet(tmp_path: Path) -> None:
    assert faults(config_in(tmp_path)) == [
        f"{PLACE}: r.json cannot be read, no such file or directory; make it: {MADE}"
    ]


def test_a_reference_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("{}")
    (fault,) = faults(config_in(tmp_path))
    assert fault.startswith(f"{PLACE}: r.json is no usable reference, not a snapshot")
    assert fault.endswith(f"; or make it again: {MADE}")


def test_every_file_is_looked_at(tmp_path: Path) -> None:
    sink = 'sinks: [{type: webhook, endpoint: "http://h", secret_file: no.secret}]\n'
    secret = "d.yaml:8  sinks[0].secret_file: no.secret cannot be read, no such file or directory; make it, or correct the path"
    assert faults(config_in(tmp_path, TEXT + sink))[1:] == [secret]
    put(tmp_path, X, C)
    (tmp_path / "no.secret").write_text("s")
    assert set(load_references(config_in(tmp_path, TEXT + sink))) == {"s"}


CAUTIONS = [
    ("", []),
    ("    tick: 2m\n", ["d.yaml:8  streams.s.tick: 2m is longer than the shortest pane, 1m; use 1m or less, or alerts come late"]),
    ("    stale_after: 5s\n", ["d.yaml:8  streams.s.stale_after: 5s is no longer than tick; raise it, or features turn stale between two ticks"]),
    ("    sources: [{type: file, path: in.csv}]\n", ["d.yaml:8  streams.s.sources[0].path: in.csv is not there yet; make it, or correct the path"]),
    ("rules: []\n", ["d.yaml:8  rules: there is none, so nothing will ever alert; leave `rules` out for the default ones"]),
    ("rules: [{name: R, metric: psi, above: 1, features: 'y*'}]\n", ["d.yaml:8  rules[0]: R watches nothing; widen streams, features or window"]),
    ("rules: [{name: R, metric: ks_distance, above: 1, features: c}]\n", ["d.yaml:8  rules[0]: R watches nothing; widen streams, features or window"]),
    ('sinks: [{type: alertmanager, endpoint: "http://a"}]\nrules: [{name: R, metric: psi, above: 1}]\n', ["d.yaml:8  sinks[0]: replicas will resolve each other's alerts without external_labels; set external_labels: {pod: \"${HOSTNAME:-local}\"}"]),
    ('sinks: [{type: alertmanager, endpoint: "http://a"}]\nexternal_labels: {pod: a}\n', ["d.yaml:8  sinks[0]: each pod pushes DriftmonDrift and DriftmonFeatureDrift and DriftmonSchemaBreak; Prometheus with deploy/rules alerts on the same for all pods; leave one of the two out"]),
    ('sinks: [{type: alertmanager, endpoint: "http://a"}]\nexternal_labels: {pod: a}\nrules: [{name: R, metric: psi, above: 1}]\n', []),
    ('sinks: [{type: alertmanager, endpoint: "http://a"}]\nexternal_labels: {pod: a}\nrules: [{name: DriftmonSchemaBreak, metric: invalid_ratio, above: 0.1}]\n', ["d.yaml:8  sinks[0]: each pod pushes DriftmonSchemaBreak; Prometheus with deploy/rules alerts on the same for all pods; leave one of the two out, or name the rules otherwise"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "messages"), CAUTIONS)
def test_cautions(tmp_path: Path, text: str, messages: list[str]) -> None:
    put(tmp_path, X, C)
    assert told(tmp_path, TEXT + text) == messages


def test_more_series_than_the_limit(tmp_path: Path) -> None:
    put(tmp_path, X, C)
    config = config_in(tmp_path)
    count = series(config, load_references(config))
    fault = f"{count} series are more than {count - 1}, features will be left out"
    cure = f"raise it to {count}, or use metrics: {{set: core}}, fewer features or windows"
    assert told(tmp_path, TEXT + f"limits: {{series: {count - 1}}}\n") == [f"d.yaml:8  limits.series: {fault}; {cure}"]
    assert told(tmp_path, TEXT + f"limits: {{series: {count}}}\n") == []


def test_a_feature_the_reference_knows_nothing_of(tmp_path: Path) -> None:
    snapshot = put(tmp_path, X, C)
    counts = snapshot.counts.copy()
    counts[snapshot.schema.bins(1)] = [0, 0, 0, 0, 50]
    (tmp_path / "r.json").write_bytes(replace(snapshot, counts=counts).to_bytes())
    cure = "is c its field? Correct it, or leave the feature out"
    fault = f"the reference says nothing of it, none of its 50 records held a value; {cure}"
    assert told(tmp_path, TEXT + THRESHOLD) == [f"d.yaml:7  streams.s.features.c: {fault}"]


def test_fewer_bins_than_the_reference_has_change_nothing_and_are_named(tmp_path: Path) -> None:
    """Taking `reference show`'s advice without building the reference again was silent."""
    fault = "{} bins are asked for, but the reference was counted with {}, and these hold; build the reference again"
    put(tmp_path, X, Feature("c", categorical.Binning(("a", "b", "d"))))
    text = TEXT.replace("edges: [1, 2]", "bins: 2").replace("categorical}", "categorical, top: 2}") + THRESHOLD
    places = [("d.yaml:6  streams.s.features.x.bins", 2, 3), ("d.yaml:7  streams.s.features.c.top", 2, 3)]
    assert told(tmp_path, text) == [f"{place}: {fault.format(asked, has)}" for place, asked, has in places]
    assert told(tmp_path, text.replace("bins: 2", "bins: 3").replace("top: 2", "top: 3")) == []


def test_a_threshold_within_noise_is_named_and_a_higher_one_is_not(tmp_path: Path) -> None:
    put(tmp_path, X, C)
    rule = "rules: [{{name: R, metric: kl_divergence_debiased, above: {above}, min_observations: 20}}]\n"
    (caution,) = told(tmp_path, TEXT + rule.format(above=0.05))
    assert caution.startswith("d.yaml:8  rules[0].above: 0.05 nats is within noise: with 20 observations s.")
    assert caution.endswith(" in one window of 100 without any drift; raise min_observations or above")
    assert told(tmp_path, TEXT + rule.format(above=1)) == []


def test_series_grow_with_windows_and_with_the_set(tmp_path: Path) -> None:
    put(tmp_path, X, C)
    counts = []
    for more in (
        "",
        "    windows: [{name: a, length: 1h}, {name: b, length: 2h}]\n",
        "metrics: {set: full, bins: window}\n",
    ):
        config = config_in(tmp_path, TEXT + more)
        counts.append(series(config, load_references(config)))
    assert counts[0] < counts[1]
    assert counts[0] < counts[2]


BUDGET = 'rules: [{name: R, calibrated: {effect: EFFECT, false_alarms: "1/30d"}, features: FEATURES}]\n'


def with_effect(effect: str, features: str = "'*'") -> str:
    return TEXT + BUDGET.replace("EFFECT", effect).replace("FEATURES", features)


def test_a_reference_too_small_for_the_effect_is_told_the_size_and_the_effect_that_would_do(tmp_path: Path) -> None:
    put(tmp_path, X, C, each=10)
    fault = "s.c has 20 observations in the reference, not enough to tell 0.1 nats from its own error, 1 more like it"
    assert told(tmp_path, with_effect("medium")) == [
        f"d.yaml:8  rules[0].calibrated.effect: {fault}; build it from 370 records, or use effect: 1"
    ]
    assert told(tmp_path, with_effect("1", "'*'")) == []
    put(tmp_path, X, C, each=124)
    assert told(tmp_path, with_effect("medium", "x")) == []


def test_a_rule_is_only_told_of_features_it_watches(tmp_path: Path) -> None:
    snapshot = put(tmp_path, X, C)
    counts = snapshot.counts.copy()
    counts[snapshot.schema.bins(1)] = [5, 5, 0, 0, 0]
    (tmp_path / "r.json").write_bytes(replace(snapshot, counts=counts).to_bytes())
    assert told(tmp_path, with_effect("medium", "x")) == []
    assert len(told(tmp_path, with_effect("medium", "c"))) == 1


def test_a_reference_without_blocks_assumes_independent_rows(tmp_path: Path) -> None:
    snapshot = put(tmp_path, X, C)
    (tmp_path / "r.json").write_bytes(replace(snapshot, dispersion={}).to_bytes())
    fault = "it holds too few blocks of records to measure dispersion, so calibrated rules assume independent rows"
    cure = "build it from 20 panes of time or more, or 1280 records in their order"
    assert told(tmp_path, TEXT) == [f"d.yaml:4  streams.s.reference: {fault}; {cure}"]
    assert told(tmp_path, TEXT + THRESHOLD) == []


def test_a_warm_up_too_short_for_the_effect(tmp_path: Path) -> None:
    text = TEXT.replace("{type: file, path: r.json}", "{type: warmup, observations: 1000}")
    fault = "1000 records may be too few to tell 0.02 nats from the reference's own error, c has up to 67 bins"
    assert told(tmp_path, text) == [
        f"d.yaml:4  streams.s.reference.observations: {fault}; use 10726, or a larger effect"
    ]
    assert told(tmp_path, text.replace("1000", "10726")) == []
    assert told(tmp_path, text + THRESHOLD) == []


MEAN = """\
rules:
  - {name: D, calibrated: {effect: 0.1, false_alarms: "1/30d"}}
  - {name: S, calibrated: {mean: surprisal, effect: EFFECT, false_alarms: "1/30d"}}
"""


def test_a_rule_on_a_mean_shares_the_budget_with_the_others(tmp_path: Path) -> None:
    config = config_in(tmp_path, TEXT + MEAN.replace("EFFECT", "0.1"))
    rule, streams = config.rules[1], config.streams.values()
    assert (rule.mean, rule.metric, rule.above) == ("surprisal", "mean_surprisal", 0.1)
    assert family(config.rules, streams) == 4
    assert rule.calibrated is not None
    said = promise(rule, rule.calibrated, streams, 4)
    assert said.startswith("mean surprisal risen by at least 0.1 nats, by evidence, an alert per feature; at most one")
    assert "over 2 features of 1 stream, all calibrated rules together (4 pairs of rule and feature), " in said
    assert plain(rule)["calibrated"] == {"effect": 0.1, "false_alarms": "1/30d", "mean": "surprisal"}
    loss = replace(rule, calibrated=replace(rule.calibrated, mean="log_loss"))
    assert features(loss, config.streams["s"]) == [], "of losses only"


def test_a_reference_too_small_for_a_mean_is_told_so(tmp_path: Path) -> None:
    put(tmp_path, X, C, each=50)
    assert any("not enough to tell 0.1 nats" in line for line in told(tmp_path, TEXT + MEAN.replace("EFFECT", "0.1")))
    put(tmp_path, X, C, each=100_000)
    assert told(tmp_path, TEXT + MEAN.replace("EFFECT", "0.1")) == []


def test_the_fleet_is_told_of_a_mean_by_its_pods(tmp_path: Path) -> None:
    plan = plan_of(config_in(tmp_path, TEXT + MEAN.replace("EFFECT", "0.1")))
    assert [one.alert for one in plan.judged] == ["S"]
    assert [one.effect for one in plan.budgets] == [0.1]


def test_the_family_is_every_feature_of_every_stream_that_calibrated_rules_watch(tmp_path: Path) -> None:
    two = TEXT.replace("version: 1\nstreams:\n", "").replace("  s:", "  t:")
    config = config_in(tmp_path, TEXT + two)
    calibrated = Rule("R", "kl_divergence_debiased", 0.02, calibrated=Calibrated(0.02, 86_400_000))
    streams = config.streams.values()
    assert family(config.rules, streams) == 4
    assert family([replace(calibrated, streams="t"), replace(calibrated, features="x")], streams) == 4, (
        "each rule can cry wolf"
    )
    assert family([replace(calibrated, features="nobody"), Rule("S", "psi", 1.0)], streams) == 1
