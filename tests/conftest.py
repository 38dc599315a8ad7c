"""Shared by all tests: examples may take as long as a busy machine needs; no test is about time."""

import pytest
from hypothesis import settings

from tests.sharing import Folders

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Folders:
    return Folders(config, log)
