"""Worker: one contender in a process of its own, in whatever Python it lives; asked for a round by a line on stdin.

Law: the clock sees the work alone, not imports, not loading; CPU is that of all threads of the process. It runs where
driftmon is not installed, so it needs the standard library only.

    python -P worker.py SCRIPT TASK FOLDER ARGUMENTS
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def task_of(script: str, task: str) -> Any:
    """(load(folder, **arguments) -> state, work(state) -> (how much, result), answer(result) -> JSON) of a script."""
    spec = importlib.util.spec_from_file_location(Path(script).stem, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.TASKS[task]


def round_of(work: Any, answer: Any, state: Any) -> dict[str, Any]:
    gc.collect()
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    amount, result = work(state)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    return {"cpu_s": cpu_s, "wall_s": wall_s, "amount": amount, "answer": answer(result)}


def main(script: str, task: str, folder: str, arguments: str) -> None:
    sys.path.append(str(Path(__file__).parents[2]))  # last, and only for what the scripts share
    told = os.fdopen(os.dup(1), "w")  # what a contender prints must not stand between the answers
    os.dup2(2, 1)
    load, work, answer = task_of(script, task)
    state = load(Path(folder), **json.loads(arguments))
    print(json.dumps({"ready": True}), file=told, flush=True)
    for _ in sys.stdin:
        print(json.dumps(round_of(work, answer, state)), file=told, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
