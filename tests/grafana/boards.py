"""The committed dashboards as tests see them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

FOLDER: Final = Path(__file__).parents[2] / "grafana"
BOARDS: Final[dict[str, Json]] = {
    path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))
}


def panels(board: Json) -> Iterator[Json]:
    """Those that ask something; rows only divide."""
    return (panel for panel in board["panels"] if panel["type"] != "row")


def targets() -> Iterator[tuple[str, Json, Json]]:
    """Every query of every panel: (board, panel, target)."""
    for name, board in BOARDS.items():
        for panel in panels(board):
            for target in panel["targets"]:
                yield name, panel, target


def variables(board: Json, kind: str) -> list[Json]:
    return [one for one in board["templating"]["list"] if one["type"] == kind]


def metric_names(text: str) -> set[str]:
    """Metrics asked for: names before a brace, without a histogram's `_bucket`."""
    return {re.sub(r"_bucket$", "", name) for name in re.findall(r"\b([a-zA-Z_:][\w:]*)\{", text)}
