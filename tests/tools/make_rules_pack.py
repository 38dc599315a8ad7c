"""Write deploy/rules/: `python tests/tools/make_rules_pack.py`."""

from __future__ import annotations

from pathlib import Path

from driftmon.render.rule_plan import Plan
from driftmon.render.rules import pack

FOLDER = Path(__file__).parents[2] / "deploy" / "rules"

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pack(Plan()).items():
        (FOLDER / name).write_text(text, encoding="utf-8")
