"""`driftmon rules`: Prometheus recording and alerting rules for the fleet that runs a configuration."""

from __future__ import annotations

from pathlib import Path

import click

from driftmon.cli.support.faults import told
from driftmon.cli.support.fleet_plan import plan_of
from driftmon.cli.support.snapshots import CONFIG, configured
from driftmon.render.rules import RUNBOOKS, everything


@click.command()
@CONFIG
@click.option(
    "--runbooks.url", "runbooks", metavar="URL", default=RUNBOOKS, help="Where deploy/runbooks.md is published."
)
def command(config_file: Path | None, runbooks: str) -> None:
    """Print rules for Prometheus: the configuration's own, for all pods of a job together.

    Budgets and thresholds are those of the configuration. Merged divergences need `metrics: {bins: window}`, the
    budget burn `metrics: {set: full}`; without them those rules are left out.
    """
    if config_file is None:
        raise click.UsageError("--config.file is missing; deploy/rules/ has the rules of the default configuration")
    with told():
        plan = plan_of(configured(config_file))
    click.echo(everything(plan, runbooks), nl=False)
