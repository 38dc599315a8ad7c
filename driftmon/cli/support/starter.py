"""The configuration that `init` writes: every line with its reason, every choice within reach.

Law: it loads as it stands; the daemon's own reader is asked before it is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from driftmon.cli.support.inference import Finding
from driftmon.cli.support.predictions import NAME, Prediction

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
YAML_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


@dataclass(frozen=True, slots=True)
class Starter:
    """What the text is made of; `nested` are the fields that are paths into objects."""

    stream: str
    data: str
    records: int
    findings: Sequence[Finding]
    nested: frozenset[str]
    webhook: str | None
    alertmanager: str | None
    prediction: Prediction | None = None

    def text(self) -> str:
        head = HEAD.format(stream=self.stream, data=_comment(self.data), records=self.records)
        return "\n".join((head, *self._body(), TAIL, *self._sinks(), ""))

    def _body(self) -> Iterator[str]:
        # A dotted key at the top is no path, and `time.field` takes paths only.
        times = [
            found
            for found in self.findings
            if found.what == "time" and (found.field in self.nested or "." not in found.field)
        ]
        yield from (line for found in times[:1] for line in self._time(found))
        yield f"    reference: {{type: file, path: {key(self.stream + '.reference.json')}}}"
        yield "    features:"
        watched = [(self._entry(found), found.why) for found in self.findings if found.what in KINDS]
        if self.prediction is not None:
            watched.append((self._loss(self.prediction), self.prediction.why))
        width = max((len(entry) for entry, _ in watched), default=0)
        yield from (f"      {entry.ljust(width)}   # {_comment(why)}" for entry, why in watched)
        if self.prediction is not None:
            yield from LATER_LABELS
        left = [found for found in self.findings if found.what not in KINDS]
        if left:
            yield "      # Not watched; a line like those above changes that:"
        yield from (f"      # {_comment(found.field)}: {_comment(found.why)}" for found in left)

    def _entry(self, found: Finding) -> str:
        """A nested field gets a name without dots, which reads better in a label."""
        if found.field in self.nested:
            name = found.field.replace(".", "_")
            return f"{key(name)}: {{type: {found.what}, field: {key(found.field)}}}"
        return f"{key(found.field)}: {{type: {found.what}}}"

    def _loss(self, found: Prediction) -> str:
        return f"{NAME}: {{type: log_loss, probability: {key(found.probability)}, label: {key(found.label)}}}"

    def _time(self, found: Finding) -> Iterator[str]:
        yield "    # Records count when they arrive. To go by their own time instead, for records that come late or in"
        yield f"    # bulk, use the next line; {_comment(found.field)} has {_comment(found.why)}."
        yield f"    # time: {{field: {key(found.field)}, unit: {found.unit}, lateness: 1m}}"

    def _sinks(self) -> Iterator[str]:
        for kind, url, example in (
            ("alertmanager", self.alertmanager, "http://127.0.0.1:9093"),
            ("webhook", self.webhook, "http://127.0.0.1:8080/alerts"),
        ):
            mark = "- " if url is not None else "# - "
            yield f"  {mark}{{type: {kind}, endpoint: {json.dumps((url or example).replace('$', '$$'))}}}"


LATER_LABELS = (
    "      # Where the label comes later in a record of its own, name the id that both share, beside `features`:",
    "      # labels: {id: request_id, wait: 24h}",
)

KINDS = ("numeric", "categorical", "boolean")

HEAD = """\
# What driftmon watches in the stream {stream}; made by `driftmon init` from {data}, {records} records looked at.
# The type of each feature is a guess with its reason. Change what you know better, then count the reference again:
#   driftmon reference build {data} --config.file driftmon.yaml -o {stream}.reference.json
# Every key is described by `driftmon config schema`, all of them are shown by `driftmon config example`.
version: 1

streams:
  {stream}:
    sources:
      - {{type: http}}   # POST /api/v1/ingest/{stream}: one JSON object, an array, or NDJSON"""

TAIL = """\
    windows:
      - {name: fast, length: 1h}   # live data of the last hour; longer windows see smaller drifts
    tick: 10s                      # how often it is evaluated

rules:
  # By evidence: at most one false alarm in 30 days over all features together, however often anyone looks.
  - name: DriftmonDrift
    calibrated: {effect: small, false_alarms: "1/30d"}   # small | medium | large, 0.02 | 0.1 | 0.3 nats
    per: stream                      # one alert that names the features
    # notify_after: 7d               # first only show what would have fired, in the log and the report
  - name: DriftmonFeatureDrift       # by a threshold: simple, quick, blind to how many records there are
    metric: kl_divergence_debiased   # nats; 0 when nothing has changed, however few the records
    above: 0.1                       # 0.02 is a small drift, 0.1 a medium one, 0.3 a large one
    resolve_below: 0.05              # between the two nothing changes, so alerts do not flap
    for: 30s                         # three ticks in a row; minutes are usual in production
    keep_firing_for: 10m
    min_observations: 500            # with fewer there is no verdict
    labels: {severity: warning}
  - name: DriftmonSchemaBreak        # pipelines break more often than the world changes
    metric: invalid_ratio            # values of the wrong type: live share less the reference's
    above: 0.05

# On every alert that is sent, so that replicas never resolve each other's: the machine's name.
external_labels: {pod: "${HOSTNAME:-local}"}

# Who is told.
sinks:
  - {type: log}"""


def key(text: str) -> str:
    """A YAML scalar that reads back as this text.

    >>> key("dep_delay"), key("no"), key("a: b")
    ('dep_delay', '"no"', '"a: b"')
    """
    if PLAIN.fullmatch(text) and text.lower() not in YAML_WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


def _comment(text: str) -> str:
    """On one line, whatever the data holds."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
