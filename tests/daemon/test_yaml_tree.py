"""Configuration text becomes the same tree, or the same fault, whichever of PyYAML's two parsers is there."""

from pathlib import Path
from typing import Any

import pytest

from driftmon.daemon import yaml_tree
from driftmon.daemon.faults import ConfigError

EXAMPLES = sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))
ODD = [
    b"a: 1\tb", b"a:\t1", b"a: [b?, c]", b"a: {b?c: d}", b"? a\n: b", b"a: \xc2\x85b", b"a: \xe2\x80\xa8b",
    b"a: 'x", b"a: [1", b"a: &b 1\nc: *b", b"a: *b", b"a: !!str 1", b"a: 1\na: 2", b"---\na: 1\n---\nb: 2", b"\x00",
    b"a: ${X}", b"a: {${X}}", b"a: 1\rb: 2",
    b"a: |\n  x\n  y\n", b"a: \"1\"\nb: '2'\nc: 3\n", b"", b"- 1\n- [2, {a: 3}]\n", b"a: b: c",
    b"%TAG x\n", b"a: @b", b"\xef\xbb\xbfa: 1",
]  # fmt: skip


def told(data: bytes) -> Any:
    try:
        return yaml_tree.parse(data, "f")
    except ConfigError as fault:
        return str(fault)


@pytest.mark.parametrize("data", [*(path.read_bytes() for path in EXAMPLES), *ODD])
def test_both_parsers_read_the_same(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert EXAMPLES
    fast = told(data)
    monkeypatch.setattr(yaml_tree, "FAST", None)
    assert told(data) == fast
