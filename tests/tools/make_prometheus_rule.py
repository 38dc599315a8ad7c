"""Write the PrometheusRule of deploy/kubernetes from the rule files of deploy/rules: `make manifests`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "rules"
TARGET = ROOT / "deploy" / "kubernetes" / "monitoring" / "prometheusrule.yaml"
HEAD = "# Made from deploy/rules by `make manifests`. An operator that selects rules by label needs that label added.\n"


class Blocks(yaml.SafeDumper):
    """Text of several lines as a block, as people write expressions."""


def text(dumper: Blocks, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


Blocks.add_representer(str, text)


def groups(folder: Path) -> list[Any]:
    """All groups of the folder's rule files, in the order of their names."""
    return [group for path in sorted(folder.glob("*.yml")) for group in yaml.safe_load(path.read_text())["groups"]]


def manifest(folder: Path) -> str:
    """The resource as text."""
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "driftmon", "labels": {"app.kubernetes.io/name": "driftmon"}},
        "spec": {"groups": groups(folder)},
    }
    return HEAD + yaml.dump(resource, Dumper=Blocks, sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    TARGET.write_text(manifest(RULES))
