"""Standing: what the world knows to be firing in each stream, and what it is not to know yet.

Law: a row of the store for each such notice; a change within `changing` becomes a changed row.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from driftmon.daemon.news import Debt
from driftmon.render.alert_words import iso
from driftmon.render.notice import Notice

WORLD: Final = ""  # the target of rows that say what anybody knows; no sink has this name

log: Final = logging.getLogger("driftmon.outbox")


class Standing:
    """Notices by stream and fingerprint: `firing`, and `quiet`, which fired before their time."""

    def __init__(self) -> None:
        self.firing: dict[str, dict[str, Notice]] = {}
        self.quiet: dict[str, dict[str, Notice]] = {}
        self._changed: dict[Debt, Any] = {}

    @contextmanager
    def changing(self, stream: str) -> Iterator[None]:
        """What this stream stands at afterwards is noted."""
        before = self._of(stream)
        yield
        now = self._of(stream)
        for key in before.keys() - now.keys():
            self._changed[_row_of(stream, key)] = None
        for key, quiet in now.items():
            if before.get(key) is not quiet:
                notice = (self.quiet if quiet else self.firing)[stream][key]
                told = {"stream": stream, "fingerprint": key, "quiet": quiet, "notice": msgspec.to_builtins(notice)}
                self._changed[_row_of(stream, key)] = told

    def rows(self) -> dict[Debt, Any]:
        """What changed since the last time, for the store; None: it is over."""
        found, self._changed = self._changed, {}
        return found

    def restore(self, row: Mapping[str, Any]) -> None:
        """A row of an earlier process."""
        kind = self.quiet if row["quiet"] else self.firing
        kind.setdefault(row["stream"], {})[row["fingerprint"]] = msgspec.convert(row["notice"], Notice)

    def succeed(self, old: Standing, streams: Collection[str]) -> None:
        """After a reload; streams that fire and are gone are left for their resolves."""
        self.firing, self.quiet = dict(old.firing), {name: old.quiet.get(name, {}) for name in streams}
        for stream in old.quiet.keys() - set(streams):
            self._changed |= {_row_of(stream, key): None for key in old.quiet[stream]}

    def keep_quiet(self, stream: str, notice: Notice, notify_from_ms: int) -> None:
        """The operator still sees in the log what the rule would have done."""
        waiting = self.quiet.setdefault(stream, {})
        if notice.status == "resolved":
            waiting.pop(notice.fingerprint, None)
            return
        waiting[notice.fingerprint] = notice
        labels = " ".join(f"{name}={text}" for name, text in notice.labels.items())
        log.info("alert would have fired, nobody is told before %s: %s", iso(notify_from_ms), labels)

    def _of(self, stream: str) -> dict[str, bool]:
        """By fingerprint, whether it is quiet."""
        return dict.fromkeys(self.firing.get(stream, {}), False) | dict.fromkeys(self.quiet.get(stream, {}), True)


def _row_of(stream: str, fingerprint: str) -> Debt:
    return WORLD, json.dumps([stream, fingerprint])
