"""Delivery: one batch of records to the daemon over HTTP, as often as it takes; the standard library only.

Law: a batch has one Idempotency-Key however often it is sent, so it is counted once. It is given up only where
that cannot be known any more: when it may have been counted, and the daemon may have forgotten the key since.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, quote, urlsplit

TIMEOUT_S: Final = 30.0
REMEMBERED_S: Final = 600.0  # the daemon remembers a key for 900 s
FIRST_DELAY_S: Final = 0.05
LONGEST_DELAY_S: Final = 30.0
STREAM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")  # as the daemon's configuration asks for
BUSY: Final = (408, 425, 429)
SCHEMES: Final[Mapping[str, type[http.client.HTTPConnection]]] = {
    "http": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
}
_orphans: Final[list[http.client.HTTPConnection]] = []  # of the parent's sender; to finalise one may wait for ever


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch: records the daemon has, and dropped ones by reason; `why` in words, of the latter."""

    sent: int
    dropped: Mapping[str, int]
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Reply:
    """`status` 0: none came; `counted`: nobody knows whether the batch was."""

    status: int
    retry_after: str = ""
    body: Mapping[str, Any] | None = None
    counted: bool = False
    why: str = ""


class Door:
    """The ingest API of one stream. ValueError where the address is none, or no request can be made of it.

    >>> Door("payments.sock", "payments", "")
    Traceback (most recent call last):
    ValueError: 'payments.sock' is no address of a daemon; write unix:/path, http://host:port or https://host:port
    """

    def __init__(self, url: str, stream: str, token: str) -> None:
        parts = urlsplit(url)
        self._unix = parts.path if parts.scheme == "unix" else ""
        if not self._unix and not _is_remote(parts):
            raise ValueError(
                f"{url!r} is no address of a daemon; write unix:/path, http://host:port or https://host:port"
            )
        self._scheme, self._host = parts.scheme, parts.hostname or "localhost"
        self._port = None if self._unix else parts.port
        prefix = "" if self._unix else parts.path.rstrip("/")
        if not _is_visible(prefix):
            raise ValueError(
                f"the path {prefix!r} of {url!r} has a space or a character that no request can hold; "
                f"write it as {quote(prefix, safe='/%')!r}"
            )
        if not STREAM.fullmatch(stream):
            raise ValueError(
                f"{stream!r} is no name of a stream; those have letters, digits, _ . and -, at most 64, "
                "and begin with a letter or digit"
            )
        if not _is_visible(token):  # it is a secret, and not shown
            raise ValueError(
                "the token has a space, a line end or another character that no header can hold; "
                "strip() it where it was read from a file"
            )
        self._target = f"{prefix}/api/v1/ingest/{stream}"
        self._login = {"Authorization": f"Bearer {token}"} if token else {}
        self._open: http.client.HTTPConnection | None = None

    def forget(self) -> None:
        """Close the connection."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.close()

    def leave(self) -> None:
        """In the child of a fork: let go of the parent's connection, but wait for no lock that its thread holds."""
        opened, self._open = self._open, None
        if opened is not None:
            _orphans.append(opened)
            with suppress(OSError, AttributeError):  # not connected, or closed meanwhile
                os.close(opened.sock.detach())

    def post(self, body: bytes, key: str) -> _Reply:
        """One attempt."""
        try:
            opened = self._open = self._open or self._connected()
        except OSError as fault:
            return _Reply(0, why=str(fault))
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": key, **self._login}
        try:
            opened.request("POST", self._target, body, headers)
            answer = opened.getresponse()
            return _Reply(answer.status, answer.headers.get("Retry-After", ""), _object(answer.read()))
        except (OSError, http.client.HTTPException) as fault:
            self.forget()
            return _Reply(0, counted=True, why=f"no answer: {fault!r}")

    def _connected(self) -> http.client.HTTPConnection:
        if not self._unix:
            opened = SCHEMES[self._scheme](self._host, self._port, timeout=TIMEOUT_S)
            opened.connect()
            return opened
        opened = http.client.HTTPConnection("localhost", timeout=TIMEOUT_S)
        opened.sock = socket.socket(socket.AF_UNIX)
        try:
            opened.sock.settimeout(TIMEOUT_S)
            opened.sock.connect(self._unix)
        except OSError:
            opened.close()
            raise
        return opened


def _is_remote(parts: SplitResult) -> bool:
    """Whether scheme, host and port are such that a connection can be tried."""
    try:
        host = (parts.hostname or "").encode("idna").decode()
        return parts.scheme in SCHEMES and bool(host) and _is_visible(host) and parts.port != 0
    except ValueError:  # a label too long or empty; a port that is no number or too large
        return False


def _is_visible(text: str) -> bool:
    """Whether it stands in a request as it is: the visible characters of ASCII."""
    return text.isascii() and text.isprintable() and " " not in text


def deliver(door: Door, lines: list[bytes], wait: Callable[[float], bool]) -> Outcome | None:
    """Send until the daemon has answered for every record; None: `wait` (a delay in seconds) said no more."""
    key, delay_s, unsure_s = uuid.uuid4().hex, FIRST_DELAY_S, None
    while True:
        reply = door.post(b"".join(lines), key)
        if reply.status == 413 and len(lines) > 1:
            return _in_halves(door, lines, wait)
        if reply.status and reply.status not in BUSY and reply.status < 500:
            return _settled(reply, len(lines))
        if reply.counted and unsure_s is None:
            unsure_s = time.monotonic()
        if unsure_s is not None and time.monotonic() - unsure_s > REMEMBERED_S:
            return Outcome(0, {"unconfirmed": len(lines)}, reply.why)
        if not wait(_asked_s(reply.retry_after) or delay_s):
            return None
        delay_s = min(delay_s * 2, LONGEST_DELAY_S)


def _in_halves(door: Door, lines: list[bytes], wait: Callable[[float], bool]) -> Outcome | None:
    half = len(lines) // 2
    one, other = (
        deliver(door, some, wait) or Outcome(0, {"closed": len(some)}) for some in (lines[:half], lines[half:])
    )
    reasons = {*one.dropped, *other.dropped}
    dropped = {reason: one.dropped.get(reason, 0) + other.dropped.get(reason, 0) for reason in reasons}
    return Outcome(one.sent + other.sent, dropped, one.why or other.why)


def _settled(reply: _Reply, records: int) -> Outcome:
    """Of a final answer. Late and sampled records are the daemon's own to count; only rejected ones are dropped.

    >>> _settled(_Reply(200, body={"rejected": 2}), 5), _settled(_Reply(204), 5)
    (Outcome(sent=3, dropped={'refused': 2}, why=''), Outcome(sent=0, dropped={'unconfirmed': 5}, why='HTTP 204'))
    """
    body = reply.body or {}
    why = f"HTTP {reply.status} {body.get('detail', '')} {_first_error(body)}".strip()
    if 200 <= reply.status < 300:
        if type(rejected := body.get("rejected")) is not int:  # no answer of a daemon: who knows what was counted
            return Outcome(0, {"unconfirmed": records}, why)
        refused = max(0, min(rejected, records))
        return Outcome(records - refused, {"refused": refused} if refused else {}, _first_error(body))
    if reply.status == 413:
        return Outcome(0, {"too_large": records}, str(body.get("detail", "")))
    return Outcome(0, {"refused": records}, why)


def _first_error(body: Mapping[str, Any]) -> str:
    match body.get("errors"):
        case [{"message": message}, *_]:
            return str(message)
        case [str(message), *_]:
            return message
    return ""


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _asked_s(retry_after: str) -> float:
    """Seconds, at most the longest delay; 0 where nothing usable was asked.

    >>> _asked_s("5"), _asked_s("86400"), _asked_s("Wed, 21 Oct 2015 07:28:00 GMT")
    (5.0, 30.0, 0.0)
    """
    return min(float(retry_after), LONGEST_DELAY_S) if retry_after.isdecimal() else 0.0
