"""Writes grafana/dashboards/*.json from the metric catalogue: `python -m grafana.generate` or `make dashboards`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from grafana import feature, overview, pipeline

FOLDER: Final = Path(__file__).parent / "dashboards"
DASHBOARDS: Final = {
    "overview": overview.dashboard(),
    "feature": feature.dashboard(),
    "pipeline": pipeline.dashboard(),
}


def rendered() -> dict[str, str]:
    """File name -> text."""
    return {f"{name}.json": json.dumps(one.json(), indent=2) + "\n" for name, one in DASHBOARDS.items()}


def main() -> None:
    for name, text in rendered().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
