"""Shared by all tests: examples may take as long as a busy machine needs; no test is about time."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
