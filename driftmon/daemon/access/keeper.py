"""Keeper: the Access in force, read again when a file of its changes.

Law: a change is taken whole or not at all, and none can open a door that was closed: to take authentication or TLS
away needs a restart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from driftmon.daemon.access.web_file import Access, Stamp, load, stamp
from driftmon.daemon.faults import ConfigError, Fault

AGAIN_S: Final = 1.0  # a refused change is tried again: what it lacked may be a file that comes later

log: Final = logging.getLogger("driftmon.access")


class Keeper:
    """Read at once: ConfigError where the file is wrong. Used from the event loop alone."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._path, self._environ = path, environ
        self._access = load(path, environ)
        self._tried_s = 0.0
        self._fault = ""

    def current(self) -> Access:
        """What holds for a request or connection that begins now."""
        if _stamps(self._access) != self._access.stamps:
            self._read_again(time.monotonic())
        return self._access

    @property
    def is_current(self) -> bool:
        """Whether what holds is what is on disk; false while a change is refused."""
        return not self._fault

    def _read_again(self, now_s: float) -> None:
        if self._fault and now_s < self._tried_s + AGAIN_S:
            return
        self._tried_s = now_s
        try:
            new = load(self._path, self._environ)
            self._refuse_opening(new)
        except ConfigError as fault:
            if str(fault) != self._fault:
                log.error("the web configuration was not read again, the old one stays: %s", fault)
            self._fault = str(fault)
            return
        self._access, self._fault = new, ""
        log.info("web configuration %s read again", self._path)

    def _refuse_opening(self, new: Access) -> None:
        old, place, cure = self._access, str(self._path), "restart to change that"
        if old.authenticates and not new.authenticates:
            raise ConfigError([Fault(place, "asks for no password, token or client certificate any more", cure)])
        if old.credentials.has_users and not new.credentials.has_users:
            raise ConfigError([Fault(place, "has no basic_auth_users any more, so metrics would be open", cure)])
        if (old.context is None) != (new.context is None):
            raise ConfigError([Fault(place, "switches TLS on or off", cure)])


def _stamps(access: Access) -> Mapping[Path, Stamp]:
    return {file: stamp(file) for file in access.stamps}
