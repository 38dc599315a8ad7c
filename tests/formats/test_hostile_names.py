"""A feature may be called anything: names that JSON must escape go the tolerant way, all others the fast one."""

from __future__ import annotations

import json
from types import SimpleNamespace as Spec

import pytest

from driftmon.formats.layout import Layout
from driftmon.formats.ndjson import Decoder

NAMES = ['a"b', "back\\slash", "new\nline", "\u0000", "f0", "Größe", "", "\u202e"]


@pytest.mark.parametrize("name", NAMES)
def test_values_are_found_under_any_name(name: str) -> None:
    spec, other = (Spec(name=key, kind="numeric", field=None, absent="missing") for key in (name, "f0-other"))
    records = [{name: 1.5, "f0-other": 2}, {"f1": 9, "f0-other": None}, {name: "text"}]
    for data in (b"\n".join(json.dumps(record).encode() for record in records), json.dumps(records).encode()):
        batch = Decoder(Layout([spec, other])).decode(data)
        column = batch.columns[name]
        assert (batch.rows, column.values[0], dict(column.invalid)) == (3, 1.5, {"text": [2]})
        assert column.values[1] != column.values[1]
