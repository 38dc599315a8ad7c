"""The compose stack: each file by its own tool, all that it mounts is there, and its traffic drifts."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.compose.traffic import batches
from driftmon.daemon.config import load
from driftmon.daemon.settings import Config
from driftmon.daemon.streams import build_streams
from driftmon.monitor.rules import State
from driftmon.sources.base import Block
from tests.deploy.tools import DEPLOY, complaint, compose_schema
from tests.servers.helpers import require

HERE = DEPLOY / "compose"
FILE = HERE / "compose.yaml"
STACK: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, Any] = STACK["services"]
START_MS = 1_700_000_000_000
CALM_S, SHIFTED_S = 300, 420


def mounts(service: str) -> dict[str, Path]:
    """Place in the container -> place in the repository."""
    volumes = [volume.split(":") for volume in SERVICES[service].get("volumes", ())]
    return {inside: (HERE / source).resolve() for source, inside, *_ in volumes if source.startswith(".")}


def flags(service: str) -> dict[str, str]:
    return dict(word.removeprefix("--").split("=", 1) for word in SERVICES[service]["command"] if "=" in word)


def test_the_stack_is_what_the_specification_allows(tmp_path: Path) -> None:
    assert compose_schema(FILE) == ""
    seeded = tmp_path / "compose.yaml"
    seeded.write_text(FILE.read_text().replace("read_only:", "readonly:"))
    assert "readonly" in compose_schema(seeded)


def test_everything_it_mounts_and_builds_from_is_there() -> None:
    for name, service in SERVICES.items():
        assert all(path.exists() for path in mounts(name).values()), mounts(name)
        if "build" in service:
            context = HERE / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).exists()
    named = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    assert {name for name in named if not name.startswith(".")} == set(STACK["volumes"])


def test_nothing_is_published_to_other_machines_and_every_image_is_pinned() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == 5
    assert all(port.startswith("127.0.0.1:") for port in ports)
    versions = [service["image"].partition(":")[2] for service in SERVICES.values()]
    assert all(version[:1].isdigit() or version[:1] == "v" for version in versions)
    for name in ("driftmon", "traffic"):
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.fixture
def prometheus_folder(tmp_path: Path) -> Path:
    """The files as the container sees them, /etc/prometheus being this folder."""
    for inside, path in mounts("prometheus").items():
        place = tmp_path / Path(inside).relative_to("/etc/prometheus")
        shutil.copytree(path, place) if path.is_dir() else shutil.copy(path, place)
    assert flags("prometheus")["config.file"] == "/etc/prometheus/prometheus.yml"
    return tmp_path


def test_prometheus_takes_its_configuration_and_the_rules(prometheus_folder: Path) -> None:
    file = prometheus_folder / "prometheus.yml"
    promtool = require("promtool")
    assert complaint(promtool, "check", "config", str(file)) == ""
    assert list((prometheus_folder / "rules").glob("*.yml")), "there are rules for it to find"
    file.write_text(file.read_text().replace("rule_files", "rules_files"))
    assert "rules_files" in complaint(promtool, "check", "config", str(file))


def test_prometheus_finds_the_daemon_and_alertmanager_where_the_stack_puts_them() -> None:
    config = yaml.safe_load((HERE / "prometheus.yml").read_text())
    scraped = [
        target for job in config["scrape_configs"] for each in job["static_configs"] for target in each["targets"]
    ]
    told = [
        target
        for each in config["alerting"]["alertmanagers"]
        for s in each["static_configs"]
        for target in s["targets"]
    ]
    hosts = {target.partition(":")[0] for target in (*scraped, *told)} - {"localhost"}
    assert hosts == {"driftmon", "alertmanager"}
    assert hosts <= set(SERVICES)
    assert flags("driftmon")["api.listen-address"] in SERVICES["traffic"]["command"][1]


def test_alertmanager_takes_its_configuration(tmp_path: Path) -> None:
    amtool = require("amtool")
    file = mounts("alertmanager")[flags("alertmanager")["config.file"]]
    assert complaint(amtool, "check-config", str(file)) == ""
    seeded = tmp_path / "alertmanager.yml"
    seeded.write_text(file.read_text().replace("receiver: team", "receiver: teem"))
    assert "teem" in complaint(amtool, "check-config", str(seeded))


def test_grafana_is_provisioned_from_what_is_mounted() -> None:
    inside = mounts("grafana")
    provisioning = inside["/etc/grafana/provisioning"]
    (dashboards,) = (provisioning / "dashboards").glob("*.yaml")
    (sources,) = (provisioning / "datasources").glob("*.yaml")
    for provider in yaml.safe_load(dashboards.read_text())["providers"]:
        assert list(inside[provider["options"]["path"]].glob("*.json"))
    for source in yaml.safe_load(sources.read_text())["datasources"]:
        host = source["url"].removeprefix("http://").partition(":")[0]
        assert host in SERVICES


@pytest.fixture(scope="module")
def config() -> Config:
    return load(HERE / "driftmon.yaml", {})


def seconds(config: Config) -> Iterator[set[str]]:
    """The rules that fire after each second of the stack's traffic, by a clock of its own."""
    ((name, stream),) = build_streams(config, {}).items()
    bodies = batches(random.Random(1), rate=60, calm=CALM_S, shifted=SHIFTED_S)
    for second, body in enumerate(bodies):
        now_ms = START_MS + 1000 * second
        stream.observe(Block(name, "http", "ndjson", body), now_ms)
        report = stream.tick(now_ms)
        yield {alert.rule.name for alert in report.alerts if alert.state is State.FIRING}


def test_the_traffic_is_calm_and_then_drifts(config: Config) -> None:
    """The reference is gathered in the calm part; no rule fires there, and those on drift do in the other."""
    fired = list(islice(seconds(config), CALM_S + SHIFTED_S))
    assert not set().union(*fired[:CALM_S])
    assert set().union(*fired[CALM_S:]) == {"DriftmonFeatureDrift", "DriftmonDrift"}


def test_no_one_is_told_twice(config: Config) -> None:
    """The rules in Prometheus alert: a sink that pushes would say the same again."""
    assert [sink.type for sink in config.sinks] == ["log"]
