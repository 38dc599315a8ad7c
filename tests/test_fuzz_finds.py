"""What `make fuzz` found: each input that once broke a loader, kept."""

from __future__ import annotations

import json

import pytest

from driftmon.monitor.snapshot import Snapshot, SnapshotError
from tests.campaigns.fuzz import documents
from tests.campaigns.fuzz.__main__ import TARGETS, one

CUT_SHORT = [
    b'a: &a [x, x]\nb: "b [*a, *a]\nc: [*b, *b]\n',
    b"version: 1\nstreams:\n  s:\n  &a {x: {type: numeric}}\n",
    b"version: 1\nfeatures: {\n",
    b"basic_auth_users: {",
    b"a: 'b\xc2\x85\xe2\x80\xa8",
]


@pytest.mark.parametrize("data", CUT_SHORT)
def test_a_fault_behind_the_last_line_has_a_place(data: bytes) -> None:
    documents.check_config(data)
    documents.check_web(data)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sums", 1.5),
        ("sums", {"x": "1"}),
        ("provenance", [1]),
        ("provenance", {"records": {}}),
        ("first_ms", "yesterday"),
        ("windows", [{"name": "w", "pane_ms": "x", "half_life_ms": None}]),
        ("panes", [{"window": None, "pane": "x", "counts": []}]),
        ("features", [{"name": "x", "type": "numeric", "edges": ["a"], "counts": []}]),
    ],
)
def test_a_garbled_snapshot_is_a_snapshot_error(key: str, value: object) -> None:
    tree = json.loads(documents.SNAPSHOT) | {key: value}
    del tree["checksum"], tree["fingerprint"]
    with pytest.raises(SnapshotError):
        merged(json.dumps(tree).encode())


def merged(data: bytes) -> Snapshot:
    found = Snapshot.from_bytes(data)
    return found.merge(found)


@pytest.mark.parametrize("name", TARGETS)
def test_a_little_of_each_target(name: str) -> None:
    assert not any(one(name, 7, at) for at in range(15))


def test_the_oracle_sees_a_decoder_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fuzzer that cannot fail shows nothing."""
    monkeypatch.setattr("driftmon.formats.records._keys", lambda *_: 0)
    assert any(one("ndjson", 7, at) for at in range(400))
