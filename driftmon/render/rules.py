"""The rules pack: what Prometheus records and alerts on, for a whole fleet of driftmons.

Law: a plan gives the same files, byte for byte; deploy/rules/ is the plan of the defaults.
"""

from __future__ import annotations

from typing import Final

from driftmon.render import rule_alerts, rule_fleet, rule_merges
from driftmon.render.rule_plan import Plan
from driftmon.render.rule_text import Group, to_yaml

RUNBOOKS: Final = "https://driftmon.example/runbooks"
HEAD: Final = """Made by `driftmon rules`; do not edit.

Prometheus 2.42 or newer. Labels cluster, namespace, job and instance are those of the scrape; absent ones match."""
RECORDING: Final = "recording.yml"
ALERTS: Final = "alerts.yml"


def recording(plan: Plan) -> list[Group]:
    """Groups that record."""
    return [*([rule_merges.group()] if plan.bins else []), rule_fleet.group(plan)]


def everything(plan: Plan, runbooks: str = RUNBOOKS) -> str:
    """All rules of a plan in one file."""
    return to_yaml([*recording(plan), *rule_alerts.groups(plan)], runbooks, HEAD)


def pack(plan: Plan, runbooks: str = RUNBOOKS) -> dict[str, str]:
    """Files by name: recorded values in one, alerts in the other, so that a site can take one without the other."""
    return {
        RECORDING: to_yaml(recording(plan), runbooks, HEAD),
        ALERTS: to_yaml(rule_alerts.groups(plan), runbooks, HEAD),
    }
