"""The keys of a reference, by its type, and what they must agree on with the stream's windows and time."""
# ruff: noqa: RUF009  doc() is dataclasses.field

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from driftmon.daemon.faults import KeyFault
from driftmon.daemon.settings import PluginSettings, ReferenceSettings, doc
from driftmon.monitor.panes import PANES, Window, finest_pane_ms, span
from driftmon.monitor.seasonal import too_long
from driftmon.monitor.slots import Slots
from driftmon.monitor.warmup import SAMPLE_ROWS
from driftmon.outward.login import Login
from driftmon.outward.targets import forbidden, literal

OBSERVATIONS: Final = 20_000
MOST_OBSERVATIONS: Final = 10_000_000
LOGIN: Final = tuple(field.name for field in fields(Login))
DIGEST: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class FileReference(Login):
    """A snapshot that `driftmon reference build`, `init` or `reference promote` wrote: a file, or an https URL."""

    path: Path | None = doc("The snapshot file.", None, example="path: flights.reference.json")
    url: str | None = doc("An https URL instead, for pods that share no file; read at start and at reload.", None)
    sha256: str | None = doc("The digest of what is at the URL, as `sha256sum` prints it.", None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.path is None and self.url is None:
            raise KeyFault("path", "missing", "write path: flights.reference.json")
        if self.path is not None and (self.url is not None or self.sha256 is not None):
            raise KeyFault("path", "beside url or sha256", "use path, or url and sha256")
        if self.url is not None and not (self.url.startswith("https://") and urlsplit(self.url).hostname):
            raise KeyFault("url", "is no https URL", "write url: https://host/path")
        address = literal(urlsplit(self.url or "").hostname or "")
        if address is not None and (reason := forbidden(address)):
            raise KeyFault("url", f"the address {reason}", "name the host's own address")
        if self.url is not None and not DIGEST.fullmatch(self.sha256 or ""):
            raise KeyFault("sha256", "missing or no digest", "write the 64 hex digits that sha256sum prints")
        for key in LOGIN:
            if self.url is None and getattr(self, key) is not None:
                raise KeyFault(key, "does nothing for a file", "remove it, or use url and sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUpReference:
    """The first records of the stream itself; until then nothing is judged. If they are not steady, the next ones."""

    observations: int = doc("How many records make the reference.", OBSERVATIONS, least=1, most=MOST_OBSERVATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailingReference:
    """The stream's own past, moving along: finds what changed lately, and forgets what was. No budget is promised."""

    length_ms: int = doc("How much of the past.", least=PANES, example="length: 7d")
    lag_ms: int | None = doc("How long ago it ends; by default the longest window, so that they do not overlap.", None)
    path: Path | None = doc("A snapshot that serves until the stream is so old; without it nothing is judged.", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeasonalReference:
    """A reference with its hours (UTC), mixed for each window by the hours of the window's own rows."""

    slots: Slots = doc("hour_of_week wants 7 times the data.", example="slots: hour_of_day")
    path: Path | None = doc(
        "The snapshot file; without it the stream's first records, at least one period of them.", None
    )
    observations: int | None = doc("How many of them, at least.", None, least=1, most=MOST_OBSERVATIONS)

    def __post_init__(self) -> None:
        if self.path is not None and self.observations is not None:
            raise KeyFault("observations", "the file has them counted already", "remove observations or path")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReference:
    """Another stream's live window of the same time: a canary against its champion. No budget is promised."""

    stream: str = doc(
        "The other stream; its bins are used, and what comes before it has any is not kept.", example="stream: champion"
    )


REFERENCES: Final[Mapping[str, type]] = {
    "file": FileReference,
    "warmup": WarmUpReference,
    "trailing": TrailingReference,
    "seasonal": SeasonalReference,
    "stream": StreamReference,
}


def check_reference(options: object, windows: Sequence[Window], event_time: bool) -> None:
    """KeyFault, by the stream's keys, where a reference does not go with the stream's windows or time."""
    if isinstance(options, TrailingReference):
        whole_ms = finest_pane_ms(tuple(windows)) * PANES
        if options.length_ms % whole_ms:
            cure = f"use {span(-(-options.length_ms // whole_ms) * whole_ms)}"
            raise KeyFault(
                ("reference", "length"),
                f"{span(options.length_ms)} is no multiple of {span(whole_ms)}, the shortest window",
                cure,
            )
    if isinstance(options, SeasonalReference):
        for index, window in enumerate(windows):
            if told := too_long(window):
                fault, _, cure = told.rpartition("; ")
                raise KeyFault(
                    ("windows", index, "length" if window.half_life_ms is None else "half_life"), fault, cure
                )
        if options.path is not None and not event_time:
            raise KeyFault(
                "time", "missing, so the hours of the records in the file are unknown", "write time: {field: ...}"
            )


def _login(options: Login) -> Login:
    return Login(**{key: getattr(options, key) for key in LOGIN})


def reference_settings(settings: PluginSettings, windows: Sequence[Window]) -> ReferenceSettings:
    """What the rest of the daemon goes by."""
    options, place = settings.options, settings.place
    match options:
        case TrailingReference():
            longest_ms = max(window.pane_ms for window in windows) * PANES
            lag_ms = longest_ms if options.lag_ms is None else options.lag_ms
            first = SAMPLE_ROWS if options.path is None else None
            return ReferenceSettings("trailing", options.path, first, options.length_ms, lag_ms, place=place)
        case SeasonalReference():
            first = None if options.path is not None else options.observations or OBSERVATIONS
            return ReferenceSettings("seasonal", options.path, first, slots=options.slots, place=place)
        case StreamReference():
            return ReferenceSettings("stream", stream=options.stream, place=place)
        case FileReference():
            return ReferenceSettings(
                "file",
                options.path,
                url=options.url or "",
                sha256=options.sha256 or "",
                login=_login(options),
                place=place,
            )
    return ReferenceSettings("warmup", observations=options.observations, place=place)
