"""Samples -> the two text formats Prometheus reads: 0.0.4 and OpenMetrics 1.0.

Law: every sample is one line whatever the data holds, and two different label values stay
different. A value that is not finite has no meaning here, and a sample without meaning is absent.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, groupby
from operator import attrgetter
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from driftmon.render.catalogue import Metric

LABEL_BYTES: Final = 128
# C0 and C1 controls, zero-width and bidi marks, line separators, lone surrogates; and a backslash that looks like ours.
UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]|\\\\(?=u[0-9a-f]{4})"
)
OPENMETRICS: Final = "application/openmetrics-text"
END: Final = b"# EOF\n"
TEXT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Histogram(Struct, frozen=True):
    """Observations by upper bound: `counts` has one more entry than `bounds`, for those above the last."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


Value: TypeAlias = float | Histogram
Render: TypeAlias = "Callable[[Iterable[Piece]], bytes]"


class Piece(Protocol):
    """One metric with its samples, or some of them."""

    @property
    def metric(self) -> Metric: ...
    @property
    def samples(self) -> Sequence[tuple[tuple[str, ...], Value]]: ...
    def lines(self) -> bytes:
        """A line of each sample, the same in both formats, begun by a line feed."""
        ...


class Family(Struct, frozen=True):
    """One metric with its samples: label values in the order of `metric.labels`, and a value."""

    metric: Metric
    samples: Sequence[tuple[tuple[str, ...], Value]]

    def lines(self) -> bytes:
        return "".join(f"\n{line}" for line in _lines(self)).encode()


def render_text(pieces: Iterable[Piece]) -> bytes:
    """Text format 0.0.4; pieces of one metric stand side by side.

    >>> print(render_text([Family(Metric("a_total", "counter", "", "All."), [((), 3.0)])]).decode(), end="")
    # HELP a_total All.
    # TYPE a_total counter
    a_total 3.0
    """
    return _rendered(pieces, _text_head)


def render_openmetrics(pieces: Iterable[Piece]) -> bytes:
    """OpenMetrics 1.0: families without `_total`, `# UNIT`, and `# EOF`, without which it is cut short."""
    return _rendered(pieces, _openmetrics_head) + END


def choose(accept: str) -> tuple[Render, str]:
    """The format a client asks for by its Accept header, and the Content-Type that says so.

    >>> choose("text/plain")[1]
    'text/plain; version=0.0.4; charset=utf-8'
    >>> choose("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3")[1]
    'application/openmetrics-text; version=1.0.0; charset=utf-8'
    """
    quality = {"text": 0.0, "1.0.0": 0.0, "0.0.1": 0.0}
    for kind, version, weight in _accepted(accept):
        if kind == OPENMETRICS and (version or "1.0.0") in quality:
            quality[version or "1.0.0"] = max(quality[version or "1.0.0"], weight)
        elif kind in ("text/plain", "text/*", "*/*") and version in ("", "0.0.4"):
            quality["text"] = max(quality["text"], weight)
    version = max(("1.0.0", "0.0.1"), key=lambda one: quality[one])
    if quality[version] == 0.0 or quality[version] < quality["text"]:
        return render_text, TEXT_TYPE
    return render_openmetrics, f"{OPENMETRICS}; version={version}; charset=utf-8"


def _accepted(accept: str) -> Iterator[tuple[str, str, float]]:
    """(media type, version, q) of each entry; one that cannot be read counts as unwanted."""
    for entry in accept.lower().split(","):
        kind, *rest = (part.strip() for part in entry.split(";"))
        parameters = dict(part.split("=", 1) for part in rest if "=" in part)
        try:
            yield kind, parameters.get("version", "").strip('"'), float(parameters.get("q", "1"))
        except ValueError:
            continue


def _rendered(pieces: Iterable[Piece], head: Callable[[Metric], str]) -> bytes:
    """A metric without samples is left out with its head."""
    found = (
        (metric, b"".join(piece.lines() for piece in some)) for metric, some in groupby(pieces, attrgetter("metric"))
    )
    return b"".join(part for metric, lines in found if lines for part in (head(metric).encode(), lines, b"\n"))


def _text_head(metric: Metric) -> str:
    kind = "gauge" if metric.kind == "info" else metric.kind
    help_text = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {metric.name} {help_text}\n# TYPE {metric.name} {kind}"


def _openmetrics_head(metric: Metric) -> str:
    head = f"# HELP {metric.family} {_escaped(metric.help)}\n# TYPE {metric.family} {metric.kind}"
    return head + (f"\n# UNIT {metric.family} {metric.unit}" if metric.unit else "")


def labelled(metric: Metric, values: Sequence[str]) -> str:
    """A series as it stands on its line.

    >>> labelled(Metric("a_total", "counter", "", "", ("x", "y")), ("1", "2"))
    'a_total{x="1",y="2"}'
    """
    labels = _labels(metric, values)
    return f"{metric.name}{{{labels}}}" if labels else metric.name


def _labels(metric: Metric, values: Sequence[str]) -> str:
    return ",".join([f'{label}="{label_text(value)}"' for label, value in zip(metric.labels, values, strict=True)])


def _lines(family: Family) -> Iterator[str]:
    for values, value in family.samples:
        if isinstance(value, Histogram):
            yield from _buckets(family.metric.name, _labels(family.metric, values), value)
        elif math.isfinite(value):
            yield f"{labelled(family.metric, values)} {float(value)!r}"


def _buckets(name: str, labels: str, histogram: Histogram) -> Iterator[str]:
    before, around = (f"{labels},", f"{{{labels}}}") if labels else ("", "")
    count = 0
    for bound, count in zip((*histogram.bounds, math.inf), accumulate(histogram.counts), strict=True):
        text = "+Inf" if bound == math.inf else repr(float(bound))
        yield f'{name}_bucket{{{before}le="{text}"}} {float(count)!r}'
    yield f"{name}_count{around} {float(count)!r}"
    yield f"{name}_sum{around} {float(histogram.total)!r}"


@lru_cache(maxsize=65_536)  # the same few names stand on thousands of lines
def label_text(text: str) -> str:
    r"""A label value as it stands between quotes: `clean`, then backslash, quote and newline escaped.

    >>> label_text('say "x"'), label_text("a\nb")
    ('say \\"x\\"', 'a\\\\u000ab')
    """
    return _escaped(clean(text))


def clean(text: str) -> str:
    """Controls, bidi marks and lone surrogates as \\uXXXX; at most 128 bytes, the rest told apart by a hash.

    >>> clean("a" * 200)[-12:]
    'aaa~c2a908d9'
    """
    safe = UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
    data = safe.encode()
    if len(data) <= LABEL_BYTES:
        return safe
    return data[: LABEL_BYTES - 9].decode(errors="ignore") + "~" + hashlib.sha256(data).hexdigest()[:8]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
