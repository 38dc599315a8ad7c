"""Recovery: a damaged state.db is put aside and the newest sound generation takes its place, whenever it is cut short.

Law: what is to be done is written down before the first rename, and every step may be done twice; so a start after
a crash in here goes on, and a generation that does not open is not tried again. What is put aside is kept as it
was, except that SQLite, where it could open the file, has moved a sound log into it on closing.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from driftmon.daemon.database import Damaged
from driftmon.daemon.descriptor import Descriptor
from driftmon.daemon.generations import copied, fault_of, generations_of, taken_ms, unfinished
from driftmon.daemon.state_folder import sync_names
from driftmon.daemon.state_health import Recovery

KEEP_ASIDE: Final = 3
BESIDE: Final = ("-wal", "-journal", "")  # beside a restored file either log would be played into it

log: Final = logging.getLogger("driftmon.store")


def recover(path: Path, fault: Damaged, before: Recovery | None = None) -> Recovery:
    """Put the database aside for its fault; `before` is what was done already and did not open."""
    if before is not None and before.generation:
        _spoiled(path, path.with_name(before.generation), str(fault))
    last_ms = _written_ms(path) if before is None else before.last_ms
    aside_ms = max([time.time_ns() // 1_000_000, *(at_ms + 1 for at_ms, _ in _aside(path))])  # the clock may go back
    plan = Recovery(f"{path.name}.corrupt-{aside_ms}", str(fault), last_ms)
    note = unfinished(path, "note")
    with open(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "w") as file:
        json.dump(asdict(plan), file)
        file.flush()
        os.fsync(file.fileno())
    note.replace(_note(path))
    sync_names(path.parent)
    return _carry_out(path, plan)


def resume(path: Path) -> Recovery | None:
    """Go on with what an earlier start noted and did not finish."""
    try:
        plan = Recovery(**json.loads(_note(path).read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):  # not ours: we flush it before it gets its name
        _note(path).unlink()
        return None
    return _carry_out(path, plan)


def _carry_out(path: Path, plan: Recovery) -> Recovery:
    aside = path.with_name(plan.aside)
    if not os.path.lexists(aside):  # else all of it was moved: the file itself goes last
        for end in BESIDE:
            if os.path.lexists(found := path.with_name(path.name + end)):
                found.rename(path.with_name(plan.aside + end))
        sync_names(path.parent)
    generation = _sound_generation(path)
    if generation is not None and not path.exists():
        new = unfinished(path, "restored")
        new.unlink(missing_ok=True)
        copied(Descriptor(generation, os.O_RDONLY), new)
        new.rename(path)
    if generation is not None:
        plan = replace(plan, generation=generation.name, taken_ms=taken_ms(generation))
    _forget_old(path)
    sync_names(path.parent)
    _note(path).unlink()
    sync_names(path.parent)
    _tell(path, plan)
    return plan


def _sound_generation(path: Path) -> Path | None:
    for generation in generations_of(path):
        if not (fault := fault_of(generation)):
            return generation
        _spoiled(path, generation, fault)
    return None


def _spoiled(path: Path, generation: Path, fault: str) -> None:
    log.error("generation %s is damaged too (%s)", generation, fault)
    generation.rename(path.with_name(f"{path.name}.corrupt-{taken_ms(generation)}"))


def _forget_old(path: Path) -> None:
    """Of files put aside the newest stay; a folder that stood in the way is left alone."""
    found = _aside(path)
    kept = sorted({at_ms for at_ms, _ in found}, reverse=True)[:KEEP_ASIDE]
    for at_ms, one in found:
        if at_ms not in kept and (one.is_symlink() or not one.is_dir()):
            one.unlink()


def _aside(path: Path) -> list[tuple[int, Path]]:
    """When, and what: a file or its log."""
    named = re.compile(rf"{re.escape(path.name)}\.corrupt-(\d{{1,18}})(?:-wal|-journal)?")
    return [(int(match[1]), one) for one in path.parent.iterdir() if (match := named.fullmatch(one.name))]


def _tell(path: Path, plan: Recovery) -> None:
    if plan.generation:
        log.error(
            "%s cannot be used (%s); it was moved to %s and %s takes its place: what was counted in the %.0f s "
            "before is lost, except what its sources can give again",
            path, plan.reason, plan.aside, plan.generation, plan.lost_s,
        )  # fmt: skip
    else:
        log.error(
            "%s cannot be used (%s); it was moved to %s. There is no sound generation and every stream starts empty",
            path, plan.reason, plan.aside,
        )  # fmt: skip


def _written_ms(path: Path) -> int:
    """When the last commit was, as the files say."""
    found = [path.with_name(path.name + end) for end in BESIDE]
    return max(one.lstat().st_mtime_ns for one in found if os.path.lexists(one)) // 1_000_000


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.recovering")
