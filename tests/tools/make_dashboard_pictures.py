"""Draws grafana/pictures/*.png: two real daemons live through six hours of event time in a minute.

Each daemon's own /metrics is kept after every two minutes of event time, with that time as its timestamp; a real
Prometheus gets it all by backfilling, and answers the dashboards' queries. Wall-clock times among the values are
moved by as much as the timestamps. The drawing is tests/grafana/picture.py, not Grafana.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from PIL import Image

from tests.grafana.boards import BOARDS, FOLDER, Json
from tests.grafana.picture import WIDTH, drawn, height
from tests.grafana.viewer import Viewer
from tests.grafana.world import BROKEN, EVERYTHING, LATE, MINUTE_MS, STREAMS, Daemon, Weather, daemon, prometheus, rows
from tests.servers.helpers import require

STEP_MS: Final = 2 * MINUTE_MS
STEPS: Final = 180
RECORDS: Final = {"checkout": 60, "search": 90}
WALL_CLOCK: Final = {
    "driftmon_last_observation_timestamp_seconds",
    "driftmon_config_last_reload_success_timestamp_seconds",
}
WORDS: Final = "rendering of real query results by tests/grafana/picture.py; not a Grafana screenshot"


def weather(step: int, pod: int) -> Weather:
    """From the third hour amounts rise; in the fourth one pod sees a new country; always it has broken latencies."""
    dearer = min(max((step - 80) / 40, 0.0), 1.0) * 0.9
    abroad = 0.12 if pod == 1 and 115 <= step < 150 else 0.0
    return Weather(dearer, slower=0.5 if step >= 140 else 0.0, abroad=abroad, broken=0.01 if pod else 0.0)


def lived(one: Daemon, pod: int, start_ms: int) -> Iterator[tuple[int, str]]:
    """(time, page) of one daemon."""
    seen = dict.fromkeys(STREAMS, 0)
    for step in range(STEPS):
        from_ms = start_ms + step * STEP_MS
        tail = f"{LATE}\n{BROKEN}" if step % 20 == 7 + pod else ""
        for stream in STREAMS:
            records = rows(stream, RECORDS[stream] + 15 * pod, 1000 * step + pod, weather(step, pod))
            one.send(stream, records, from_ms, from_ms + STEP_MS, tail)
            seen[stream] += len(records)
        yield from_ms + STEP_MS, one.page(seen)


def stamped(page: str, instance: str, at_ms: int, wall_s: float) -> Iterator[str]:
    """Samples of a page with target labels and a timestamp."""
    for line in page.splitlines():
        if line.startswith("#") or not line:
            continue
        name, labels, value = re.fullmatch(r"([a-z_0-9]+)(?:\{(.*)\})? (\S+)", line).groups()  # type: ignore[union-attr]
        number = float(value) - wall_s + at_ms / 1000 if name in WALL_CLOCK else float(value)
        joined = ",".join(filter(None, ('job="driftmon"', f'instance="{instance}"', labels)))
        yield f"{name}{{{joined}}} {number!r} {at_ms / 1000:.3f}"


def backfill(folder: Path, start_ms: int) -> None:
    """Six hours of two daemons into Prometheus' own format."""
    samples: list[str] = []
    for pod in range(2):
        home = folder / f"pod-{pod}"
        home.mkdir()
        with daemon(home, EVERYTHING) as one:
            for at_ms, page in lived(one, pod, start_ms):
                samples += stamped(page, f"shop-{pod}:10517", at_ms, time.time())
    (folder / "history.txt").write_text("\n".join([*samples, "# EOF", ""]))
    command = [require("promtool"), "tsdb", "create-blocks-from", "openmetrics", "history.txt", "prometheus"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def screenshot(page: Path, picture: Path, board: Json) -> None:
    command = [require("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
               f"--window-size={WIDTH},{height(board)}", f"--screenshot={picture}", page.as_uri()]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    with Image.open(picture) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(picture, optimize=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, end_ms = Path(name), int(time.time() * 1000) // STEP_MS * STEP_MS
        start_ms = end_ms - STEPS * STEP_MS
        backfill(folder, start_ms)
        with prometheus(folder, []) as url:
            chosen = {"stream": "checkout", "feature": "amount", "window": "hour", "rule": "DriftmonFeatureDrift"}
            for board_name, board in BOARDS.items():
                scope = chosen if board_name == "feature" else {}
                viewer = Viewer(url, start_ms / 1000 + 3600, end_ms / 1000, STEP_MS / 1000, "8m", scope)
                page = folder / f"{board_name}.html"
                page.write_text(drawn(board, viewer, WORDS))
                screenshot(page, FOLDER / "pictures" / f"{board_name}.png", board)


if __name__ == "__main__":
    main()
