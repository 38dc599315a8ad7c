"""The mathematics in stats/README.md is held by tests; each one it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
README = HERE.parents[1] / "driftmon" / "stats" / "README.md"


def test_every_test_the_mathematics_names_exists() -> None:
    named = set(re.findall(r"\btest_\w+(?!\w*\.py)\b", README.read_text(encoding="utf-8"))) - {"test_readme"}
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in HERE.rglob("test_*.py")]
    written = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert len(named) > 30
    assert named <= written, f"README.md names tests that are not there: {sorted(named - written)}"
