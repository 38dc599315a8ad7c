"""Sharing: which tests run in one worker, one after the other, where `make test` runs several.

Law: a file's tests stay together, and so do those of a folder that starts a world for all of them. Beside these
nothing may be shared: fixtures are of one worker, ports and files of one test.
"""

from __future__ import annotations

from typing import Any, Final

TOGETHER: Final = ("tests/grafana/", "tests/pages/")
USUAL_PORTS: Final = ("tests/test_readme.py", "tests/cli/test_demo.py")  # those a user sees; nobody else listens there


def scope_of(test: str) -> str:
    """
    >>> scope_of("tests/test_river.py::test_x[a::b]"), scope_of("tests/pages/test_live.py::test_y")
    ('tests/test_river.py', 'tests/pages/')
    """
    file = test.partition("::")[0]
    return "the usual ports" if file in USUAL_PORTS else next(filter(file.startswith, TOGETHER), file)


def scheduler(config: object, log: object) -> Any:
    """xdist's of whole files, with these scopes."""
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415  where there is one worker, it is not needed

    made = LoadFileScheduling(config, log)
    made._split_scope = scope_of
    return made
