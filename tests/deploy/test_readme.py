"""deploy/README.md names what exists."""

from __future__ import annotations

import re

from tests.deploy.tools import DEPLOY

TEXT = (DEPLOY / "README.md").read_text()


def test_every_link_and_path_is_there() -> None:
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    paths = re.findall(r"(?<![\w/])deploy/[\w./-]+\w", TEXT)
    assert len(links) > 5
    assert len(paths) > 3
    assert [link for link in links if not (DEPLOY / link).exists()] == []
    assert [path for path in paths if not (DEPLOY.parent / path).exists()] == []
