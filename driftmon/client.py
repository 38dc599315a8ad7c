"""Client: records from the inference path to a driftmon daemon, without ever waiting for it.

Law: logged == sent + dropped + waiting. `log` appends to a bounded queue and returns, whatever state the daemon is in;
a thread does the rest, and outlives any answer. What finds no room, or is refused, is counted with its reason. The
standard library only.
"""

from __future__ import annotations

import atexit
import json
import logging
import math
import os
import reprlib
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Collection, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self
from weakref import WeakSet

from driftmon.delivery import Door, Outcome, deliver

CAPACITY: Final = 20_000  # records of ten fields: some 12 MB
LIGHT: Final = 1024  # bytes of text and lists in a record that need no counting: `capacity` bounds them
HEAVY: Final = 64 * 1024 * 1024  # of those in all other records that wait
LINGER_S: Final = 0.05  # from the first record of a batch to its sending
EXIT_S: Final = 2.0
BATCH_RECORDS: Final = 1000
BATCH_BYTES: Final = 128 * 1024
LINE_BYTES: Final = 65_536  # as the daemon's limits.line_bytes
HOPELESS: Final = 16 * LINE_BYTES  # as `_weight`, whose least byte of a line is a sixteenth
SLICE: Final = 16  # records written between two offers of the interpreter to other threads: some 0.1 ms
CLOSING_DELAY_S: Final = 0.2
TOLD_EVERY_S: Final = 60.0
DENIED: Final = ("HTTP 401", "HTTP 403", "HTTP 404")
DENIED_S: Final = 1.0

log: Final = logging.getLogger("driftmon.client")


class Client:
    """Sends records to stream `stream` of the daemon whose API listens at `url`: unix:/path or http://host:port.

    Make one for the process and call `log` for each prediction. A record is a flat or nested mapping of JSON values;
    numpy scalars and dates are written as such. It is copied one level deep: do not change what is nested in it.
    After a fork the child has an empty queue and its own thread and counters; what waited is the parent's to send.
    At exit what waits is sent for at most `exit_timeout` seconds. A child that ends without exit handlers, as those of
    multiprocessing do, loses what waits: call `close` at the end of its work.
    A batch that got no answer is sent again under its key, so that it counts once: the daemon remembers the keys of the
    last 15 minutes, but no more than the last 100,000 of all its clients.

    >>> client = Client("unix:/nowhere/driftmon.sock", stream="payments")
    >>> client.log({"amount": 12.5, "country": "DE"})
    >>> client.close(timeout=0)                       # False: not all of it arrived, there is no daemon
    False
    >>> client.sent, client.dropped
    (0, {'closed': 1})
    """

    def __init__(
        self, url: str, stream: str, *, token: str = "", capacity: int = CAPACITY, exit_timeout: float | None = EXIT_S
    ) -> None:
        _seconds(exit_timeout)
        if capacity < 1:
            raise ValueError(f"capacity must be a number of records of at least 1, not {capacity}")
        self._door = Door(url, stream, token)
        self._capacity = capacity
        self._open = True
        self._waiting: deque[dict[str, Any]]
        self._lock: threading.RLock
        self._wake: threading.Event
        self._closing: threading.Event
        self._begin()
        _clients.add(self)
        atexit.register(self.close, exit_timeout)

    def log(self, record: Mapping[str, Any]) -> None:
        """Queue a record, or count it as dropped. Neither waits nor raises."""
        try:
            if self._open and len(self._waiting) < self._capacity:
                copy = dict(record)
                if (weight := _weight(copy)) <= LIGHT or self._holds(weight):
                    self._waiting.append(copy)
                    if self._idle:
                        self._rouse()
            else:
                self._drop("full" if self._open else "closed", 1)
        except Exception:  # it is no mapping; an inference must not fail for that
            self._drop("unreadable", 1)

    @property
    def sent(self) -> int:
        """Records that the daemon has answered for."""
        return self._sent

    @property
    def dropped(self) -> dict[str, int]:
        """By reason: `full` the queue, `closed` the client, `refused` by the daemon, `too_large`, `unreadable` as JSON,
        `unconfirmed`: sent, but for ten minutes no answer came, or one that does not say what was counted."""
        with self._lock:
            return dict(self._dropped)

    @property
    def waiting(self) -> int:
        """Records that are queued or on their way."""
        return len(self._waiting) + self._flying

    def close(self, timeout: float | None = 5.0) -> bool:
        """Send what waits, for at most `timeout` seconds, or with None as long as it takes; the rest is dropped.
        Whether nothing was, for that."""
        timeout = _seconds(timeout)
        self._deadline_s = time.monotonic() + timeout
        self._open = False
        self._closing.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(min(timeout, threading.TIMEOUT_MAX))
        with self._lock:
            left = self.waiting
            self._waiting.clear()
            self._flying = self._heavy = 0
            self._given_up = True
            if left:
                self._dropped["closed"] += left
            whole = not self._dropped["closed"]
        atexit.unregister(self.close)
        return whole

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _begin(self) -> None:
        """As new; also what a fork leaves, whose locks and thread are the parent's."""
        self._waiting = deque()
        self._flying = self._heavy = 0
        self._sent = 0
        self._dropped: Counter[str] = Counter()
        self._told_s: dict[str, float] = {}
        self._lock = threading.RLock()  # a signal handler may log in the middle of a `log`
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._idle, self._given_up, self._deadline_s = True, False, 0.0
        self._door.leave()

    def _holds(self, weight: int) -> bool:
        """Whether there is room for a record of long texts or lists, which then is taken; else it is counted."""
        with self._lock:
            if weight > HOPELESS:
                self._dropped["too_large"] += 1
            elif self._heavy + weight > HEAVY:
                self._dropped["full"] += 1
            else:
                self._heavy += weight
                return True
        return False

    def _rouse(self) -> None:
        """The sender sleeps, was never started, or has died of what no `except Exception` catches."""
        if self._thread is None or not self._thread.is_alive():
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    if self._flying:
                        self._dropped["unconfirmed"] += self._flying
                        self._flying = 0
                    thread = threading.Thread(target=self._run, name="driftmon-client", daemon=True)
                    try:
                        thread.start()
                    except RuntimeError:  # no more threads, or the interpreter is ending: the next record tries again
                        return
                    self._thread = thread
        self._wake.set()

    def _drop(self, reason: str, records: int) -> None:
        with self._lock:
            self._dropped[reason] += records

    def _run(self) -> None:
        """The sender: sleeps while there is nothing, then lets a batch gather."""
        try:
            while self._sleep():
                while self._waiting and not self._given_up:
                    if not self._send(self._batch()):
                        return
            self._door.forget()
        finally:
            self._idle = True  # however it ended, the next record looks after the thread

    def _send(self, lines: list[bytes]) -> bool:
        """False: there is no more time, and what flew is left to `close` to count."""
        try:
            outcome = deliver(self._door, lines, self._pause) if lines else Outcome(0, {})
        except Exception as fault:  # of an answer that nobody thought of: the next batch may fare better
            self._door.forget()
            outcome = Outcome(0, {"unconfirmed": len(lines)}, traceback.format_exception_only(fault)[-1].strip())
        if outcome is None:
            return False
        self._settle(outcome, len(lines))
        return True

    def _sleep(self) -> bool:
        """False once the client is closed and empty."""
        self._idle = True  # before the look at the queue: who appends after that look sees it, and wakes us
        if not self._waiting:
            if not self._open:
                return False
            self._wake.wait()
        self._idle = False
        self._wake.clear()
        self._closing.wait(LINGER_S)
        return not self._given_up

    def _batch(self) -> list[bytes]:
        lines: list[bytes] = []
        size = 0
        while self._waiting and len(lines) < BATCH_RECORDS and size < BATCH_BYTES:
            with self._lock:
                if self._given_up:
                    return []
                record = self._waiting.popleft()
                self._flying += 1
                if (weight := _weight(record)) > LIGHT:
                    self._heavy = max(0, self._heavy - weight)
            line, reason = _line(record)
            if reason:
                self._settle(Outcome(0, {reason: 1}), 1, record)
            else:
                lines.append(line)
                size += len(line)
            if not self._flying % SLICE:
                time.sleep(0)
        return lines

    def _settle(self, outcome: Outcome, records: int, fields: Collection[object] = ()) -> None:
        with self._lock:
            if self._given_up:
                return
            self._flying -= records
            self._sent += outcome.sent
            self._dropped.update(outcome.dropped)
        for reason in outcome.dropped:
            self._tell(reason, outcome.why, fields)
        if outcome.why.startswith(DENIED):
            self._pause(DENIED_S)

    def _tell(self, reason: str, why: str, fields: Collection[object]) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s.get(reason, -TOLD_EVERY_S) >= TOLD_EVERY_S:
            self._told_s[reason] = now_s
            with suppress(Exception):  # of the program's filters and handlers; it is counted all the same
                about = why or (reprlib.repr(list(fields)) if fields else "no more was said")
                log.warning("records dropped as %s (%d so far): %s", reason, self._dropped[reason], about)

    def _pause(self, delay_s: float) -> bool:
        """Wait so long, less while closing; whether it is worth another try."""
        if not self._closing.wait(delay_s):
            return True
        left_s = self._deadline_s - time.monotonic()
        time.sleep(max(0.0, min(delay_s, left_s, CLOSING_DELAY_S)))
        return left_s > 0 and not self._given_up


def _seconds(timeout: float | None) -> float:
    """A wait as asked for; ValueError where it is none.

    >>> _seconds(None), _seconds(-1), _seconds(2)
    (inf, 0.0, 2.0)
    """
    if timeout is None:
        return math.inf
    if math.isnan(timeout):
        raise ValueError("a timeout must be a number of seconds, or None for as long as it takes, not nan")
    return max(0.0, float(timeout))


def _weight(record: Mapping[str, Any]) -> int:
    """Bytes of its texts and lists in memory, roughly: what a look at each value's length can tell.

    >>> _weight({"amount": 12.5, "country": "DE", "embedding": [0.5] * 100})
    3202
    """
    weight = 0
    for value in record.values():
        kind = type(value)
        if kind is str or kind is bytes:
            weight += len(value)
        elif kind is list or kind is tuple or kind is dict:
            weight += 32 * len(value)
    return weight


def _line(record: Mapping[str, Any]) -> tuple[bytes, str]:
    """A record as a line, or why it cannot be one."""
    try:
        line = _encode(record).encode() + b"\n"
    except Exception:  # values may be anything, and raise anything
        return b"", "unreadable"
    return (b"", "too_large") if len(line) > LINE_BYTES else (line, "")


def _plain(value: Any) -> object:
    """What JSON has no word for: a scalar of numpy's, a date, a Decimal.

    >>> from decimal import Decimal
    >>> _plain(Decimal("1.5"))
    1.5
    """
    for name in ("item", "isoformat", "__float__"):
        if hasattr(value, name):
            return getattr(value, name)()
    raise TypeError(f"{type(value).__name__} is no JSON value")


_encode: Final = json.JSONEncoder(separators=(",", ":"), default=_plain).encode
_clients: Final[WeakSet[Client]] = WeakSet()


def _forked() -> None:
    faults = []
    for client in list(_clients):
        try:
            client._begin()
        except Exception as fault:
            faults.append(fault)
    if faults:  # Python reports what a fork's hook raises, and goes on
        raise ExceptionGroup("clients that could not begin anew after a fork", faults)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
