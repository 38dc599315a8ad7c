"""A package, so that the world of conftest.py ends with the last test of this folder."""
