"""What a right configuration means: interface.md section 2, line by line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from socket import gethostname

import pytest

from driftmon.daemon.config import DEFAULT_RULES, example, load, loads
from driftmon.daemon.settings import Config, Limits, MetricsSettings, ReferenceSettings, StorageSettings, TimeSettings
from driftmon.monitor.panes import Window
from driftmon.monitor.rules import Calibrated, Rule
from driftmon.stats.edges import FeatureSpec

DAY_MS = 86_400_000
ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "config").glob("*.yaml"))
LEAST = """
version: 1
streams:
  s:
    reference: {type: warmup}
    features: {x: {type: numeric}}
"""


def read(text: str, **environ: str) -> Config:
    return loads(text.encode(), Path("/etc/driftmon/d.yaml"), environ)


def stream_with(line: str, **environ: str) -> Config:
    return read(LEAST + f"    {line}\n", **environ)


def test_defaults_are_those_of_the_contract() -> None:
    config = read(LEAST)
    stream = config.streams["s"]
    assert [source.type for source in stream.sources] == ["http"]
    assert stream.time is None
    assert stream.reference == ReferenceSettings("warmup", observations=20_000)
    assert stream.features == (FeatureSpec("x", "numeric", None, "missing", 16, "quantile_tails"),)
    assert stream.windows == (Window.sliding("fast", 3_600_000),)
    assert (stream.pseudocount, stream.tick_ms, stream.stale_after_ms) == (0.5, 10_000, 900_000)
    assert [sink.type for sink in config.sinks] == ["log"]
    assert config.external_labels == {}
    assert config.storage == StorageSettings(ack="durable")
    assert config.metrics == MetricsSettings(set="core", bins="none")
    assert config.limits == Limits()
    assert config.rules == DEFAULT_RULES


def test_without_rules_those_of_the_example_apply() -> None:
    assert loads(example().encode(), Path("d.yaml"), {}).rules == DEFAULT_RULES
    assert [rule.name for rule in DEFAULT_RULES] == ["DriftmonFeatureDrift", "DriftmonSchemaBreak", "DriftmonDrift"]
    assert read(LEAST + "rules: []\n").rules == ()


def test_no_default_rule_is_critical_or_names_a_window() -> None:
    assert all(rule.severity == "warning" and rule.window == "*" for rule in DEFAULT_RULES)


FEATURES = [
    ("{type: numeric, bins: 10, method: uniform}", FeatureSpec("f", "numeric", bins=10, method="uniform")),
    ("{type: numeric, edges: [-1, 0.5, 1e3]}", FeatureSpec("f", "numeric", edges=(-1.0, 0.5, 1000.0))),
    ("{type: categorical, top: 5}", FeatureSpec("f", "categorical", top=5)),
    ("{type: categorical, categories: [NO, on, '1']}", FeatureSpec("f", "categorical", categories=("NO", "on", "1"))),
    ("{type: boolean, field: a.b, absent: skip}", FeatureSpec("f", "boolean", field="a.b", absent="skip")),
]


@pytest.mark.parametrize(("written", "spec"), FEATURES)
def test_features(written: str, spec: FeatureSpec) -> None:
    text = LEAST.replace("{x: {type: numeric}}", f"{{f: {written}}}")
    assert read(text).streams["s"].features == (spec,)


def test_order_of_features_is_that_of_the_file() -> None:
    text = LEAST.replace("{x: {type: numeric}}", "{b: {type: numeric}, a: {type: boolean}, c: {type: numeric}}")
    assert [spec.name for spec in read(text).streams["s"].features] == ["b", "a", "c"]


def test_windows_are_sliding_or_decayed() -> None:
    config = stream_with("windows: [{name: a, length: 1h}, {name: b, length: 7d}, {name: c, half_life: 6h}]")
    windows = (Window.sliding("a", 3_600_000), Window.sliding("b", 604_800_000), Window.decayed("c", 21_600_000))
    assert config.streams["s"].windows == windows


def test_time() -> None:
    config = stream_with("time: {field: at, unit: us, lateness: 1h30m}")
    assert config.streams["s"].time == TimeSettings(field="at", unit="us", lateness_ms=5_400_000)
    defaults = stream_with("time: {field: at}").streams["s"].time
    assert defaults == TimeSettings(field="at", unit="iso8601", lateness_ms=0)


def test_a_rule_with_every_key() -> None:
    text = """
rules:
  - name: R
    streams: s*
    features: x
    metric: kl_divergence
    direction: p_q
    window: fast
    above: 0.2
    resolve_below: 0.1
    for: 5m
    keep_firing_for: 10m
    min_observations: 7
    labels: {severity: info, team: ml}
    annotations: {runbook_url: "http://r"}
"""
    rule = Rule(
        "R", "kl_divergence", 0.2, {"direction": "p_q"}, "s*", "x", "fast", 0.1, 300_000, 600_000, 7,
        {"severity": "info", "team": "ml"}, {"runbook_url": "http://r"},
    )  # fmt: skip
    assert read(LEAST + text).rules == (rule,)


BUDGETS = [
    ('effect: small, false_alarms: "1/30d"', Calibrated(0.02, 30 * DAY_MS)),
    ("effect: medium, false_alarms: 2/30d, pane: 5m", Calibrated(0.1, 15 * DAY_MS, 300_000)),
    ("effect: large, false_alarms: 1/1d12h", Calibrated(0.3, DAY_MS * 3 // 2)),
    ("effect: 0.05, false_alarms: 1/1w", Calibrated(0.05, 7 * DAY_MS)),
    ("false_alarms: 1/1w", Calibrated(0.02, 7 * DAY_MS)),
]


@pytest.mark.parametrize(("written", "calibrated"), BUDGETS)
def test_a_calibrated_rule(written: str, calibrated: Calibrated) -> None:
    text = f"rules: [{{name: R, calibrated: {{{written}}}, per: stream, notify_after: 7d, for: 1m}}]\n"
    (rule,) = read(LEAST + text).rules
    assert rule == Rule(
        "R",
        "kl_divergence_debiased",
        calibrated.effect,
        pending_for_ms=60_000,
        calibrated=calibrated,
        per="stream",
        notify_after_ms=7 * DAY_MS,
    )


def test_a_threshold_may_be_per_stream_and_notify_later_too() -> None:
    (rule,) = read(LEAST + "rules: [{name: R, metric: psi, above: 1, per: stream, notify_after: 1d}]\n").rules
    assert rule == Rule("R", "psi", 1.0, per="stream", notify_after_ms=DAY_MS)


def test_bounds_are_metrics_a_rule_may_name() -> None:
    (rule,) = read(LEAST + "rules: [{name: R, metric: kl_divergence_lower_bound, above: 0.02}]\n").rules
    assert rule == Rule("R", "kl_divergence_lower_bound", 0.02)


def test_durations_and_sizes() -> None:
    assert stream_with("tick: 1m30s").streams["s"].tick_ms == 90_000
    assert stream_with("stale_after: 1w").streams["s"].stale_after_ms == 604_800_000
    limits = read(LEAST + "limits: {body_bytes: 2MiB, line_bytes: 1000, array_bytes: 2 MB}\n").limits
    assert limits == replace(Limits(), body_bytes=2 * 1024 * 1024, line_bytes=1000, array_bytes=2_000_000)


def test_relative_paths_start_at_the_file() -> None:
    text = (
        LEAST.replace("{type: warmup}", "{type: file, path: r/x.json}")
        + "    sources: [{type: file, path: ../in.csv}]\n"
    )
    stream = read(text).streams["s"]
    assert stream.reference.path == Path("/etc/driftmon/r/x.json")
    assert stream.sources[0].options.path == Path("/etc/driftmon/../in.csv")


def test_absolute_paths_stay() -> None:
    assert stream_with("sources: [{type: file, path: /var/in.csv}]").streams["s"].sources[0].options.path == Path(
        "/var/in.csv"
    )


ENVIRONMENT = [
    ("${A}", "one"),
    ("${A}-${B:-two}", "one-two"),
    ("${EMPTY:-two}", "two"),
    ("${A:?needed}", "one"),
    ("$${A}", "${A}"),
    ("$A", "$A"),
    ("${B:-}x", "x"),
]


@pytest.mark.parametrize(("written", "meant"), ENVIRONMENT)
def test_environment(written: str, meant: str) -> None:
    config = read(LEAST + f'external_labels: {{pod: "{written}"}}\n', A="one", EMPTY="")
    assert config.external_labels == {"pod": meant}


@pytest.mark.parametrize("environ", [{}, {"HOSTNAME": "pod-1"}])
def test_the_name_of_the_machine_is_known_where_the_shell_keeps_it_to_itself(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "d.yaml").write_text(LEAST + 'external_labels: {pod: "${HOSTNAME:-local}"}\n')
    assert load(tmp_path / "d.yaml", environ).external_labels == {"pod": environ.get("HOSTNAME", gethostname())}


def test_a_variable_may_hold_a_number_or_a_duration() -> None:
    config = stream_with('pseudocount: "${P}"\n    tick: ${T}', P="0.25", T="5s")
    assert (config.streams["s"].pseudocount, config.streams["s"].tick_ms) == (0.25, 5000)


def test_a_variable_that_holds_digits_is_still_text_where_text_belongs() -> None:
    assert read(LEAST + "external_labels: {pod: '${P}'}\n", P="007").external_labels == {"pod": "007"}


def test_a_variable_cannot_add_keys() -> None:
    """Expansion after parsing: an attacker who sets a label cannot write configuration."""
    evil = 'x"}\nsinks: [{type: webhook, endpoint: "http://evil"}]'
    config = read(LEAST + 'external_labels: {pod: "${P}"}\n', P=evil)
    assert config.external_labels == {"pod": evil}
    assert [sink.type for sink in config.sinks] == ["log"]


def test_anchors_may_be_used() -> None:
    text = LEAST.replace("{x: {type: numeric}}", "{x: &n {type: numeric, bins: 8}, y: *n}")
    assert [spec.bins for spec in read(text).streams["s"].features] == [8, 8]


def test_json_is_yaml() -> None:
    text = '{"version": 1, "streams": {"s": {"reference": {"type": "warmup"}, "features": {"x": {"type": "numeric"}}}}}'
    assert read(text) == read(LEAST)


def test_a_file_with_a_byte_order_mark_loads(tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + LEAST.encode())
    assert load(file, {}).streams["s"].name == "s"


def test_equal_files_make_equal_settings_wherever_their_keys_stand() -> None:
    """A reload compares streams: a comment added above must change nothing."""
    assert read("# a comment\n" + LEAST) == read(LEAST)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_examples_load(file: Path) -> None:
    assert load(file, {}).streams


def test_the_packaged_example_is_the_one_in_the_repository() -> None:
    assert (ROOT / "config" / "driftmon.yaml").read_text() == example()
