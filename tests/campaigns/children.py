"""Children: work in forks, which have everything the campaign has computed already.

Law: a child that fails, fails the campaign; its traceback is printed.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Final, NoReturn, TypeVar

PROCESSES: Final = 2
BROKEN: Final = 70

T = TypeVar("T")


def in_a_child(work: Callable[[], None]) -> int:
    """Run it and wait; its exit code, BROKEN for an exception."""
    return _ended(_forked(work))


def in_two(work: Callable[[int], T]) -> list[T]:
    """The results of work(0) and work(1), done at the same time."""
    pipes = [os.pipe() for _ in range(PROCESSES)]

    def part(number: int) -> None:
        with open(pipes[number][1], "wb") as to_parent:
            pickle.dump(work(number), to_parent)

    children, results = [_forked(partial(part, number)) for number in range(PROCESSES)], []
    for reading, writing in pipes:
        os.close(writing)
        with open(reading, "rb") as from_child:
            results.append(from_child.read())
    codes = [_ended(child) for child in children]
    if any(codes):
        raise AssertionError("a child failed")
    return [pickle.loads(result) for result in results]


def _forked(work: Callable[[], object]) -> int:
    sys.stdout.flush()
    child = os.fork()
    if not child:
        end_with(work)
    return child


def end_with(work: Callable[[], object]) -> NoReturn:
    """In a child: do it, and end with its exit code, BROKEN for an exception."""
    code = BROKEN
    try:
        work()
        code = 0
    except SystemExit as wish:
        code = int(wish.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
