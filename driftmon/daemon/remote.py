"""A reference from an https URL: what is loaded is what was reviewed, or nothing is.

Law: the bytes have the digest that the configuration names. No redirect is followed, no more than LIMIT_BYTES read.
"""

from __future__ import annotations

import hashlib
from typing import Final

import httpx

LIMIT_BYTES: Final = 64 * 1024 * 1024
TIMEOUT_S: Final = 20.0


class RemoteError(Exception):
    """It cannot be had; the message is "fault; cure"."""


def fetch(url: str, sha256: str) -> bytes:
    """The bytes at a URL, whose digest is `sha256`; RemoteError otherwise."""
    data = bytearray()
    try:
        with httpx.stream("GET", url, timeout=TIMEOUT_S, follow_redirects=False) as reply:
            if reply.status_code != 200:
                raise RemoteError(f"it answered {reply.status_code} {reply.reason_phrase}; correct the url")
            for chunk in reply.iter_bytes():
                data += chunk
                if len(data) > LIMIT_BYTES:
                    raise RemoteError(f"it is larger than {LIMIT_BYTES >> 20} MiB; is it a reference?")
    except httpx.HTTPError as fault:
        raise RemoteError(f"{fault or type(fault).__name__}; is it reachable, and its certificate trusted?") from fault
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise RemoteError(f"its sha256 is {found}, not {sha256[:12]}...; review what is there, then name its digest")
    return bytes(data)
