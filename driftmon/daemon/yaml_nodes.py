"""Node: YAML that knows its lines, and what its scalars mean.

Law: a plain scalar means what YAML 1.2 says, so `NO`, `on` and `12:30` are text and `1e-3` is a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from driftmon.daemon.faults import KeyPath, written


class Scalar(Struct, frozen=True):
    line: int
    text: str
    plain: bool  # not quoted, so it may be a number, a boolean or nothing


class Items(Struct, frozen=True):
    line: int
    nodes: tuple[Node, ...]


class Keys(Struct, frozen=True):
    line: int
    nodes: Mapping[str, Node]
    lines: Mapping[str, int]  # where each key stands


Node: TypeAlias = Scalar | Items | Keys

# YAML 1.2 core schema, decimal numbers only
PLAIN: Final = (
    (re.compile(r"null|Null|NULL|~|"), lambda text: None),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
)


def meaning(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar says.

    >>> [meaning(text) for text in ("NO", "1e-3", "0012", "~", "1_000")]
    ['NO', 0.001, 12, None, '1_000']
    """
    if len(text) <= 64:
        for pattern, read in PLAIN:
            if pattern.fullmatch(text):
                return read(text)
    return text


def line_of(root: Node, path: KeyPath) -> int:
    """The line of the deepest part of `path` there is."""
    line, node = root.line, root
    for key in path:
        if isinstance(node, Keys) and isinstance(key, str) and key in node.nodes:
            line, node = node.lines[key], node.nodes[key]
        elif isinstance(node, Items) and isinstance(key, int) and key < len(node.nodes):
            node = node.nodes[key]
            line = node.line
        else:
            break
    return line


def place(file: str, root: Node, path: KeyPath) -> str:
    """
    >>> place("d.yaml", Keys(1, {}, {}), ("version",))
    'd.yaml:1  version'
    """
    return f"{file}:{line_of(root, path)}  {written(path)}".rstrip()
