"""Every mistake one can make in a configuration, and the very message it gets: place, fault, cure."""
# ruff: noqa: E501  a message stands on one line, as users see it

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.daemon.config import ConfigError, Fault, example, load, loads

# Line 7 is free for a key of the stream, line 8 for one of the top.
BASE = """\
version: 1
streams:
  s:
    reference: {type: warmup}
    features:
      x: {type: numeric}
    STREAM
TOP
"""


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        loads(text.encode(), Path("d.yaml"), {"EMPTY": ""})
    return [str(fault) for fault in raised.value.faults]


def with_stream(line: str) -> str:
    return BASE.replace("STREAM", line).replace("TOP\n", "")


def with_top(line: str) -> str:
    return BASE.replace("    STREAM\n", "").replace("TOP", line)


STREAM = [
    ("tick: 10", "tick: must be a duration, is the number 10; write it like 30s, 5m, 1h30m or 7d"),
    ("tick: soon", 'tick: must be a duration, is the text "soon"; write it like 30s, 5m, 1h30m or 7d'),
    ("tick: 1s1m", 'tick: must be a duration, is the text "1s1m"; write it like 30s, 5m, 1h30m or 7d'),
    ("tick: [1s]", "tick: must be a duration, is a list; write it like 30s, 5m, 1h30m or 7d"),
    ("tick: 1ms", "tick: must be at least 100ms, is 1ms; raise it"),
    ("tick:", "tick: is empty; give it a value, or remove the key"),
    ("stale_after: 0s", "stale_after: must be at least 1s, is 0ms; raise it"),
    ("pseudocount: 0", "pseudocount: must be more than 0, is 0; raise it"),
    ("pseudocount: half", 'pseudocount: must be a number, is the text "half"; write it in digits, without quotes'),
    ("pseudocount: '1'", 'pseudocount: must be a number, is the text "1"; write it in digits, without quotes'),
    ("pseudocount: true", "pseudocount: must be a number, is the boolean true; write it in digits, without quotes"),
    ("pseudocount: .inf", "pseudocount: must be finite, is inf; use a finite number"),
    ("pseudocout: 1", "pseudocout: unknown key; did you mean pseudocount?"),
    ("<<: {}", '"<<": merge keys are not read; repeat the keys'),
    ("segments: {field: origin}", "segments: not available yet; remove it, or use a later driftmon"),
    ("overload: drop", "overload: drop is none of block, sample; use one of them"),
    ("time: at", 'time: must be keys and values, is the text "at"; write key: value'),
    ("time: {}", "time.field: missing; write field: time"),
    ("time: {field: at, unit: days}", "time.unit: days is none of iso8601, s, ms, us, ns; use one of them"),
    ("time: {field: at, unit: iso}", "time.unit: iso is none of iso8601, s, ms, us, ns; did you mean iso8601?"),
    ("time: {field: 3}", 'time.field: must be text, is the number 3; quote it: "3"'),
    ("time: {field: ''}", "time.field: is empty; write field: time"),
    ("time: {field: x.y}", "features: x is read as one value and, by x.y, as a map; drop one of the two"),
    ("sources: []", "sources: is empty; write at least one"),
    ("sources: http", 'sources: must be a list, is the text "http"; write [a, b], or one `- item` a line'),
    ("sources: [http]", 'sources[0]: must be keys and values, is the text "http"; write {type: ...}'),
    ("sources: [{path: a}]", "sources[0].type: missing; write type: and one of file, http, stdin, unix"),
    ("sources: [{type: htp}]", "sources[0].type: htp is no source; did you mean http?"),
    ("sources: [{type: base}]", "sources[0].type: base is no source; there are file, http, stdin, unix"),
    ("sources: [{type: kafka}]", "sources[0].type: kafka is not available yet; use one of file, http, stdin, unix"),
    ("sources: [{type: http, port: 1}]", "sources[0].port: unknown key; remove it; nothing can be set here"),
    ("sources: [{type: file}]", "sources[0].path: missing; write path: ... (the file; it may end in .gz unless it is followed)"),
    ("sources: [{type: file, path: a, follow: yes}]", 'sources[0].follow: must be true or false, is the text "yes"; write true or false, without quotes'),
    ("sources: [{type: file, path: a, folow: true}]", "sources[0].folow: unknown key; did you mean follow?"),
    ("sources: [{type: file, path: '${HERE}'}]", "sources[0].path: HERE is not set in the environment; set it, or give a default: ${HERE:-default}"),
    ("sources: [{type: http}, {type: http}]", "sources[1]: the same as sources[0], so records would count twice; remove one"),
    ("windows: []", "windows: is empty; write at least one"),
    ("windows: [{length: 1h}]", "windows[0].name: missing; write name: fast"),
    ("windows: [{name: a}]", "windows[0].length: missing; write length: 1h or half_life: 6h, one of the two"),
    ("windows: [{name: a, length: 1h, half_life: 1h}]", "windows[0].length: half_life is there too; write length: 1h or half_life: 6h, one of the two"),
    ("windows: [{name: evidence, length: 1h}]", "windows[0].name: evidence is what driftmon calls the panes of its own; use another name"),
    ("windows: [{name: a, length: 61ms}]", "windows[0].length: 61ms does not split into 60 panes of whole milliseconds; use 120ms"),
    ("windows: [{name: a, half_life: 7ms}]", "windows[0].half_life: 7ms does not split into 6 panes of whole milliseconds; use 12ms"),
    ("windows: [{name: a, length: 1h}, {name: a, length: 2h}]", "windows[1].name: a is the name of windows[0] too; rename one"),
    ("windows: [{name: a, length: 60s}, {name: b, length: 90s}]", "windows[1].length: its panes of 1500 ms are no multiple of 1000 ms, those of a; make its length a multiple of 1m"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), STREAM)
def test_in_a_stream(line: str, message: str) -> None:
    at = 5 if message.startswith("features") else 7
    assert faults(with_stream(line)) == [f"d.yaml:{at}  streams.s.{message}"]


TOP = [
    ("version: 1", "version: stands on line 1 already; keep one of the two"),
    ("rule: []", "rule: unknown key; did you mean rules?"),
    ("auth: {}", "auth: not available yet; remove it, or use a later driftmon"),
    ("sinks: [{type: slack}]", "sinks[0].type: slack is no sink; there are alertmanager, log, webhook"),
    ("sinks: [{type: log, level: info}]", "sinks[0].level: unknown key; remove it; nothing can be set here"),
    ("external_labels: [a]", "external_labels: must be names and values, is a list; write name: value"),
    ("external_labels: {pod: 7}", 'external_labels.pod: must be text, is the number 7; quote it: "7"'),
    ("external_labels: {stream: a}", "external_labels.stream: driftmon sets this label itself; use another name"),
    ("external_labels: {severity: a}", "external_labels.severity: driftmon sets this label itself; use another name"),
    ("external_labels: {a-b: c}", "external_labels.a-b: no label name; use letters, digits and _, not starting with a digit or __"),
    ("external_labels: {pod: '${EMPTY:?name of the pod}'}", "external_labels.pod: EMPTY is not set in the environment: name of the pod; set it"),
    ("external_labels: {pod: '${A:-${B}}'}", "external_labels.pod: ${ within the default of A; name one variable; they do not nest"),
    ("external_labels: {pod: '${'}", "external_labels.pod: ${ without a name and }; write ${NAME} or ${NAME:-default}, or $${ for the signs ${"),
    ("storage: {ack: never}", "storage.ack: never is none of durable, memory; use one of them"),
    ("metrics: {set: cores}", "metrics.set: cores is none of core, full; did you mean core?"),
    ("metrics: {bins: all}", "metrics.bins: all is none of none, window, counters; use one of them"),
    ("limits: {series: 0}", "limits.series: must be at least 1, is 0; raise it"),
    ("limits: {series: 1.5}", "limits.series: must be a whole number, is the number 1.5; write it in digits, without quotes"),
    ("limits: {series: 99999999999999999999}", "limits.series: 1e+20 is too large; use a smaller number"),
    ("limits: {body_bytes: 8M}", 'limits.body_bytes: must be a size, is the text "8M"; write it like 64KiB, 8MiB or 65536'),
    ("limits: {body_bytes: 1}", "limits.body_bytes: must be at least 1KiB, is 1B; raise it"),
    ("limits: {events: 5}", "limits.events: unknown key; there are array_bytes, body_bytes, connections, connections_per_ip, decompressed_bytes, decompression_ratio, depth, fields, header_bytes, header_timeout, idle_timeout, inflight_bytes, line_bytes, mailbox_bytes, rate_bytes, request_timeout, series, text_length"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), TOP)
def test_at_the_top(line: str, message: str) -> None:
    assert faults(with_top(line)) == [f"d.yaml:7  {message}"]


FEATURE = [
    ("{}", ".type: missing; write type: and one of numeric, categorical, boolean, log_loss"),
    ("numeric", ': must be keys and values, is the text "numeric"; write {type: ...}'),
    ("{type: numerical}", ".type: numerical is no feature type; did you mean numeric?"),
    ("{type: log_loss, probability: p}", ".label: missing; write label: churned"),
    ("{type: numeric, bins: 1}", ".bins: must be at least 2, is 1; raise it"),
    ("{type: numeric, bins: 5000}", ".bins: must be at most 4096, is 5000; lower it"),
    ("{type: numeric, method: quantiles}", ".method: quantiles is none of quantile_tails, quantile, uniform; did you mean quantile?"),
    ("{type: numeric, edges: []}", ".edges: is empty; write at least one"),
    ("{type: numeric, edges: 5}", ".edges: must be a list, is the number 5; write [a, b], or one `- item` a line"),
    ("{type: numeric, edges: [1, x]}", '.edges[1]: must be a number, is the text "x"; write it in digits, without quotes'),
    ("{type: numeric, edges: [10, 5, 20]}", ".edges[1]: must rise, 5 follows 10; swap 10 and 5"),
    ("{type: numeric, edges: [1, 5, 5]}", ".edges[2]: 5 stands there twice; remove one"),
    ("{type: numeric, edges: [1, .inf]}", ".edges[1]: must be finite, is inf; remove it; the outer bins are open already"),
    ("{type: numeric, edges: [1], bins: 2}", ".bins: edges say where the bins lie already; remove bins or edges"),
    ("{type: numeric, edges: [1], method: uniform}", ".method: edges say where the bins lie already; remove method or edges"),
    ("{type: numeric, top: 3}", ".top: unknown key; there are absent, bins, edges, field, method"),
    ("{type: numeric, absent: ignore}", ".absent: ignore is none of missing, skip; use one of them"),
    ("{type: categorical, top: 0}", ".top: must be at least 1, is 0; raise it"),
    ("{type: categorical, categories: [a, 1]}", '.categories[1]: must be text, is the number 1; quote it: "1"'),
    ("{type: categorical, categories: [a, b, a]}", ".categories[2]: a stands there twice; remove one"),
    ("{type: categorical, categories: [a], top: 3}", ".top: categories are the whole vocabulary already; remove top or categories"),
    ("{type: boolean, bins: 3}", ".bins: unknown key; there are absent, field"),
    ("{type: !!str numeric}", ".type: the tag tag:yaml.org,2002:str; remove it; driftmon reads plain values only"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "message"), FEATURE)
def test_in_a_feature(written: str, message: str) -> None:
    text = with_top("").replace("{type: numeric}", written)
    assert faults(text) == [f"d.yaml:6  streams.s.features.x{message}"]


RULE = [
    ("metric: psi, above: 1", ".name: missing; write name: DriftmonFeatureDrift"),
    ("name: R, above: 1", ".metric: missing; write metric: kl_divergence_debiased, or calibrated: {...}"),
    ("name: R, metric: psi", ".above: missing; write above: 0.1"),
    ("name: R, metric: pis, above: 1", ".metric: pis is no metric; did you mean psi?"),
    ("name: R, metric: driftmon_psi_nats, above: 1", ".metric: driftmon_psi_nats is the exported name; write psi"),
    ("name: R, metric: evidence_log10, above: 1", ".metric: evidence has no threshold of its own; write calibrated: {false_alarms: \"1/30d\"}"),
    ("name: R, metric: kl_divergence, above: 1", ".direction: missing, kl_divergence has two; write direction: q_p or p_q"),
    ("name: R, metric: entropy, above: 1", ".distribution: missing, entropy has two; write distribution: reference or live"),
    ("name: R, metric: psi, direction: q_p, above: 1", ".direction: psi has none; remove it"),
    ("name: R, metric: kl_divergence, direction: qp, above: 1", ".direction: qp is none of q_p, p_q; did you mean q_p?"),
    ("name: R, metric: psi, above: 0.1, resolve_below: 0.2", ".resolve_below: must not exceed above, 0.2 is more than 0.1; use at most 0.1"),
    ("name: R, metric: missing_ratio, above: 5", ".above: a ratio never exceeds 1, so 5 never fires; use a share such as 0.05"),
    ("name: R, metric: psi, above: 1, for: 5", ".for: must be a duration, is the number 5; write it like 30s, 5m, 1h30m or 7d"),
    ("name: R, metric: psi, above: 1, min_observations: -1", ".min_observations: must be at least 0, is -1; raise it"),
    ("name: R, metric: psi, above: 1, labels: {stream: a}", ".labels.stream: driftmon sets this label itself; use another name"),
    ("name: R, metric: psi, above: 1, annotations: {1a: a}", ".annotations.1a: no label name; use letters, digits and _, not starting with a digit or __"),
    ("name: R, metric: psi, above: 1, streams: t", ".streams: there is no stream t; there is s"),
    ("name: R, metric: psi, above: 1, features: y", ".features: there is no feature y; there is x"),
    ("name: R, metric: psi, above: 1, window: fats", ".window: there is no window fats; did you mean fast?"),
    ("name: R, calibrated: {effect: small}", ".calibrated.false_alarms: missing; write false_alarms: \"1/30d\""),
    ("name: R, calibrated: {false_alarms: 30d}", ".calibrated.false_alarms: must be a number of alarms in a time, is \"30d\"; write it like \"1/30d\""),
    ("name: R, calibrated: {false_alarms: 0/30d}", ".calibrated.false_alarms: must be a number of alarms in a time, is \"0/30d\"; write it like \"1/30d\""),
    ("name: R, calibrated: {false_alarms: 1/0s}", ".calibrated.false_alarms: must be a number of alarms in a time, is \"1/0s\"; write it like \"1/30d\""),
    ("name: R, calibrated: {false_alarms: 1/}", ".calibrated.false_alarms: must be a number of alarms in a time, is \"1/\"; write it like \"1/30d\""),
    ("name: R, calibrated: {false_alarms: 9/1m}", ".calibrated.false_alarms: more than one false alarm in a pane, 1m on stream s; allow fewer, such as 1/30d"),
    ("name: R, calibrated: {effect: 0, false_alarms: 1/1d}", ".calibrated.effect: must be more than 0, is 0; raise it"),
    ("name: R, calibrated: {effect: -0.1, false_alarms: 1/1d}", ".calibrated.effect: must be more than 0, is -0.1; raise it"),
    ("name: R, calibrated: {effect: tiny, false_alarms: 1/1d}", ".calibrated.effect: must be a number or one of small, medium, large, is the text \"tiny\"; use one"),
    ("name: R, calibrated: {false_alarms: 1/1d, pane: 90s}", ".calibrated.pane: 90s is no multiple of 1m, the shortest pane of stream s; use 2m"),
    ("name: R, calibrated: {false_alarms: 1/1d, pane: 1ms}", ".calibrated.pane: must be at least 1s, is 1ms; raise it"),
    ("name: R, calibrated: {false_alarms: 1/1d}, above: 0.1", ".above: calibrated goes by evidence, not by a threshold; remove above, or calibrated"),
    ("name: R, calibrated: {false_alarms: 1/1d}, metric: psi", ".metric: calibrated goes by evidence, not by a threshold; remove metric, or calibrated"),
    ("name: R, calibrated: {false_alarms: 1/1d}, min_observations: 5", ".min_observations: calibrated goes by evidence, not by a threshold; remove min_observations, or calibrated"),
    ("name: R, metric: psi, above: 1, per: window", ".per: window is none of feature, stream; use one of them"),
    ("name: R, metric: psi, above: 1, notify_after: 7", ".notify_after: must be a duration, is the number 7; write it like 30s, 5m, 1h30m or 7d"),
    ("name: R, detector: {}", ".detector.river: missing; write river: ADWIN"),
    ("name: R, detector: {river: os.system}", ".detector.river: os.system is no detector of river's; there are ADWIN, DDM, EDDM, FHDDM, HDDM_A, HDDM_W, KSWIN, PageHinkley"),
    ("name: R, detector: {river: Adwin}", ".detector.river: Adwin is no detector of river's; did you mean ADWIN?"),
    ("name: R, detector: {river: ADWIN, params: {detla: 1}}", ".detector.params.detla: is none of delta, clock, max_buckets, min_window_length, grace_period; did you mean delta?"),
    ("name: R, detector: {river: ADWIN, params: {clock: 1.5}}", ".detector.params.clock: must be a whole number, is 1.5; write a whole number"),
    ("name: R, detector: {river: KSWIN, params: {alpha: 2}}", ".detector.params: KSWIN says: Alpha must be between 0 and 1.; correct it"),
    ("name: R, detector: {river: KSWIN, params: {window_size: 5000}}", ".detector.memory: 2000 values do not fill a window of 5000; use 5000 or more"),
    ("name: R, detector: {river: DDM, of: surprisal}", ".detector.of: DDM takes errors, 0 or 1, and surprisal is none; use of: error with a log_loss feature, of: value with a boolean one, or one of ADWIN, KSWIN, PageHinkley"),
    ("name: R, detector: {river: ADWIN, of: log_loss}", ".detector.of: ADWIN of the log_loss watches log_loss features, and rules[0] names none; use another series, such as surprisal, or widen features"),
    ('name: R, calibrated: {false_alarms: "1/30d", mean: log_loss}', ".calibrated.mean: mean: log_loss goes by log_loss features, and rules[0] watches none, only x; use mean: surprisal, or add a feature such as outcome: {type: log_loss, probability: p, label: y}"),
    ("name: R, metric: accuracy_ratio, above: 0.5", ".metric: accuracy_ratio goes by log_loss features, and rules[0] watches none, only x; add a feature such as outcome: {type: log_loss, probability: p, label: y}"),
    ("name: R, detector: {river: ADWIN}, metric: psi", ".metric: a detector goes by its own flags; remove metric, or detector"),
    ("name: R, detector: {river: ADWIN, hold: 5m}, for: 10m", ".for: a flag holds no longer than that, so the alert would never fire; use for: 150s, or a longer hold"),
    ('name: "a\\nb", metric: psi, above: 1', ".name: holds a control character; remove it"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "message"), RULE)
def test_in_a_rule(keys: str, message: str) -> None:
    assert faults(with_top(f"rules: [{{{keys}}}]")) == [f"d.yaml:7  rules[0]{message}"]


def test_two_rules_of_one_name() -> None:
    rule = "{name: R, metric: psi, above: 1}"
    assert faults(with_top(f"rules:\n  - {rule}\n  - {rule}")) == [
        "d.yaml:9  rules[1].name: R is the name of rules[0] too; rename one"
    ]


def test_calibrated_rules_share_their_pane_on_each_stream() -> None:
    rules = [
        f"{{name: {name}, calibrated: {{false_alarms: 1/1d, pane: {pane}}}}}"
        for name, pane in (("A", "1m"), ("B", "5m"))
    ]
    assert faults(with_top("rules:\n  - " + "\n  - ".join(rules))) == [
        "d.yaml:9  rules[1].calibrated.pane: 5m on stream s, where rules[0] has 1m; write pane: 5m in both"
    ]


REFERENCE = [
    ("{type: constant}", ".type: constant is no reference; there are file, seasonal, stream, trailing, warmup"),
    ("{type: trailing}", ".length: missing; write length: 7d"),
    ("{type: trailing, length: 90m}", ".length: 90m is no multiple of 1h, the shortest window; use 2h"),
    (
        "{type: trailing, length: 1h, lag: 5}",
        ".lag: must be a duration, is the number 5; write it like 30s, 5m, 1h30m or 7d",
    ),
    ("{type: trailing, length: 1h, observations: 5}", ".observations: unknown key; there are lag, length, path"),
    ("{type: seasonal}", ".slots: missing; write slots: hour_of_day"),
    (
        "{type: seasonal, slots: hour_of_year}",
        ".slots: hour_of_year is none of hour_of_day, hour_of_week; did you mean hour_of_day?",
    ),
    (
        "{type: seasonal, slots: hour_of_day, path: p, observations: 5}",
        ".observations: the file has them counted already; remove observations or path",
    ),
    ("{type: stream}", ".stream: missing; write stream: champion"),
    ("{type: stream, stream: a}", ".stream: there is no stream a; there is s"),
    ("{type: stream, stream: s}", ".stream: a stream cannot be its own reference; name another, or use type: trailing"),
    ("{type: file, path: ''}", ".path: is empty; write the path of a file"),
    ('{type: file, path: "a\\0b"}', ".path: holds a zero byte; write the path of a file"),
    ("{type: file}", ".path: missing; write path: flights.reference.json"),
    ("{type: warmup, observations: 0}", ".observations: must be at least 1, is 0; raise it"),
    ("{type: warmup, path: a}", ".path: unknown key; there is observations"),
]


@pytest.mark.parametrize(("written", "message"), REFERENCE)
def test_in_a_reference(written: str, message: str) -> None:
    text = with_top("").replace("{type: warmup}", written)
    assert faults(text) == [f"d.yaml:4  streams.s.reference{message}"]


SEASONAL = "{type: seasonal, slots: hour_of_day}"


def test_a_seasonal_reference_knows_the_hours_of_its_rows() -> None:
    slow = with_stream("windows: [{name: slow, length: 7d}]").replace("{type: warmup}", SEASONAL)
    fault = "its panes of 168m are longer than an hour, so a seasonal reference cannot tell the hours of its rows"
    assert faults(slow) == [f"d.yaml:7  streams.s.windows[0].length: {fault}; use a length of at most 60h"]
    by_arrival = with_top("").replace("{type: warmup}", "{type: seasonal, slots: hour_of_day, path: p}")
    fault = "missing, so the hours of the records in the file are unknown"
    assert faults(by_arrival) == [f"d.yaml:3  streams.s.time: {fault}; write time: {{field: ...}}"]


CANARY = """\
  b:
    reference: {type: stream, stream: s}
    features: {x: {type: numeric, field: elsewhere}}
"""
OTHERS = [
    ("features: {x: {type: numeric, bins: 9}}", "features: are not those of s, its reference, by name, type and bins; make them equal; field and absent may differ"),
    ("features: {x: {type: numeric}}\n    windows: [{name: f, length: 2h}]", "windows: are not those of s, its reference; make them equal"),
    ("features: {x: {type: numeric}}\n    time: {field: at}", "time: one of it and s has event time; give it to both or none"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "message"), OTHERS)
def test_a_stream_and_its_reference_count_alike(written: str, message: str) -> None:
    stream = CANARY.replace("features: {x: {type: numeric, field: elsewhere}}", written)
    assert [fault.partition("  streams.b.")[2] for fault in faults(with_top(stream))] == [message]


def test_a_stream_that_is_another_s_reference_has_its_own() -> None:
    chain = with_top(
        f"{CANARY}  c:\n    reference: {{type: stream, stream: b}}\n    features: {{x: {{type: numeric}}}}"
    )
    assert faults(chain) == ["d.yaml:11  streams.c.reference.stream: the reference of b is a stream itself; name s"]


def test_in_a_name() -> None:
    bad_stream = with_top("").replace("  s:", "  a/b:")
    cure = "use letters, digits, _ . and -, at most 64, starting with a letter or digit"
    assert faults(bad_stream) == [f'd.yaml:3  streams."a/b": cannot stand in a URL; {cure}']
    long = with_top("").replace("x:", "x" * 129 + ":")
    assert faults(long) == [f"d.yaml:6  streams.s.features.{'x' * 129}: longer than 128 bytes; shorten it"]


def test_missing_parts() -> None:
    assert faults("version: 1") == ["d.yaml:1  streams: missing; write streams: {flights: {...}}"]
    assert faults("streams: {}") == [
        "d.yaml:1  version: missing; write version: 1",
        "d.yaml:1  streams: is empty; write streams: {flights: {...}}",
    ]
    assert faults("version: 1\nstreams:\n  s: {}") == [
        "d.yaml:3  streams.s.reference: missing; write reference: {type: file, path: data.reference.json}, or {type: warmup, observations: 20000}",
        "d.yaml:3  streams.s.features: missing; write features: {amount: {type: numeric}}",
    ]


def test_version_of_another_driftmon() -> None:
    text = with_top("").replace("version: 1", "version: 2")
    assert faults(text) == ["d.yaml:1  version: must be 1, is 2; use the driftmon it was written for, or change it"]


def test_standard_input_feeds_one_stream() -> None:
    stream = "{sources: [{type: stdin}], reference: {type: warmup}, features: {x: {type: numeric}}}"
    text = f"version: 1\nstreams:\n  a: {stream}\n  b: {stream}\n"
    assert faults(text) == ["d.yaml:4  streams.b.sources[0]: stdin is read by a already; leave it to one stream"]


SYNTAX = [
    ("", "d.yaml: is empty; start from `driftmon config example`"),
    ("# nothing\n", "d.yaml: is empty; start from `driftmon config example`"),
    ("[1]", "d.yaml:1: must be keys and values, is a list; write key: value"),
    ("a: [1", "d.yaml:1: not YAML: expected ',' or ']', but got '<stream end>'; look at the indentation, brackets and quotes here and on the line before"),
    ("a:\n\t- b", "d.yaml:2: not YAML: found character '\\t' that cannot start any token; indent with spaces, not with tabs"),
    ("a: {b: ${C}}", "d.yaml:1: not YAML: expected ',' or '}', but got '{'; put \"${...}\" in quotes inside {} or []"),
    ("a: *b", "d.yaml:1  a: *b stands before &b ends; define the anchor above"),
    ("a: &b [*b]", "d.yaml:1  a[0]: *b stands before &b ends; define the anchor above"),
    ("a: !!python/object:os.system x", "d.yaml:1  a: the tag tag:yaml.org,2002:python/object:os.system; remove it; driftmon reads plain values only"),
    ("a: 1\n---\nb: 2", "d.yaml:2: a second document begins; keep one document in the file, without ---"),
    ("? [a]\n: b", "d.yaml:1: a key that is no text; write key: value"),
    ("a: " + "[" * 40 + "]" * 40, "d.yaml:1  a[0][0]: nested deeper than 32; flatten it"),
    ("a: \x07", "d.yaml:1: a control character; remove it"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), SYNTAX)
def test_not_yaml(text: str, message: str) -> None:
    assert faults(text)[0] == message


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_bytes(b"version: 1\nstreams: \xff\n")
    with pytest.raises(ConfigError, match=r"d\.yaml:2: not UTF-8 text; save the file as UTF-8$"):
        load(file, {})


def test_a_file_that_is_too_long(tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigError, match=r"longer than 1024 KiB; split it, one daemon a file$"):
        load(file, {})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "d.yaml", {})
    cure = "check the name and the permissions; `driftmon config example` prints one to start from"
    assert str(raised.value) == f"{tmp_path}/d.yaml: cannot be read, no such file or directory; {cure}"


def test_an_alias_bomb_ends_soon() -> None:
    """A billion laughs: ten of ten of ten ... are counted as what they unfold to."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert faults("\n".join(lines))[0].endswith(
        "more than 100000 values, aliases unfolded; split it, one daemon a file"
    )


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
version: 1
streams:
  s:
    reference: {type: warmup, observations: x}
    features: {x: {type: numeric, edges: [2, 1]}, y: {type: txt}}
    tick: 5
rules:
  - {name: R, metric: psi, above: 1, features: z}
sinks: [{type: webhook}]
limits: {series: 0}
"""
    assert [message.split()[0] for message in faults(text)] == [f"d.yaml:{line}" for line in (4, 5, 5, 6, 8, 9, 10)]


LINES = example().splitlines()


@given(data=st.data())
def test_a_spoilt_example_loads_or_says_why(data: st.DataObject) -> None:
    """Whatever is deleted, doubled or replaced: a Config or a ConfigError with places, never a traceback."""
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        cut = data.draw(st.integers(0, len(lines[at])))
        junk = data.draw(
            st.sampled_from(["", "{", "]", ": ", "- ", "&a ", "*a", "${", "'", "~", "1e999", "\t", "é\u202e"])
        )
        lines[at] = lines[at][:cut] + junk + data.draw(st.sampled_from([lines[at][cut:], "", lines[0]]))
    found: tuple[Fault, ...] = ()
    try:
        assert loads("\n".join(lines).encode(), Path("d.yaml"), {}).streams
    except ConfigError as error:
        found = error.faults
    assert all(str(fault).startswith("d.yaml") and "; " in str(fault) for fault in found)
