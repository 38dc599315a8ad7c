"""Notify: what systemd wants to know of a service of `Type=notify`: ready, reloading, stopping, alive.

Law: a daemon without a manager behaves the same, and the watchdog is fed only after the pump has answered:
a process whose event loop runs and whose counting is stuck is as good as dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from driftmon.daemon.mailbox import Closed

STATUS_CHARACTERS: Final = 200  # one line in `systemctl status`
SEND_S: Final = 0.5  # a manager that does not read holds the daemon up no longer


class Notifier:
    """Datagrams to $NOTIFY_SOCKET, and nothing at all where it is not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path  # "@": a name without a file
        asked = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        deadline_us = environ.get("WATCHDOG_USEC", "")
        self._deadline_s = int(deadline_us) / 1e6 if asked and deadline_us.isascii() and deadline_us.isdigit() else 0.0

    def ready(self, status: str) -> None:
        """Started, or done with a reload, however it went."""
        self._send("READY=1", _status(status))

    def reloading(self) -> None:
        """From now until `ready`; the time tells this reload from one that was asked for later."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """No new work is taken."""
        self._send("STOPPING=1", _status(status))

    async def keep_alive(self, answers: Callable[[], Awaitable[object]]) -> None:
        """Twice per deadline, if there is one, until `answers` raises Closed; one that hangs is the manager's sign."""
        with contextlib.suppress(Closed):
            while self._address and self._deadline_s:
                await answers()
                self._send("WATCHDOG=1")
                await asyncio.sleep(self._deadline_s / 2)

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # A manager that has gone must not take the daemon with it.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
            opened.settimeout(SEND_S)
            opened.sendto("\n".join(lines).encode(), self._address)


def _status(text: str) -> str:
    """
    >>> _status("two\\nlines")
    'STATUS=two lines'
    """
    return "STATUS=" + " ".join(text.split())[:STATUS_CHARACTERS]
