"""Selectors in PromQL, made of the catalogue: a metric gets the matchers its labels allow, and no others.

Law: a metric that is not in the catalogue cannot be asked for, nor with a label it has not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from driftmon.render.catalogue import METRICS, PREFIX, Metric

RATE: Final = "$__rate_interval"
UNITS: Final = {"": "short", "nats": "short", "ratio": "percentunit", "bytes": "bytes", "seconds": "s"}
BY_FEATURE: Final = "by (stream, segment, feature)"


def metric(name: str) -> Metric:
    """By its name without `driftmon_`; KeyError where the catalogue has none.

    >>> metric("kl_noise_floor_nats").unit
    'nats'
    """
    return METRICS[PREFIX + name]


def unit(name: str) -> str:
    """Grafana's name of the metric's unit; it knows no nats, and its linter takes no suffix of ours.

    >>> unit("missing_ratio"), unit("kl_divergence_nats")
    ('percentunit', 'short')
    """
    return UNITS[metric(name).unit]


@dataclass(frozen=True)
class Scope:
    """The variables of one dashboard, beside data source, job and instance that all have.

    Of `several` any number of values is chosen, and Grafana escapes them for a regular expression. Of `single`
    it does not, so they are compared as text: a feature may be called `price (EUR)`.
    """

    several: tuple[str, ...] = ()
    single: tuple[str, ...] = ()

    def of(self, name: str, **own: str) -> str:
        """The selector of a metric; `own` are values of its own labels.

        >>> Scope(("stream",)).of("drift_seconds_total")
        'driftmon_drift_seconds_total{job=~"$job", instance=~"$instance", stream=~"$stream"}'
        >>> Scope(single=("stream",)).of("series_limit_exceeded").rpartition(", ")[2]
        'stream="$stream"}'
        >>> Scope().of("kl_divergence_nats", direction="q_p").rpartition(", ")[2]
        'direction="q_p"}'
        """
        return self._selector(metric(name), PREFIX + name, own)

    def buckets(self, name: str) -> str:
        """The selector of a histogram's buckets."""
        return self._selector(metric(name), f"{PREFIX}{name}_bucket", {})

    def rate(self, name: str, **own: str) -> str:
        """A counter's increase per second."""
        return f"rate({self.of(name, **own)}[{RATE}])"

    def _selector(self, known: Metric, name: str, own: dict[str, str]) -> str:
        foreign = own.keys() - set(known.labels)
        if foreign:
            raise KeyError(f"{known.name} has no label {', '.join(sorted(foreign))}; it has {', '.join(known.labels)}")
        # A segment stands beside the feature where segments are configured; the catalogue's labels are those of all.
        labels = {*known.labels, *(("segment",) if "feature" in known.labels else ())}
        chosen = [f'{label}=~"${label}"' for label in self.several if label in labels]
        chosen += [f'{label}="${label}"' for label in self.single if label in labels]
        told = [f'{label}="{value}"' for label, value in own.items()]
        matchers = ", ".join(['job=~"$job"', 'instance=~"$instance"', *chosen, *told])
        return f"{name}{{{matchers}}}"


def worst(expression: str) -> str:
    """Over pods and windows: KL is never summed or averaged."""
    return f"max {BY_FEATURE} ({expression})"


def excess(scope: Scope) -> str:
    """KL(Q||P) less its noise floor, where it is worst: what sampling alone does not explain."""
    kl, floor = scope.of("kl_divergence_nats", direction="q_p"), scope.of("kl_noise_floor_nats")
    return worst(f"{kl} - ignoring (direction) {floor}")


def drifting(scope: Scope) -> str:
    """One series per feature that drifts on any pod; its value is how many pods say so."""
    return f"count {BY_FEATURE} ({scope.of('feature_status_code')} == 2)"


def status(scope: Scope) -> str:
    """The status of a feature over pods: drift if any says drift, else the highest code."""
    return f"({drifting(scope)} * 0 + 2) or {worst(scope.of('feature_status_code'))}"


def evidence(scope: Scope) -> str:
    """The fleet's: the mean over pods of 10^evidence, for a mean of e-detectors is one."""
    return f"log10(avg {BY_FEATURE} (10 ^ {scope.of('evidence_log10')}))"


def moved_most(scope: Scope, expression: str, count: int = 20) -> str:
    """The expression for the features that moved most in the range shown, the same ones at every point of it."""
    peak = f"max_over_time({scope.of('kl_divergence_debiased_nats')}[$__range] @ end())"
    return f"({expression}) and on (stream, segment, feature) topk({count}, {worst(peak)})"
