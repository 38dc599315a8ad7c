"""Scopes: what a request must be allowed to do, by its method and path.

Law: what no line names is admin's, so a route that is added later is locked until somebody opens it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """`ingest` may send records, `read` may look, `admin` may do everything."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"


ALL: Final = frozenset(Scope)
NONE: Final[frozenset[Scope]] = frozenset()
GRANTS: Final = {Scope.INGEST: frozenset({Scope.INGEST}), Scope.READ: frozenset({Scope.READ}), Scope.ADMIN: ALL}

PROBES: Final = frozenset({"/-/healthy", "/-/ready"})  # a kubelet has no password
INGEST: Final = "/api/v1/ingest/"
READING: Final = frozenset({"GET", "HEAD"})


def needed(method: str, path: str) -> Scope | None:
    """The scope of a request; None where anybody may ask.

    >>> needed("GET", "/-/ready"), needed("POST", "/api/v1/ingest/s").value, needed("HEAD", "/metrics").value
    (None, 'ingest', 'read')
    >>> needed("POST", "/-/reload").value, needed("POST", "/api/v1/streams/s/reference/promote").value
    ('admin', 'admin')
    """
    if path in PROBES and method in READING:
        return None
    if path.startswith(INGEST) and method in ("POST", "HEAD"):
        return Scope.INGEST
    return Scope.READ if method in READING else Scope.ADMIN
