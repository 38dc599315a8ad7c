"""Nothing that is read can run: no pickle and its like, no eval, no YAML that makes objects, no shell."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import driftmon

ROOT = Path(driftmon.__file__).parent
MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
CALLS = {"load": "yaml", "load_all": "yaml", "unsafe_load": "yaml", "full_load": "yaml", "add_constructor": "yaml"}
FLAGS = {"allow_pickle", "shell"}  # numpy.load(allow_pickle=True), subprocess.run(shell=True)


def findings(text: str) -> list[str]:
    """What of a source file could run what it reads."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES]
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in MODULES:
            found.append(str(node.module))
        if isinstance(node, ast.Call):
            found += _of_call(node)
    return found


def _of_call(node: ast.Call) -> list[str]:
    flags = [str(one.arg) for one in node.keywords if one.arg in FLAGS and getattr(one.value, "value", True)]
    match node.func:
        case ast.Name(id=name) if name in BUILTINS:
            return [name, *flags]
        case ast.Attribute(value=ast.Name(id=module), attr=name) if CALLS.get(name) == module:
            return [f"{module}.{name}", *flags]
        case ast.Attribute(attr="read_pickle"):
            return ["read_pickle", *flags]
    return flags


def test_nothing_that_is_read_can_run() -> None:
    wrong = {str(path.relative_to(ROOT)): findings(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
    assert {path: found for path, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from marshal import loads", "import joblib.numpy_pickle", "eval(text)", "exec(text)",
        "yaml.load(text, Loader=L)", "yaml.full_load(text)", "numpy.load(path, allow_pickle=True)",
        "subprocess.run(text, shell=True)", "pandas.read_pickle(path)",
    ],
)  # fmt: skip
def test_the_check_itself_finds(line: str) -> None:
    assert findings(line)
    assert not findings("numpy.load(path, allow_pickle=False); yaml.parse(text); re.compile(text)")
