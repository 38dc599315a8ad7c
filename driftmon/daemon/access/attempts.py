"""Attempts: how many logins an address may still try, and for how long it must wait.

Law: memory is bounded whoever asks: of MOST_ADDRESSES the one heard of longest ago is forgotten. An IPv6 address
counts as its /64, which is what one machine has.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

BURST: Final = 30  # mistakes that a person or a fleet behind one address may make at once
REFILL_S: Final = 2.0  # one more after so long: 43,200 guesses a day
MOST_ADDRESSES: Final = 1024


class Attempts:
    """A bucket of logins for each address; time is an argument.

    >>> attempts = Attempts(burst=2, refill_s=2.0)
    >>> [attempts.take("10.0.0.1", now_s) for now_s in (0.0, 0.0, 0.5, 2.0)]
    [0.0, 0.0, 1.5, 0.0]
    """

    def __init__(self, burst: int = BURST, refill_s: float = REFILL_S) -> None:
        self._burst, self._refill_s = burst, refill_s
        self._full_at_s: OrderedDict[str, float] = OrderedDict()

    def take(self, address: str, now_s: float) -> float:
        """Take one and give 0, or give the seconds until there is one."""
        key = network_of(address)
        full_at_s = max(self._full_at_s.get(key, 0.0), now_s) + self._refill_s
        wait_s = full_at_s - now_s - self._burst * self._refill_s
        if wait_s > 0:
            self._full_at_s.move_to_end(key)
            return wait_s
        self._keep(key, full_at_s)
        return 0.0

    def give_back(self, address: str) -> None:
        """The login was a good one."""
        key = network_of(address)
        if key in self._full_at_s:
            self._keep(key, self._full_at_s[key] - self._refill_s)

    def __len__(self) -> int:
        return len(self._full_at_s)

    def _keep(self, key: str, full_at_s: float) -> None:
        self._full_at_s[key] = full_at_s
        self._full_at_s.move_to_end(key)
        if len(self._full_at_s) > MOST_ADDRESSES:
            self._full_at_s.popitem(last=False)


def network_of(address: str) -> str:
    """What one machine may have all of.

    >>> network_of("2001:db8::1") == network_of("2001:db8::2"), network_of("::ffff:10.0.0.1"), network_of("")
    (True, '10.0.0.1', '')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket has none
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(found) >> 64 << 64))
