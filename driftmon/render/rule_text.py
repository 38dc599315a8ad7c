"""Prometheus rules as values, and the YAML that Prometheus reads.

Law: the same rules give the same bytes; each expression stands in a block of its own, as one would paste it
into Prometheus, and every other text is a JSON string, which is YAML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms"))


@dataclass(frozen=True, slots=True)
class Recording:
    """A rule that records `expr` under a new name."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)
    why: str = ""  # a comment above the rule


@dataclass(frozen=True, slots=True)
class Alerting:
    """A rule that alerts while `expr` has a result; durations in ms. `runbook`: the section, if not of its own name."""

    alert: str
    expr: str
    summary: str
    description: str
    pending_for_ms: int = 0
    keep_firing_for_ms: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    runbook: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that Prometheus evaluates in their order, at one instant."""

    name: str
    rules: Sequence[Recording | Alerting]
    interval: str = ""  # "" is Prometheus' own


def to_yaml(groups: Sequence[Group], runbooks: str, head: str) -> str:
    """A rule file. `runbooks` is where the runbooks are; each alert links to its section there.

    >>> rules = [Recording("a:b:sum", "sum by (a) (b)", why="One of them.")]
    >>> print(to_yaml([Group("g", rules)], "https://r", "Made."), end="")
    # Made.
    groups:
      - name: g
        rules:
          # One of them.
          - record: a:b:sum
            expr: |-
              sum by (a) (b)
    """
    lines = [f"# {line}".rstrip() for line in head.splitlines()] + ["groups:"]
    for group in groups:
        lines += [f"  - name: {group.name}", *([f"    interval: {group.interval}"] if group.interval else [])]
        lines += ["    rules:"]
        for rule in group.rules:
            lines += _recording(rule) if isinstance(rule, Recording) else _alerting(rule, runbooks)
    return "\n".join(lines) + "\n"


def _recording(rule: Recording) -> Iterator[str]:
    yield from _why(rule.why)
    yield f"      - record: {rule.record}"
    yield from _expr(rule.expr)
    yield from _map("labels", rule.labels)


def _alerting(rule: Alerting, runbooks: str) -> Iterator[str]:
    yield from _why(rule.why)
    yield f"      - alert: {rule.alert}"
    yield from _expr(rule.expr)
    for key, waits_ms in (("for", rule.pending_for_ms), ("keep_firing_for", rule.keep_firing_for_ms)):
        if waits_ms:
            yield f"        {key}: {duration(waits_ms)}"
    yield from _map("labels", rule.labels)
    told = {"summary": rule.summary, "description": rule.description}
    told["runbook_url"] = f"{runbooks}#{anchor(rule.runbook or rule.alert)}"
    yield from _map("annotations", {**told, **rule.annotations})


def anchor(alert: str) -> str:
    """The anchor of an alert's section, as Markdown renderers derive it from the heading.

    >>> anchor("DriftmonNoData")
    'driftmonnodata'
    """
    return re.sub(r"[^\w\- ]", "", alert.lower()).replace(" ", "-")


def duration(waits_ms: int) -> str:
    """As Prometheus reads it.

    >>> duration(5_400_000), duration(600_000), duration(90_061_001)
    ('1h30m', '10m', '1d1h1m1s1ms')
    """
    found = ""
    for unit_ms, name in UNITS:
        times, waits_ms = divmod(waits_ms, unit_ms)
        found += f"{times}{name}" if times else ""
    return found or "0s"


def quoted(text: str) -> str:
    """A string of PromQL."""
    return json.dumps(text, ensure_ascii=False)


def _why(text: str) -> Iterator[str]:
    yield from (f"      # {line}" for line in text.splitlines())


def _expr(expr: str) -> Iterator[str]:
    yield "        expr: |-"
    yield from (f"          {line}".rstrip() for line in expr.splitlines())


def _map(key: str, texts: Mapping[str, str]) -> Iterator[str]:
    if texts:
        yield f"        {key}:"
        yield from (f"          {name}: {json.dumps(text, ensure_ascii=False)}" for name, text in texts.items())
