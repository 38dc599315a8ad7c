"""The house's one rule: import downward only; the lower layers know no clock, no I/O, no chance."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import driftmon

ROOT = Path(driftmon.__file__).parent
LAYERS = [
    ["stats"],
    ["monitor"],
    ["formats", "render"],
    ["outward"],
    ["sources", "sinks", "engines", "river"],
    ["daemon"],
    ["cli"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
PURE = {"stats", "monitor", "formats", "render"}
FORBIDDEN = {"time", "asyncio", "threading", "socket", "os", "logging", "random", "datetime.now"}
MAX_LINES = 400
MAX_FUNCTION = 50


@cache
def modules() -> list[tuple[Path, ast.Module]]:
    return [(path.relative_to(ROOT), ast.parse(path.read_text())) for path in sorted(ROOT.rglob("*.py"))]


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_point_downward_and_siblings_do_not_know_each_other() -> None:
    wrong = []
    for path, tree in modules():
        layer = path.parts[0]
        for name in imported(tree):
            parts = name.split(".")
            if parts[0] == "driftmon" and len(parts) > 1 and layer in LEVEL and parts[1] in LEVEL:
                upward = LEVEL[parts[1]] > LEVEL[layer]
                sideways = LEVEL[parts[1]] == LEVEL[layer] and parts[1] != layer
                wrong += [f"{path} imports {name}"] if upward or sideways else []
    assert not wrong


def test_lower_layers_know_no_clock_and_no_io() -> None:
    wrong = []
    for path, tree in modules():
        if path.parts[0] in PURE:
            wrong += [f"{path} imports {name}" for name in imported(tree) if name.split(".")[0] in FORBIDDEN]
            calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
            wrong += [f"{path} calls open" for call in calls if isinstance(call, ast.Name) and call.id == "open"]
            now = {"now", "utcnow", "today", "read_text", "read_bytes", "write_text", "write_bytes"}
            wrong += [f"{path} calls {c.attr}" for c in calls if isinstance(c, ast.Attribute) and c.attr in now]
    assert not wrong


def test_no_module_cycles() -> None:
    names = {"driftmon." + str(path.with_suffix("")).replace("/", "."): tree for path, tree in modules()}
    graph = {name: {target for target in top_level(tree) if target in names} for name, tree in names.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for target in graph[name]:
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def top_level(tree: ast.Module) -> Iterator[str]:
    yield from imported(ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], []))


def test_files_and_functions_stay_readable() -> None:
    """A budget is a question, not a prison: raise it in the commit that breaks it, with one line why."""
    for path, tree in modules():
        lines = len((ROOT / path).read_text().splitlines())
        assert lines <= MAX_LINES, f"{path} has {lines} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                documented = isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
                first = node.body[1].lineno if documented and len(node.body) > 1 else node.lineno
                assert node.end_lineno - first < MAX_FUNCTION, f"{path}: {node.name} is too long"


def test_public_names_of_the_lower_layers_are_documented() -> None:
    bare = []
    for path, tree in modules():
        if path.parts[0] in PURE and path.name != "__init__.py":
            assert ast.get_docstring(tree), f"{path} does not open with its law"
            for node in tree.body:
                named = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
                if named and not ast.get_docstring(node):  # type: ignore[arg-type]
                    bare.append(f"{path}: {node.name}")  # type: ignore[attr-defined]
    assert not bare
