"""Sharing: which tests run in one worker, one after the other, where `make test` runs several.

Law: a file's tests stay together, and so do those of a folder that starts a world for all of them. Those that wait
longest begin first, so that no worker ends alone with them.
"""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadFileScheduling

# Beside them nothing may be shared: fixtures are of one worker, ports and files of one test.
TOGETHER: Final = ("tests/grafana/", "tests/pages/")


class Folders(LoadFileScheduling):
    """LoadFileScheduling, but some folders count as one file."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), super()._split_scope(nodeid))
