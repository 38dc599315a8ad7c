"""A missing server is a visible skip, and a failure where the servers are promised."""

from __future__ import annotations

import pytest

from tests.servers.helpers import require


def test_a_missing_server_skips_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRIFTMON_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-server is not installed: apt-get install"):
        require("no-such-server")


def test_a_missing_server_fails_where_servers_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTMON_REQUIRE_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-server is not installed"):
        require("no-such-server")
