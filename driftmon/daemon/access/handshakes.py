"""Handshakes: how many TLS connections may be under way that have shown nothing yet, in all and of one address.

Law: who is too many is hung up on before anything is kept for it; asyncio holds 256 KiB for each handshake. A place is
free again the moment its handshake is done or its socket closed.
"""

from __future__ import annotations

import socket
from typing import Any, Final

from driftmon.daemon.access.attempts import network_of
from driftmon.daemon.access.refusals import Door, Refusals

HANDSHAKE_S: Final = 5.0
MOST: Final = 64
MOST_OF_ONE: Final = 16


class Handshakes:
    """Of one listener, by descriptor; used from the event loop alone."""

    def __init__(self, door: Door, refusals: Refusals) -> None:
        self._door, self._refusals = door, refusals
        self._under_way: dict[int, str] = {}

    def begun(self, descriptor: int, address: str) -> bool:
        """Whether there is room for one more; it then has a place."""
        network = network_of(address)
        of_one = sum(known == network for known in self._under_way.values())
        if len(self._under_way) >= MOST or of_one >= MOST_OF_ONE:
            self._refusals.handshakes[self._door, "limit"] += 1
            return False
        self._under_way[descriptor] = network
        return True

    def done(self, descriptor: int) -> None:
        """It is a connection now."""
        self._under_way.pop(descriptor, None)

    def closed(self, descriptor: int) -> None:
        """Failed, if it was not done before."""
        if self._under_way.pop(descriptor, None) is not None:
            self._refusals.handshakes[self._door, "failed"] += 1


class Doorstep(socket.socket):
    """A listening socket, taken over from `opened`, whose connections have a place among `handshakes`."""

    def __init__(self, opened: socket.socket, handshakes: Handshakes) -> None:
        super().__init__(opened.family, opened.type, opened.proto, fileno=opened.detach())
        self._handshakes = handshakes

    def accept(self) -> tuple[socket.socket, Any]:
        """ConnectionAbortedError where there is no room: what asyncio expects of a client that left already."""
        connection, address = super().accept()
        guest = _Guest(connection, self._handshakes)
        if not self._handshakes.begun(guest.fileno(), str(address[0])):
            guest.close()
            raise ConnectionAbortedError
        return guest, address


class _Guest(socket.socket):
    def __init__(self, accepted: socket.socket, handshakes: Handshakes) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self._handshakes = handshakes

    def close(self) -> None:
        self._handshakes.closed(self.fileno())
        super().close()
