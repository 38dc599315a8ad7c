"""Logs: one line an event on stderr, as logfmt or JSON; nothing of the data itself.

Law: a line is a line, whatever a message holds.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Final, Literal, TypeAlias

Level: TypeAlias = Literal["debug", "info", "warn", "error"]
Format: TypeAlias = Literal["logfmt", "json"]

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
NAMES: Final = {number: name for name, number in LEVELS.items()} | {logging.CRITICAL: "error"}


def set_up(level: Level, form: Format) -> None:
    """Route all logging to stderr in one form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(form, tracebacks=level == "debug"))
    logging.basicConfig(level=LEVELS[level], handlers=[handler], force=True)
    for noisy in ("httpx", "httpcore", "asyncio", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(max(LEVELS[level], logging.WARNING))


class Lines(logging.Formatter):
    """A record as one line; a fault as its type and text, its traceback at level debug only."""

    def __init__(self, form: Format, *, tracebacks: bool) -> None:
        super().__init__()
        self._write = _as_json if form == "json" else _as_logfmt
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        milliseconds = int(record.msecs)
        fields = {
            "ts": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{milliseconds:03d}Z",
            "level": NAMES.get(record.levelno, "info"),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            fault = record.exc_info[1]
            fields["error"] = f"{type(fault).__name__}: {fault}"
            if self._tracebacks:
                fields["traceback"] = self.formatException(record.exc_info)
        return self._write(fields)


def _as_json(fields: dict[str, str]) -> str:
    return json.dumps(fields)


def _as_logfmt(fields: dict[str, str]) -> str:
    """
    >>> _as_logfmt({"level": "info", "msg": 'two "words"\\n'})
    'level=info msg="two \\\\"words\\\\"\\\\n"'
    """
    return " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())


def _quoted(value: str) -> str:
    plain = bool(value) and value.isascii() and value.isprintable() and not set(value) & set(' ="\\')
    return value if plain else json.dumps(value, ensure_ascii=False)
