"""The drawing of a dashboard: every panel of every board shows something of a real Prometheus' answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.grafana.boards import BOARDS, panels
from tests.grafana.conftest import World
from tests.grafana.picture import NO_DATA, drawn

OF_ONE = {"stream": "checkout", "feature": "amount", "window": "hour", "rule": "DriftmonFeatureDrift"}
OF_LOSS = {**OF_ONE, "stream": "fraud", "feature": "outcome"}
OF_LABELS = ("Log loss", "Calibration gap", "Accuracy", "Labels", "Age of labels")  # empty of a feature without them


@pytest.mark.parametrize("name", BOARDS)
def test_no_panel_is_empty(world: World, name: str) -> None:
    viewer = replace(world.viewer, chosen=OF_ONE if name == "feature" else {})
    page = drawn(BOARDS[name], viewer, "test")
    assert page.count("<section") == len(list(panels(BOARDS[name])))
    assert page.count(NO_DATA) == (len(OF_LABELS) if name == "feature" else 0)
    assert '"nan' not in page


def test_no_panel_of_losses_is_empty_where_there_are_some(world: World) -> None:
    board = BOARDS["feature"]
    shown = {**board, "panels": [one for one in board["panels"] if one["title"].startswith(OF_LABELS)]}
    page = drawn(shown, replace(world.viewer, chosen=OF_LOSS), "test")
    assert page.count("<section") == len(OF_LABELS)
    assert NO_DATA not in page


def test_a_panel_without_data_says_so(world: World) -> None:
    page = drawn(BOARDS["feature"], replace(world.viewer, chosen={**OF_ONE, "feature": "none"}), "test")
    assert NO_DATA in page
