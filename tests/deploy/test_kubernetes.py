"""The manifests: rendered by kustomize, checked by the schemas of Kubernetes, and safe to add to anybody's pods."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from driftmon.daemon.config import load
from tests.deploy.tools import DEPLOY, kubernetes, rendered
from tests.tools.make_prometheus_rule import RULES, TARGET, groups, manifest

HERE = DEPLOY / "kubernetes"
SCHEMAS = Path(__file__).parent / "schemas"
NATIVE, PLAIN = "components/sidecar", "components/sidecar-plain"
# The first that knows restartPolicy of an init container is 1.28; native sidecars are on by default from 1.29.
VERSIONS = {"base": ("1.25", "1.37"), NATIVE: ("1.29", "1.33", "1.37"), PLAIN: ("1.25", "1.28", "1.37")}
OPERATED = ("PodMonitor", "PrometheusRule")
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]


def of_kind(kind: str, among: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [document for document in among if document["kind"] == kind]


@pytest.fixture(scope="module")
def overlays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The base, and the example with either form of the sidecar."""
    copied = tmp_path_factory.mktemp("kubernetes") / "kubernetes"
    shutil.copytree(HERE, copied)
    made = {"base": documents(rendered(copied / "base")), NATIVE: documents(rendered(copied / "example"))}
    file = copied / "example" / "kustomization.yaml"
    file.write_text(file.read_text().replace(f"../{NATIVE}\n", f"../{PLAIN}\n"))
    return {**made, PLAIN: documents(rendered(copied / "example"))}


@pytest.fixture
def application() -> dict[str, Any]:
    """The Deployment of the example, before anything was added."""
    (found,) = documents((HERE / "example" / "application.yaml").read_text())
    return found


def pod_of(among: list[dict[str, Any]]) -> dict[str, Any]:
    (deployment,) = of_kind("Deployment", among)
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return pod


def sidecar_of(pod: dict[str, Any]) -> dict[str, Any]:
    (found,) = [each for each in (*pod["containers"], *pod.get("initContainers", ())) if each["name"] == "driftmon"]
    return dict(found)


@pytest.mark.parametrize(("overlay", "version"), [(each, version) for each in VERSIONS for version in VERSIONS[each]])
def test_kubernetes_accepts_it(
    overlays: dict[str, list[dict[str, Any]]], tmp_path: Path, overlay: str, version: str
) -> None:
    file = tmp_path / "manifests.yaml"
    file.write_text(yaml.safe_dump_all(overlays[overlay]))
    assert kubernetes(file, version) == ""


def test_a_mistake_in_a_manifest_is_seen(overlays: dict[str, list[dict[str, Any]]], tmp_path: Path) -> None:
    file = tmp_path / "manifests.yaml"
    seeded = yaml.safe_dump_all(of_kind("Deployment", overlays[NATIVE]))
    file.write_text(seeded.replace("restartPolicy", "restartPolicyy"))
    assert "restartPolicyy" in kubernetes(file, "1.33")


def schema_faults(document: dict[str, Any]) -> Iterator[str]:
    schema = json.loads((SCHEMAS / f"{document['kind'].lower()}.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    yield from (error.message for error in validator.iter_errors(document))


def test_the_operator_accepts_its_resources_and_they_are_there_once(overlays: dict[str, list[dict[str, Any]]]) -> None:
    """In the kustomization of each application two hundred would have the same rules evaluated two hundred times."""
    monitoring = documents(rendered(HERE / "monitoring"))
    assert monitoring[0]["spec"]["namespaceSelector"] == {"any": True}
    for kind in OPERATED:
        (document,) = of_kind(kind, monitoring)
        assert [found for overlay in overlays.values() for found in of_kind(kind, overlay)] == []
        assert list(schema_faults(document)) == []
        seeded = copy.deepcopy(document)
        first = next(iter(seeded["spec"].get("podMetricsEndpoints") or seeded["spec"]["groups"]))
        first["intervall"] = "30s"
        assert any("intervall" in fault for fault in schema_faults(seeded))


def test_the_rules_of_the_operator_are_those_of_the_pack() -> None:
    assert TARGET.read_text() == manifest(RULES), "run make manifests"
    assert documents(TARGET.read_text())[0]["spec"]["groups"] == groups(RULES)
    assert groups(RULES)


def restricted_faults(pod: dict[str, Any]) -> Iterator[str]:
    """What the pod security standard `restricted` refuses, of that which can be said in a Deployment."""
    whole = pod.get("securityContext", {})
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield key
    for volume in pod.get("volumes", ()):
        yield from (f"volume {kind}" for kind in volume.keys() - {"name"} - VOLUMES)
    for container in (*pod["containers"], *pod.get("initContainers", ())):
        own = container.get("securityContext", {})
        required = {
            "runAsNonRoot": own.get("runAsNonRoot", whole.get("runAsNonRoot")) is True,
            "runAsUser": own.get("runAsUser", whole.get("runAsUser", 1)) != 0,
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "privileged": not own.get("privileged", False),
            "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "seccompProfile": own.get("seccompProfile", whole.get("seccompProfile")) == {"type": "RuntimeDefault"},
            "hostPort": not any("hostPort" in port for port in container.get("ports", ())),
        }
        yield from (f"{container['name']} {name}" for name, held in required.items() if not held)


@pytest.mark.parametrize("overlay", VERSIONS)
def test_the_restricted_pod_security_standard_holds(overlays: dict[str, list[dict[str, Any]]], overlay: str) -> None:
    pod = pod_of(overlays[overlay])
    assert list(restricted_faults(pod)) == []
    assert sidecar_of(pod)["securityContext"]["readOnlyRootFilesystem"] is True
    seeded = copy.deepcopy(pod)
    del seeded["containers"][0]["securityContext"]["seccompProfile"]
    seeded["volumes"].append({"name": "host", "hostPath": {"path": "/"}})
    assert set(restricted_faults(seeded)) == {"volume hostPath", f"{pod['containers'][0]['name']} seccompProfile"}


@pytest.mark.parametrize("overlay", [NATIVE, PLAIN])
def test_the_application_is_as_it_was_and_never_waits_for_its_monitor(
    overlays: dict[str, list[dict[str, Any]]], application: dict[str, Any], overlay: str
) -> None:
    pod = pod_of(overlays[overlay])
    kept = [each for each in pod["containers"] if each["name"] != "driftmon"]
    assert kept == application["spec"]["template"]["spec"]["containers"]
    sidecar = sidecar_of(pod)
    assert "readinessProbe" not in sidecar
    assert "startupProbe" not in sidecar
    (deployment,) = of_kind("Deployment", overlays[overlay])
    assert deployment["spec"]["selector"] == application["spec"]["selector"]


def test_the_native_form_outlives_the_application_and_the_plain_form_is_a_container(
    overlays: dict[str, list[dict[str, Any]]],
) -> None:
    native, plain = pod_of(overlays[NATIVE]), pod_of(overlays[PLAIN])
    assert [each["restartPolicy"] for each in native["initContainers"]] == ["Always"]
    assert "initContainers" not in plain
    same = {key: value for key, value in sidecar_of(native).items() if key != "restartPolicy"}
    assert same == sidecar_of(plain)


def test_a_deployment_can_opt_out(tmp_path: Path) -> None:
    copied = tmp_path / "kubernetes"
    shutil.copytree(HERE, copied)
    file = copied / "example" / "application.yaml"
    file.write_text(
        file.read_text().replace("metadata:\n  name", "metadata:\n  labels: {driftmon/sidecar: disabled}\n  name", 1)
    )
    assert "initContainers" not in pod_of(documents(rendered(copied / "example")))


@pytest.mark.parametrize("overlay", VERSIONS)
def test_what_refers_to_each_other_agrees(overlays: dict[str, list[dict[str, Any]]], overlay: str) -> None:
    """The monitor selects the pods and names their port; volumes, mounts and flags are one thing."""
    (deployment,) = of_kind("Deployment", overlays[overlay])
    pod = pod_of(overlays[overlay])
    sidecar = sidecar_of(pod)
    (monitor,) = documents((HERE / "monitoring" / "podmonitor.yaml").read_text())
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert {port["name"]: port["containerPort"] for port in sidecar["ports"]}[endpoint["port"]] == 10517
    ports = [port["name"] for each in (*pod["containers"], *pod.get("initContainers", ())) for port in each["ports"]]
    assert len(ports) == len(set(ports)), "names of ports are unique in a pod"
    (configuration,) = of_kind("ConfigMap", overlays[overlay])
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in sidecar["volumeMounts"]}
    assert mounts["/etc/driftmon"]["configMap"]["name"] == configuration["metadata"]["name"]
    assert "emptyDir" in mounts["/var/lib/driftmon"]
    assert {"--config.file=/etc/driftmon/driftmon.yaml", "--storage.path=/var/lib/driftmon"} <= set(sidecar["args"])
    assert "driftmon.yaml" in configuration["data"]


def test_two_applications_in_a_namespace_have_a_configuration_each(tmp_path: Path) -> None:
    """The patch that the README shows; without it the ConfigMap of the one takes the place of the other's."""
    copied = tmp_path / "kubernetes"
    shutil.copytree(HERE, copied)
    (patch,) = re.findall(r"```yaml\n(.*?)```", (DEPLOY / "README.md").read_text(), re.DOTALL)
    file = copied / "example" / "kustomization.yaml"
    file.write_text(file.read_text().replace("{name: driftmon, files", "{name: fraud-model-driftmon, files") + patch)
    made = documents(rendered(copied / "example"))
    (configuration,) = of_kind("ConfigMap", made)
    (volume,) = [each for each in pod_of(made)["volumes"] if each["name"] == "driftmon-config"]
    assert volume["configMap"]["name"] == configuration["metadata"]["name"] == "fraud-model-driftmon"


@pytest.mark.parametrize("folder", ["base", "example"])
def test_the_configurations_load(folder: str) -> None:
    config = load(HERE / folder / "driftmon.yaml", {"HOSTNAME": "pod-1"})
    assert config.external_labels == {"pod": "pod-1"}
    assert [sink.type for sink in config.sinks] == ["log"]


def test_the_pods_of_a_deployment_are_one_job() -> None:
    """Relabelling as Prometheus does it: anchored, over the values joined by semicolons."""
    (monitor,) = documents((HERE / "monitoring" / "podmonitor.yaml").read_text())
    (rule,) = monitor["spec"]["podMetricsEndpoints"][0]["relabelings"]

    def job(kind: str, name: str) -> str | None:
        found = re.fullmatch(rule["regex"], f"{kind};{name}")
        return None if found is None else rule["replacement"].replace("$1", found[1])

    assert job("ReplicaSet", "fraud-model-7d9f8c6b54") == "driftmon/fraud-model"
    assert job("ReplicaSet", "fraud-model-5c6b7d8f99") == "driftmon/fraud-model"
    assert job("StatefulSet", "queue") is None
