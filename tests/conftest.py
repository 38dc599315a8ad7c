"""Shared by all tests: examples may take as long as a busy machine needs; no test is about time."""

from typing import Any

import pytest
from hypothesis import settings

from tests.sharing import place_of, scheduler

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Any:
    return scheduler(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: place_of(item.nodeid))
