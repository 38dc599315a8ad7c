"""Sharing: which tests run in one worker, one after the other, where `make test` runs several, and which begin.

Law: a file's tests stay together, and so do those of a folder that starts a world for all of them. Beside these
nothing may be shared: fixtures are of one worker, ports and files of one test. The longest begin, one that waits beside
one that computes, so that no worker is left alone with much. The world of the dashboards comes late: it lasts to the
end of the run, and costs a tenth of a core.
"""

from __future__ import annotations

from typing import Any, Final

USUAL_PORTS: Final = ("tests/test_readme.py", "tests/cli/test_demo.py")  # those a user sees; nobody else listens there
TOGETHER: Final = ("tests/grafana/", "tests/pages/")
END: Final = ("tests/grafana/", "driftmon/")
BEGIN: Final = (
    "the usual ports",
    "tests/simulate/test_simulate.py",
    "tests/deploy/test_container.py",
    "tests/pages/",
    "tests/rules/test_rules.py",
    "tests/servers/test_fleet.py",
    "tests/servers/test_daemon.py",
    "tests/laws/test_state_machine.py",
)


def scope_of(test: str) -> str:
    """
    >>> scope_of("tests/test_river.py::test_x[a::b]"), scope_of("tests/pages/test_live.py::test_y")
    ('tests/test_river.py', 'tests/pages/')
    """
    file = test.partition("::")[0]
    return "the usual ports" if file in USUAL_PORTS else next(filter(file.startswith, TOGETHER), file)


def place_of(test: str) -> int:
    """Less is earlier.

    >>> files = ("tests/cli/test_demo.py", "tests/test_river.py", "tests/grafana/test_picture.py", "driftmon/river.py")
    >>> [place_of(f"{file}::x") for file in files]
    [0, 8, 9, 10]
    """
    scope = scope_of(test)
    ends = [number for number, folder in enumerate(END, 1) if scope.startswith(folder)]
    return BEGIN.index(scope) if scope in BEGIN else len(BEGIN) + sum(ends)


def scheduler(config: Any, log: object) -> Any:
    """xdist's of whole files, with these scopes, in this order."""
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415  where there is one worker, it is not needed

    config.option.loadscopereorder = False
    made = LoadFileScheduling(config, log)
    made._split_scope = scope_of
    return made
