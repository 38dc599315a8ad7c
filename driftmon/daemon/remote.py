"""A reference from an https URL: what is loaded is what was reviewed, or nothing is.

Law: the bytes have the digest that the configuration names. No redirect is followed, no more than LIMIT_BYTES read,
and no host asked that clouds hand out credentials from.
"""

from __future__ import annotations

import hashlib
import time
from typing import Final

import httpx

from driftmon.outward.login import Login, LoginError
from driftmon.outward.pinned import Pinned
from driftmon.outward.targets import Resolve, addresses_of

LIMIT_BYTES: Final = 64 * 1024 * 1024
TIMEOUT_S: Final = 20.0  # of each step
TOTAL_S: Final = 120.0


class RemoteError(Exception):
    """It cannot be had; the message is "fault; cure"."""


def fetch(url: str, sha256: str, login: Login, resolve: Resolve = addresses_of) -> bytes:
    """The bytes at a URL, whose digest is `sha256`; RemoteError otherwise."""
    data, limit_s = bytearray(), time.monotonic() + TOTAL_S
    try:
        with (
            httpx.Client(transport=Pinned(login, resolve), timeout=TIMEOUT_S, trust_env=False) as http,
            http.stream("GET", url, headers=login.headers()) as reply,
        ):
            if reply.status_code != 200:
                raise RemoteError(f"it answered {reply.status_code} {reply.reason_phrase}; correct the url")
            for chunk in reply.iter_bytes():
                data += chunk
                if len(data) > LIMIT_BYTES:
                    raise RemoteError(f"it is larger than {LIMIT_BYTES >> 20} MiB; is it a reference?")
                if time.monotonic() > limit_s:
                    raise RemoteError(f"it had not come after {TOTAL_S:.0f} s; is the way there so slow?")
    except LoginError as fault:
        raise RemoteError(str(fault)) from fault
    except httpx.HTTPError as fault:
        raise RemoteError(f"{fault or type(fault).__name__}; is it reachable, and its certificate trusted?") from fault
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise RemoteError(f"its sha256 is {found}, not {sha256[:12]}...; review what is there, then name its digest")
    return bytes(data)
