"""Settings: what the configuration means, frozen; paths are absolute, durations ms, sizes bytes.

Law: the unit in a field's name is its type in the file. `lateness_ms: int` is the key `lateness`
with a value such as `90s`; `body_bytes: int` is the key `body_bytes` and takes `8MiB`; `path`,
`*_file` and fields of type Path are paths relative to the configuration file. This holds for the
`Options` of sources and sinks too, so that they need to import nothing for it.
"""
# ruff: noqa: RUF009  doc() is dataclasses.field

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from driftmon.daemon.yaml_nodes import Keys, Node
from driftmon.formats.layout import DEPTH, FIELDS, LINE_BYTES, TEXT_LENGTH, Bounds
from driftmon.monitor.delayed import Waits
from driftmon.monitor.panes import Window
from driftmon.monitor.rules import Rule
from driftmon.monitor.slots import Slots
from driftmon.outward.login import Login
from driftmon.stats.edges import FeatureSpec

KIB, MIB = 1024, 1024 * 1024

TimeUnit: TypeAlias = Literal["iso8601", "s", "ms", "us", "ns"]
Overload: TypeAlias = Literal["block", "sample"]


def doc(text: str, default: Any = MISSING, **bounds: Any) -> Any:
    """A dataclass field with its sentence for the JSON Schema, and bounds: least, most, above, pattern, words.

    >>> doc("records", 5, least=1).metadata["least"]
    1
    """
    return field(default=default, metadata={"doc": text, **bounds})


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """A source or sink: `type` is its file's name, `options` an instance of that file's `Options`."""

    type: str
    options: Any
    place: str = field(default="", compare=False)  # "driftmon.yaml:7  streams.flights.sources[0]", for messages


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSettings:
    """Event time: where a record says when it happened."""

    field: str = doc(
        "Field that holds the time of the event; a path such as meta.time reaches into nested records.",
        example="field: time",
    )
    unit: TimeUnit = doc("How the time is written.", "iso8601")
    lateness_ms: int = doc("How much a record may lag behind the newest one and still be counted.", 0)


@dataclass(frozen=True, slots=True)
class ReferenceSettings:
    """Where P comes from: a file, the stream's own first records or past, its hours, or another stream."""

    type: Literal["file", "warmup", "trailing", "seasonal", "stream"]
    path: Path | None = None
    observations: int | None = None
    length_ms: int = 0
    lag_ms: int = 0
    slots: Slots | None = None
    stream: str = ""
    url: str = ""
    sha256: str = ""
    login: Login = Login()
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """One monitored stream of records."""

    name: str
    sources: tuple[PluginSettings, ...]
    time: TimeSettings | None
    reference: ReferenceSettings
    features: tuple[FeatureSpec, ...]
    windows: tuple[Window, ...]
    pseudocount: float = 0.5
    tick_ms: int = 10_000
    stale_after_ms: int = 900_000
    overload: Overload = "block"
    labels: Waits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """What an acknowledged record survives; where the state lies is the flag --storage.path."""

    ack: Literal["durable", "memory"] = doc(
        "durable: an answer of 200 means on the disk. memory: 202, and a crash may lose the last second.", "durable"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """How much /metrics exports; the report at /api/v1/report always has everything."""

    set: Literal["core", "full"] = doc(
        "core: at most 16 series per feature with one window; full: all metrics.", "core"
    )
    bins: Literal["none", "window", "counters"] = doc(
        "Series per bin: none, gauges of each window, or counters since the start.", "none"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every bound that keeps memory and time finite; what a limit drops is counted."""

    series: int = doc("Series on /metrics; beyond it features are left out and counted.", 10_000, least=1)
    mailbox_bytes: int = doc("Blocks waiting to be counted; beyond it ingest answers 429.", 16 * MIB, least=MIB)
    body_bytes: int = doc("One request body as sent; beyond it 413.", 8 * MIB, least=KIB)
    decompressed_bytes: int = doc("One request body decompressed; beyond it 413.", 16 * MIB, least=KIB)
    array_bytes: int = doc("One JSON array or object as a body; NDJSON has no such bound.", MIB, least=KIB)
    decompression_ratio: int = doc(
        "What a byte may unpack to, once the body is over 1 MiB; beyond it 413.", 100, least=1
    )
    inflight_bytes: int = doc("All bodies being read at once, unpacked; beyond it 429.", 32 * MIB, least=MIB)
    line_bytes: int = doc("One record; longer ones are rejected as too_long.", LINE_BYTES, least=256)
    depth: int = doc("Maps and lists within each other in a record; deeper: too_deep.", DEPTH, least=1, most=64)
    fields: int = doc("Keys of a record besides as many as features read; more: too_many_fields.", FIELDS, least=0)
    text_length: int = doc("Characters of a categorical value; longer: too_long.", TEXT_LENGTH, least=1)
    connections: int = doc(
        "Open connections of all listeners together; beyond it the one idle for longest is closed, else 503.",
        256,
        least=1,
    )
    connections_per_ip: int = doc("As many of them from one other machine; beyond it 503.", 16, least=1)
    header_bytes: int = doc("Line and headers of a request; taken at the start. Beyond it 400.", 16 * KIB, least=KIB)
    header_timeout_ms: int = doc("Time to send them; beyond it 408.", 5_000, least=1)
    idle_timeout_ms: int = doc("Silence within a body; beyond it 408.", 10_000, least=1)
    request_timeout_ms: int = doc("Time to send a whole body; beyond it 408.", 60_000, least=1)
    rate_bytes: int = doc(
        "Bytes a second of a body, on the whole, once `header_timeout` has passed; slower: 408.", KIB, least=0
    )

    @property
    def bounds(self) -> Bounds:
        """Those of one record."""
        return Bounds(self.line_bytes, self.depth, self.fields, self.text_length)


@dataclass(frozen=True, slots=True)
class Config:
    """One configuration file, checked; `tree` is kept so that later messages can still name the line."""

    version: int
    streams: Mapping[str, StreamSettings]
    rules: tuple[Rule, ...]
    sinks: tuple[PluginSettings, ...]
    external_labels: Mapping[str, str]
    storage: StorageSettings
    metrics: MetricsSettings
    limits: Limits
    path: Path
    tree: Node = field(default=Keys(1, {}, {}), compare=False, repr=False)
