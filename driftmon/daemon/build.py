"""Builder: a YAML node and a dataclass make a value, or faults; it goes on after each, so all are found at once.

Law: nothing is guessed. A key that no field has, a value of another type, an empty value: each is a fault
with its line and its cure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from driftmon.daemon.faults import Fault, KeyFault, KeyPath, nearest
from driftmon.daemon.fields import Field, OneOf, fields_of, not_yet
from driftmon.daemon.scalars import EMPTY, Scalars, check_bounds, described
from driftmon.daemon.settings import PluginSettings
from driftmon.daemon.yaml_nodes import Items, Keys, Node, line_of, place

LATER = "remove it, or use a later driftmon"


class Wrong(Exception):  # noqa: N818  a signal between the builder's own functions; the fault is noted already
    """This value could not be built."""


class Builder:
    """Reads one file's tree; `faults` gathers what is wrong with it."""

    def __init__(self, root: Node, file: str, base: Path, environ: Mapping[str, str]) -> None:
        self._root = root
        self._file = file
        self._scalars = Scalars(base, environ)
        self.faults: list[Fault] = []
        self.built: dict[KeyPath, Any] = {}  # every dataclass that was sound, though its surroundings may not be

    def place(self, path: KeyPath) -> str:
        return place(self._file, self._root, path)

    def note(self, path: KeyPath, fault: str, cure: str) -> None:
        self.faults.append(Fault(self.place(path), fault, cure, line_of(self._root, path)))

    def shape(self, shape: type, node: Node, path: KeyPath, skip: frozenset[str] = frozenset()) -> Any:
        """An instance of a dataclass from a mapping; `skip`: keys that are not its own."""
        if not isinstance(node, Keys):
            raise self._wrong(path, f"must be keys and values, is {described(node)}", "write key: value")
        known = fields_of(shape)
        for key in node.nodes.keys() - known.keys() - skip:
            self._unknown(shape, known, (*path, key), key)
        values = {}
        for key, field in known.items():
            try:
                values[field.name] = self._field(field, node, (*path, key))
            except Wrong:
                continue
        if len(values) < len(known):
            raise Wrong
        return self._made(shape, values, path)

    def _made(self, shape: type, values: Mapping[str, Any], path: KeyPath) -> Any:
        try:
            made = shape(**values)
        except KeyFault as error:
            raise self._wrong((*path, *error.path), error.fault, error.cure) from None
        except ValueError as error:
            raise self._foreign(shape, error, path) from None
        self.built[path] = made
        return made

    def _foreign(self, shape: type, error: ValueError, path: KeyPath) -> Wrong:
        """What a source or sink says of its own options: "key: fault; cure"."""
        head, colon, rest = str(error).partition(": ")
        if colon and head in fields_of(shape):
            path, message = (*path, head), rest
        else:
            message = str(error)
        fault, _, cure = message.rpartition("; ")
        return self._wrong(path, fault or message, cure if fault else "change it")

    def _unknown(self, shape: type, known: Mapping[str, Field], path: KeyPath, key: str) -> None:
        if key in not_yet(shape):
            self.note(path, "not available yet", LATER)
        elif key == "<<":
            self.note(path, "merge keys are not read", "repeat the keys")
        else:
            self.note(path, "unknown key", nearest(key, known) if known else "remove it; nothing can be set here")

    def _field(self, field: Field, node: Keys, path: KeyPath) -> Any:
        found = node.nodes.get(field.key)
        if found is None:
            if field.required:
                raise self._wrong(path, "missing", f"write {_how(field)}")
            return field.default
        value = self._value(field.hint, field, found, path)
        self._judged(check_bounds, path, field, value)
        self._judged(field.bounds.get("check", lambda value: None), path, value)
        return value

    def _value(self, hint: Any, field: Field, node: Node, path: KeyPath) -> Any:
        origin = get_origin(hint)
        if described(node) == EMPTY:
            raise self._wrong(path, "is empty", "give it a value, or remove the key")
        if origin is tuple:
            return self._items(get_args(hint)[0], field, node, path)
        if origin is Annotated:
            return self._one_of(get_args(hint)[1], node, path)
        if origin in (Mapping, dict):
            return self._mapping(get_args(hint)[1], field, node, path)
        if dataclasses.is_dataclass(hint):
            return self.shape(hint, node, path)  # type: ignore[arg-type]
        return self._judged(self._scalars.read, path, hint, field, node)

    def _items(self, hint: Any, field: Field, node: Node, path: KeyPath) -> tuple[Any, ...]:
        if not isinstance(node, Items):
            raise self._wrong(path, f"must be a list, is {described(node)}", "write [a, b], or one `- item` a line")
        built = self._each(lambda at: self._value(hint, field, node.nodes[at], (*path, at)), range(len(node.nodes)))
        return tuple(built)

    def _mapping(self, hint: Any, field: Field, node: Node, path: KeyPath) -> Mapping[str, Any]:
        if not isinstance(node, Keys):
            raise self._wrong(path, f"must be names and values, is {described(node)}", "write name: value")
        built = self._each(lambda key: (key, self._value(hint, field, node.nodes[key], (*path, key))), node.nodes)
        return dict(built)

    def _each(self, build: Callable[[Any], Any], keys: Any) -> list[Any]:
        """All of them, so that every fault is found; one that failed fails the whole."""
        built, failed = [], False
        for key in keys:
            try:
                built.append(build(key))
            except Wrong:
                failed = True
        if failed:
            raise Wrong
        return built

    def _one_of(self, choice: OneOf, node: Node, path: KeyPath) -> PluginSettings:
        if not isinstance(node, Keys):
            raise self._wrong(path, f"must be keys and values, is {described(node)}", "write {type: ...}")
        shapes = choice.shapes()
        names = ", ".join(shapes)
        found = node.nodes.get("type")
        if found is None:
            raise self._wrong((*path, "type"), "missing", f"write type: and one of {names}")
        kind = self._judged(self._scalars.text, (*path, "type"), found)
        if kind in choice.not_yet:
            raise self._wrong((*path, "type"), f"{kind} is not available yet", f"use one of {names}")
        if kind not in shapes:
            raise self._wrong((*path, "type"), f"{kind} is no {choice.what}", nearest(kind, shapes))
        options = self.shape(shapes[kind], node, path, frozenset({"type"}))
        return PluginSettings(kind, options, self.place(path) if choice.placed else "")

    def _judged(self, judge: Callable[..., Any], path: KeyPath, *arguments: Any) -> Any:
        """What `judge` says of a value; a KeyFault of its becomes a fault with a place."""
        try:
            return judge(*arguments)
        except KeyFault as error:
            raise self._wrong((*path, *error.path), error.fault, error.cure) from None

    def _wrong(self, path: KeyPath, fault: str, cure: str) -> Wrong:
        self.note(path, fault, cure)
        return Wrong()


def _how(field: Field) -> str:
    told = str(field.bounds.get("doc", "")).rstrip(".")
    return str(field.bounds.get("example") or f"{field.key}: ..." + (f" ({told})" if told else ""))
