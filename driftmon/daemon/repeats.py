"""Repeats: a request that is sent again with the same Idempotency-Key is counted once.

Law: within KEEP_S seconds and the last KEYS keys, one key of one stream is one answer. The store keeps the
answers with the counts, so it holds across a restart too. What is remembered of a key does not grow with it: a
digest, and the numbers of the answer; its errors are told to the first who asks.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Final, TypeAlias

import msgspec

from driftmon.sources.base import Settled

KEYS: Final = 100_000
KEEP_S: Final = 900.0
KEY_BYTES: Final = 256
ENTRY_BYTES: Final = 240  # of a key and its answer; 219 were measured, half of them for the order
TOLD: Final = "told"  # the reason of what was rejected: which it was, the first answer said

Key: TypeAlias = tuple[str, str]
Told: TypeAlias = tuple[float, int, int, int, int, bool]  # when; accepted, rejected, late, sampled out; durable


class Repeats:
    """Answers by stream and key, in the order they were given."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, bytes] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Future[Settled]] = {}

    def recall(self, key: Key, asked_s: float, outcome: Settled) -> None:
        """An answer of an earlier process; oldest first."""
        self._answers[_digest(key)] = _packed(asked_s, outcome)

    async def once(self, key: Key, now_s: float, count: Callable[[], Awaitable[Settled]]) -> tuple[Settled, bool]:
        """(outcome, whether it is a repeat's). A failure is forgotten, so that a retry can succeed."""
        self._forget(now_s)
        name = _digest(key)
        if name in self._answers:
            return _unpacked(self._answers[name]), True
        if (known := self._under_way.get(name)) is not None:
            return await asyncio.shield(known), True
        task = asyncio.ensure_future(self._run(name, now_s, count))
        self._under_way[name] = task
        return await asyncio.shield(task), False

    async def _run(self, name: bytes, now_s: float, count: Callable[[], Awaitable[Settled]]) -> Settled:
        """Also where nobody waits for it any more."""
        try:
            outcome = await count()
            self._answers[name] = _packed(now_s, outcome)
            return outcome
        finally:
            del self._under_way[name]

    def _forget(self, now_s: float) -> None:
        while self._answers:
            asked_s = _when(next(iter(self._answers.values())))
            if len(self._answers) < KEYS and now_s - asked_s < KEEP_S:
                return
            self._answers.popitem(last=False)


def _digest(key: Key) -> bytes:
    """16 bytes of a hash that nobody can make collide; no name of a stream has a zero in it."""
    return blake2b("\0".join(key).encode(), digest_size=16).digest()


def _packed(asked_s: float, outcome: Settled) -> bytes:
    rejected = sum(outcome.rejected.values())
    told: Told = (asked_s, outcome.accepted, rejected, outcome.late, outcome.sampled_out, outcome.durable)
    return msgspec.msgpack.encode(told)


def _read(packed: bytes) -> Told:
    told: Told = msgspec.msgpack.decode(packed, type=Told)
    return told


def _when(packed: bytes) -> float:
    asked_s, *_ = _read(packed)
    return asked_s


def _unpacked(packed: bytes) -> Settled:
    _, accepted, rejected, late, sampled_out, durable = _read(packed)
    return Settled(accepted, {TOLD: rejected} if rejected else {}, late, durable=durable, sampled_out=sampled_out)
