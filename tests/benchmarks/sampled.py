"""Sampled: where the CPU of a process goes: every millisecond, in which function of the product each thread is.

Law: a sample weighs as much as its thread has worked since the last one, so a thread that waits weighs nothing. What
a library does is laid to the function of ours that asked for it; where there is none, to the library. Threads must
not end while they are watched.

    python -P sampled.py TOLD SCRIPT TASK FOLDER ARGUMENTS
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType

from tests.benchmarks.worker import task_of

ROOT = Path(__file__).parents[2]
OURS = f"{ROOT / 'driftmon'}/"
EACH_S = 0.001
SWITCH_S = 1e-6  # a thread that computes lets the watcher in at once, and not where a library happens to
ROUNDS_S = 4.0  # of a task, about


class Sampler(threading.Thread):
    """Watches the other threads until it is `over`; `shares` may be read and cleared meanwhile."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.shares: defaultdict[str, float] = defaultdict(float)
        self.over = threading.Event()

    def run(self) -> None:
        worked_s: dict[int, float] = {}
        while not self.over.wait(EACH_S):
            for thread, frame in sys._current_frames().items():
                if thread != self.ident:
                    before_s = worked_s.get(thread)
                    worked_s[thread] = now_s = time.clock_gettime(time.pthread_getcpuclockid(thread))
                    self.shares[place(frame)] += 0.0 if before_s is None else now_s - before_s


def place(frame: FrameType) -> str:
    """The innermost function of ours, as "stats/grids.fill"; else the library, as "(asyncio)"."""
    at: FrameType | None = frame
    while at is not None:
        file = at.f_code.co_filename
        if file.startswith(OURS):
            return f"{file.removeprefix(OURS).removesuffix('.py')}.{at.f_code.co_name}"
        at = at.f_back
    return f"({Path(frame.f_code.co_filename).parent.name})"


def task(told: Path, sampler: Sampler, script: str, name: str, folder: str, arguments: str) -> None:
    """Rounds of a contender, after one to warm up."""
    load, work, _ = task_of(script, name)
    state = load(Path(folder), **json.loads(arguments))
    work(state)
    sampler.shares.clear()
    began_s, amount = time.process_time(), 0
    while time.process_time() < began_s + ROUNDS_S:
        amount += work(state)[0]
    found = {"cpu_s": time.process_time() - began_s, "amount": amount, "shares": sampler.shares.copy()}
    told.write_text(json.dumps(found))


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_S)
    watcher = Sampler()
    watcher.start()
    path, script, name, folder, how = sys.argv[1:]
    task(Path(path), watcher, script, name, folder, how)
