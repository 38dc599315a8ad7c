"""A package, so that the shop of conftest.py ends with the last test of this folder."""
