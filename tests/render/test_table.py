"""The table for a terminal: aligned, complete, and harmless whatever the data are called."""

from __future__ import annotations

import re
from collections.abc import Mapping

from driftmon.monitor.report import Report
from driftmon.monitor.warmup import WarmUp
from driftmon.render.table import table
from driftmon.stats.edges import FeatureSpec


def test_a_line_per_feature_and_window(reports: Mapping[str, Report]) -> None:
    lines = table(reports).splitlines()
    assert len(lines) == 1 + 4 * 2 + 4 * 2 + 4
    assert [line.split()[-1] for line in lines if line.startswith("flights  delay ")] == ["drift", "drift"]


def test_evidence_bound_and_effective_number_are_shown(judged: Report) -> None:
    head, *lines = table({"flights": judged}).splitlines()
    (fast,) = [line.split() for line in lines if line.startswith("flights  delay      fast")]
    row = dict(zip(re.split("  +", head), fast, strict=True))
    assert (row["N"], row["effective"], row["status"]) == ("6000", "6000", "drift")
    assert 0 < float(row["lower"]) < float(row["KL, debiased"])
    assert float(row["evidence"]) > 6


def test_without_a_value_there_is_a_dash(empty: Report) -> None:
    assert table({"idle": empty}).splitlines()[1].split()[3:9] == ["0", "0", "-", "-", "-", "-"]


def test_names_cannot_steer_the_terminal() -> None:
    name = "evil\x1b[2J\r\n\u202e"
    text = table({"s": WarmUp("s", (FeatureSpec(name, "numeric"),), 10).tick(0)})
    assert len(text.splitlines()) == 2
    assert "\x1b" not in text
    assert "\\u001b" in text
