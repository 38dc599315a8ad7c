"""The JSON Schema agrees with the loader, both ways, and every key is described."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from driftmon.daemon.config import ConfigError, example, loads
from driftmon.daemon.json_schema import config_schema

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "config").glob("*.yaml"))
SCHEMA = config_schema()


def valid(text: str) -> bool:
    return bool(Draft202012Validator(SCHEMA).is_valid(yaml.safe_load(text)))


def loadable(text: str) -> bool:
    try:
        loads(text.encode(), Path("d.yaml"), {"V": "1"})
    except ConfigError:
        return False
    return True


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_committed_one_is_current() -> None:
    committed = (ROOT / "config" / "driftmon.schema.json").read_text()
    written = json.dumps(SCHEMA, indent=2, ensure_ascii=False) + "\n"
    assert committed == written, "run: driftmon config schema > config/driftmon.schema.json"


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_examples_are_valid(file: Path) -> None:
    assert valid(file.read_text())


def described(schema: Any, path: str = "") -> Iterator[tuple[str, bool]]:
    for key, value in schema.get("properties", {}).items():
        if key != "type":
            yield f"{path}.{key}", bool(value.get("description"))
        yield from described(value, f"{path}.{key}")
    for branch in [*schema.get("oneOf", ()), schema.get("items"), schema.get("additionalProperties")]:
        if isinstance(branch, dict):
            yield from described(branch, path)


def test_every_key_is_described() -> None:
    found = list(described(SCHEMA))
    assert len(found) > 60
    assert [path for path, told in found if not told] == []


EXAMPLE = example()

SPOILT = [
    ("version: 1", "version: 2"),
    ("version: 1", "versoin: 1"),
    ("{type: http}", "{type: htp}"),
    ("{type: http}", "{type: http, port: 1}"),
    ("{type: http}", "{type: kafka}"),
    ("field: time_hour, unit: iso8601", "unit: iso8601"),
    ("unit: iso8601", "unit: days"),
    ("lateness: 0s", "lateness: 5"),
    ("lateness: 0s", "lateness: soon"),
    ("path: flights.reference.json", "file: flights.reference.json"),
    ("dep_delay: {type: numeric}", "dep_delay: numeric"),
    ("edges: [250, 500, 1000, 2000]", "edges: 250"),
    ("edges: [250, 500, 1000, 2000]", "edges: []"),
    ("bins: 10", "bins: 1"),
    ("method: uniform", "method: unifrom"),
    ("top: 64", "top: many"),
    ("type: boolean", "type: bool"),
    ("length: 1h", "length: 60"),
    ("pseudocount: 0.5", "pseudocount: 0"),
    ("pseudocount: 0.5", "pseudocount: half"),
    ("tick: 10s", "tik: 10s"),
    ("    above: 0.05", "    abov: 0.05"),
    ("labels: {severity: warning}", "labels: [warning]"),
    ("    above: 0.1\n", ""),
    ('    calibrated: {effect: small, false_alarms: "1/30d"}\n', ""),
    ("{effect: small", "{effect: tiny"),
    ("{effect: small", "{effect: 0"),
    ('false_alarms: "1/30d"', 'false_alarms: "30d"'),
    ('false_alarms: "1/30d"', 'false_alarms: "0/30d"'),
    ('false_alarms: "1/30d"', "false_alarms: 30"),
    ("per: stream", "per: streams"),
    ("per: stream", "per: stream\n    metric: psi\n    above: 1"),
    ("- {type: log}", "- {type: slack}"),
    ("- {type: log}", "- {type: webhook}"),
    ("set: core", "set: all"),
    ("ack: durable", "ack: disk"),
    ("series: 10000", "series: 0"),
    ("series: 10000", "serie: 10000"),
]


@pytest.mark.parametrize(("right", "wrong"), SPOILT)
def test_what_the_schema_refuses_the_loader_refuses(right: str, wrong: str) -> None:
    assert right in EXAMPLE
    spoilt = EXAMPLE.replace(right, wrong, 1)
    assert (valid(spoilt), loadable(spoilt)) == (False, False)


GRANTED = [
    ("series: 10000", 'series: "${V}"'),
    ("series: 10000", "series: 10000, body_bytes: 2MiB, line_bytes: 2048"),
    ("pseudocount: 0.5", "pseudocount: 1"),
    ("pseudocount: 0.5", 'pseudocount: "${V:-0.5}"'),
    ("tick: 10s", "tick: 1m30s"),
    ("lateness: 0s", "lateness: 0"),
    ("edges: [250, 500, 1000, 2000]", "edges: [2.5]"),
    ("top: 64", "categories: [UA, AA]"),
    ("{effect: small", "{effect: 0.05"),
    ("{effect: small", "{effect: large"),
    ("effect: small, ", ""),
    ('false_alarms: "1/30d"', "false_alarms: 3/1w"),
    ('false_alarms: "1/30d"', 'false_alarms: "${V}/7d"'),
    ("per: stream", "notify_after: 7d"),
]


@pytest.mark.parametrize(("one", "other"), GRANTED)
def test_what_the_loader_takes_the_schema_takes(one: str, other: str) -> None:
    assert one in EXAMPLE
    varied = EXAMPLE.replace(one, other, 1)
    assert (valid(varied), loadable(varied)) == (True, True)
