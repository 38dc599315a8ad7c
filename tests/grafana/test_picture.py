"""The drawing of a dashboard: every panel of every board shows something of a real Prometheus' answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.grafana.boards import BOARDS, panels
from tests.grafana.conftest import World
from tests.grafana.picture import NO_DATA, drawn

OF_ONE = {"stream": "checkout", "feature": "amount", "window": "hour", "rule": "DriftmonFeatureDrift"}


@pytest.mark.parametrize("name", BOARDS)
def test_no_panel_is_empty(world: World, name: str) -> None:
    viewer = replace(world.viewer, chosen=OF_ONE if name == "feature" else {})
    page = drawn(BOARDS[name], viewer, "test")
    assert page.count("<section") == len(list(panels(BOARDS[name])))
    assert NO_DATA not in page
    assert '"nan' not in page


def test_a_panel_without_data_says_so(world: World) -> None:
    page = drawn(BOARDS["feature"], replace(world.viewer, chosen={**OF_ONE, "feature": "none"}), "test")
    assert NO_DATA in page
