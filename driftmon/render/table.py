"""Reports -> a plain table for a terminal: no colours, no cursor, so it may be piped, logged and compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from driftmon.monitor.report import Report
from driftmon.render.openmetrics import clean

HEAD: Final = ("stream", "feature", "window", "N", "effective", "KL, debiased", "noise", "lower", "evidence", "status")
NUMBERS: Final = ("N", "effective", "KL, debiased", "noise", "lower", "evidence")
WHERE_NO_VALUE: Final = "-"
FOOTNOTE: Final = """\
effective: N less overdispersion and decay. KL, debiased: KL(Q||P) of live Q and reference P, less what it is expected
to be without drift. noise: the 99 % quantile of KL(Q||P), not debiased, without drift. lower: its one-sided 99 % lower
bound. All in nats. evidence: log10 of the e-detector R.
"""


def table(reports: Mapping[str, Report]) -> str:
    """One line per stream, feature and window; `-` where there is no value.

    What stands there is said by `FOOTNOTE`.

    >>> print(table({}), end="")
    stream  feature  window  N  effective  KL, debiased  noise  lower  evidence  status
    """
    return aligned([HEAD, *(row for report in reports.values() for row in rows(report))])


def rows(report: Report) -> Iterator[tuple[str, ...]]:
    """The cells of one stream, as text. Names are cleaned: data must not move a terminal's cursor."""
    stream = clean(report.stream)
    if not report.windows or not report.schema.features:
        for name in report.statuses:
            yield (stream, clean(name), *[WHERE_NO_VALUE] * 7, report.statuses[name].name.lower())
        return
    for index, name in enumerate(report.schema.names):
        status = report.statuses[name].name.lower()
        evidence = float(report.evidence_log10[index]) if index < len(report.evidence_log10) else math.nan
        for at, window in enumerate(report.windows):
            yield (
                stream,
                clean(name),
                clean(window.name),
                f"{report.value(at, index, 'window_observations'):.0f}",
                f"{report.value(at, index, 'effective_observations'):.0f}",
                _number(report.value(at, index, "kl_divergence_debiased")),
                _number(report.value(at, index, "kl_noise_floor")),
                _number(report.value(at, index, "kl_divergence_lower_bound")),
                _number(evidence, 1),
                status,
            )


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart; those of numbers to the right. The first line is the head.

    >>> print(aligned([("feature", "N"), ("a", "12"), ("b", "3")]), end="")
    feature   N
    a        12
    b         3
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = [name in NUMBERS for name in lines[0]]
    return "".join("  ".join(map(_cell, line, widths, right)).rstrip() + "\n" for line in lines)


def _cell(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)


def _number(value: float, decimals: int = 4) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else WHERE_NO_VALUE
