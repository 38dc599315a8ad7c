"""A missing server is a visible skip, and a failure where the servers are promised."""

from __future__ import annotations

import pytest

from tests.servers.helpers import free_port, require


def test_a_missing_server_skips_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRIFTMON_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-server is not installed: apt-get install"):
        require("no-such-server")


def test_a_missing_server_fails_where_servers_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTMON_REQUIRE_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-server is not installed"):
        require("no-such-server")


def test_two_workers_are_never_given_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    given = {}
    for worker in ("gw0", "gw1", "gw2"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        given[worker] = {free_port() % 3 for _ in range(20)}
    assert sorted(map(len, given.values())) == [1, 1, 1]
    assert len(set.union(*given.values())) == 3
