"""Plan: what of a configuration decides the fleet's rules. Without a configuration, that of its defaults.

Law: what a rule promises for one daemon it promises here for all pods of a job together: the same budget of
false alarms, the same threshold, the same least number of observations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from driftmon.render.rule_text import quoted

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
WARNING: Final[Mapping[str, str]] = {"severity": "warning"}


@dataclass(frozen=True, slots=True)
class Budget:
    """A calibrated rule: A panes between false alarms, and the effect worth an alarm, for the streams of a regex."""

    panes: float = 30 * DAY_MS / MINUTE_MS
    effect: float = 0.02
    streams: str = ".*"
    features: str = ".*"

    @property
    def selector(self) -> str:
        return selector(stream=self.streams, feature=self.features)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A fixed threshold on the debiased KL of the fleet."""

    alert: str = "DriftmonFeatureDrift"
    above: float = 0.1
    min_observations: int = 500
    pending_for_ms: int = 5 * MINUTE_MS
    keep_firing_for_ms: int = 10 * MINUTE_MS
    streams: str = ".*"
    features: str = ".*"
    windows: str = ".*"
    labels: Mapping[str, str] = field(default_factory=lambda: WARNING)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """A fixed threshold on anything else, or a mean's rise: each daemon judges, the fleet counts the pods that fire."""

    alert: str = "DriftmonSchemaBreak"
    labels: Mapping[str, str] = field(default_factory=lambda: WARNING)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """`bins`: the daemons export the counts of each window's bins; `burn`: and the seconds of drift (set: full)."""

    budgets: tuple[Budget, ...] = (Budget(),)
    thresholds: tuple[Threshold, ...] = (Threshold(),)
    judged: tuple[Judged, ...] = (Judged(),)
    bins: bool = True
    burn: bool = True


def selector(**matchers: str) -> str:
    """A selector by regular expressions; what matches all is left out.

    >>> selector(stream="a|b", feature=".*")
    '{stream=~"a|b"}'
    >>> selector(stream=".*")
    ''
    """
    found = ", ".join(f"{label}=~{quoted(regex)}" for label, regex in matchers.items() if regex != ".*")
    return f"{{{found}}}" if found else ""


def regex_of(glob: str) -> str:
    """A glob of the configuration as Prometheus' regular expression, which is anchored by itself.

    >>> regex_of("*"), regex_of("fraud-*.v?"), regex_of("[!a]b")
    ('.*', 'fraud-.*\\\\.v.', '[^a]b')
    """
    found, rest = "", glob
    while rest:
        character, rest = rest[0], rest[1:]
        closing = rest.find("]", 2 if rest[:1] == "!" else 1) if character == "[" else -1
        if closing >= 0:
            inside, rest = rest[:closing].replace("\\", "\\\\"), rest[closing + 1 :]
            found += f"[{'^' + inside[1:] if inside[0] == '!' else inside}]"
        else:
            found += {"*": ".*", "?": "."}.get(character) or _escaped(character)
    return found


def literal(name: str) -> str:
    """A name as a regular expression that only it matches.

    >>> literal("fraud-model.v2")
    'fraud-model\\\\.v2'
    """
    return "".join(map(_escaped, name))


def _escaped(character: str) -> str:
    """Prometheus refuses escapes of what needs none, as re.escape makes of `-`."""
    return f"\\{character}" if re.match(r"[.+*?()|\[\]{}^$\\]", character) else character
