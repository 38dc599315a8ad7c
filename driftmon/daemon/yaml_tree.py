"""YAML text to a tree of nodes. Safe and bounded: no tags, no bombs, no duplicate keys, one document.

Law: memory is bounded before it is taken: bytes, depth, and nodes with aliases unfolded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import yaml

from driftmon.daemon.faults import ConfigError, Fault, KeyPath, written
from driftmon.daemon.yaml_nodes import Items, Keys, Node, Scalar

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 32
MAX_NODES: Final = 100_000  # aliases counted as what they stand for: ten of ten of ten ... ends here


def parse(data: bytes, file: str) -> tuple[Node, list[Fault]]:
    """The tree, and the faults one can read on after (duplicate keys); ConfigError where one cannot."""
    if len(data) > MAX_BYTES:
        raise ConfigError([Fault(file, f"longer than {MAX_BYTES // 1024} KiB", "split it, one daemon a file")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([Fault(f"{file}:{line}", "not UTF-8 text", "save the file as UTF-8", line)]) from error
    try:
        return _Tree(text, file).read()
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax(error, text, file)]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError([Fault(f"{file}:{line}", "a control character", "remove it", line)]) from error


def _syntax(error: yaml.MarkedYAMLError, text: str, file: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    at = mark.line if mark else 0
    lines = text.split("\n")
    source = lines[min(at, len(lines) - 1)]  # YAML ends lines in more ways, and faults may stand behind the last one
    if "\t" in source:
        cure = "indent with spaces, not with tabs"
    elif re.search(r"""(^|[^"'])\$\{""", source):
        cure = 'put "${...}" in quotes inside {} or []'
    else:
        cure = "look at the indentation, brackets and quotes here and on the line before"
    return Fault(f"{file}:{at + 1}", f"not YAML: {error.problem}", cure, at + 1)


class _Tree:
    """Reads parser events; the parser holds no stack of ours, so depth is bounded by MAX_DEPTH alone."""

    def __init__(self, text: str, file: str) -> None:
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        self._file = file
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._nodes = 0
        self._faults: list[Fault] = []

    def read(self) -> tuple[Node, list[Fault]]:
        root: Node = Keys(1, {}, {})
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, (), "a second document begins", "keep one document in the file, without ---")
                root = self._node(next(self._events), ())
        return root, self._faults

    def _stop(self, event: yaml.Event, path: KeyPath, fault: str, cure: str) -> None:
        raise ConfigError([*self._faults, self._fault(event, path, fault, cure)])

    def _fault(self, event: yaml.Event, path: KeyPath, fault: str, cure: str) -> Fault:
        line = _line(event)
        return Fault(f"{self._file}:{line}  {written(path)}".rstrip(), fault, cure, line)

    def _node(self, event: yaml.Event, path: KeyPath) -> Node:
        before = self._nodes
        self._nodes += 1
        self._bounded(event, path)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if len(path) > MAX_DEPTH:
            self._stop(event, path[:3], f"nested deeper than {MAX_DEPTH}", "flatten it")
        assert isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent))
        if event.tag is not None:
            self._stop(event, path, f"the tag {event.tag}", "remove it; driftmon reads plain values only")
        node = self._content(event, path)
        if event.anchor:
            self._anchors[event.anchor] = (node, self._nodes - before)
        return node

    def _alias(self, event: yaml.AliasEvent, path: KeyPath) -> Node:
        name = str(event.anchor)
        if name not in self._anchors:
            self._stop(event, path, f"*{name} stands before &{name} ends", "define the anchor above")
        node, size = self._anchors[name]
        self._nodes += size
        self._bounded(event, path)
        return node

    def _bounded(self, event: yaml.Event, path: KeyPath) -> None:
        if self._nodes > MAX_NODES:
            self._stop(
                event, path[:1], f"more than {MAX_NODES} values, aliases unfolded", "split it, one daemon a file"
            )

    def _content(self, event: yaml.Event, path: KeyPath) -> Node:
        line = _line(event)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(line, event.value, event.style is None)
        if isinstance(event, yaml.SequenceStartEvent):
            nodes: list[Node] = []
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                nodes.append(self._node(item, (*path, len(nodes))))
            return Items(line, tuple(nodes))
        return self._keys(line, path)

    def _keys(self, line: int, path: KeyPath) -> Keys:
        nodes: dict[str, Node] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = getattr(event, "value", None)
            if not isinstance(key, str):
                self._stop(event, path, "a key that is no text", "write key: value")
            assert isinstance(key, str)
            value = self._node(next(self._events), (*path, key))
            if key in nodes:
                self._faults.append(
                    self._fault(event, (*path, key), f"stands on line {lines[key]} already", "keep one of the two")
                )
                continue
            nodes[key], lines[key] = value, _line(event)
        return Keys(line, nodes, lines)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
