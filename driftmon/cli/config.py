"""`driftmon config schema | example`: what a configuration may say, for editors and for people."""

from __future__ import annotations

import json

import click


@click.group()
def command() -> None:
    """Print the configuration's JSON Schema, or a commented example."""


@command.command()
def schema() -> None:
    """Print the JSON Schema (draft 2020-12): completion and checks in any editor."""
    from driftmon.daemon.json_schema import config_schema  # noqa: PLC0415  `--help` need not import sources and sinks

    click.echo(json.dumps(config_schema(), indent=2, ensure_ascii=False))


@command.command()
def example() -> None:
    """Print a commented example; it holds the rules that apply where none are given."""
    from driftmon.daemon.config import example as text  # noqa: PLC0415

    click.echo(text(), nl=False)
