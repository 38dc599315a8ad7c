"""Workers: the processes that --jobs asks for, and their start, which goes on beside this process's own.

Law: they begin clean, and what they need is imported once for all of them, by a server that forks them. It is begun as
soon as the command line was seen: both processes import at once, where the second would else wait for the first.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing import get_all_start_methods, get_context, resource_tracker
from multiprocessing.context import BaseContext

PARTS = "driftmon.cli.support.parts"


def several(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for processes; what it says otherwise is judged later, by others.

    >>> several(["check", "--jobs", "2"]), several(["check", "--jobs=2"]), several(["check", "--jobs", "1"])
    (True, True, False)
    """
    said = [text.removeprefix("--jobs").removeprefix("=") for text in arguments if text.startswith("--jobs=")]
    said += [text for flag, text in pairwise(arguments) if flag == "--jobs"]
    return any(text.isdecimal() and int(text) > 1 for text in said)


def begin(verb: str) -> None:
    """Let the server import what a verb's processes need; at once, where the system has such a server."""
    if "forkserver" not in get_all_start_methods():
        return
    from multiprocessing import forkserver  # noqa: PLC0415  not everywhere

    context(verb)
    with unheard():
        forkserver.ensure_running()


def context(*verbs: str) -> BaseContext:
    """Processes that begin clean, and where the system can, imported once for all of them."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    found = get_context("forkserver")
    found.set_forkserver_preload([PARTS, *verbs])
    return found


@contextmanager
def unheard() -> Iterator[None]:
    """Ctrl-C is for this process, afterwards: it ends the pool. What is started has it blocked from its first step."""
    heard: list[int] = []
    resource_tracker.ensure_running()  # it would unblock the signal when it has started
    handler = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))  # other threads take it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGINT, handler)
    if heard:
        raise KeyboardInterrupt
