"""Driver: works on a store as the pump and its keeper do, and marks in the trace what was sent, acknowledged and safe.

Law: a batch is marked sent before it is counted and acknowledged after its commit returned; a full disk is tried
again as the keeper does it; any other fault of the store ends the session as it ends the daemon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from driftmon.daemon.repeats import Key
from driftmon.daemon.store import DiskFull, Store
from driftmon.daemon.streams import Stream
from driftmon.sources.base import Settled
from tests.campaigns.world import FOLLOWED, PUSHED, START_MS, World, block_of, chance_of

WHOLE_MS: Final = 800_000  # panes close on the way; all of it is within the 15 minutes that keys are kept
TRIES: Final = 30


@dataclass
class Driver:
    """`pushed` is the next batch with a key; `step` of `whole` goes on over sessions, so that time never goes back."""

    world: World
    state: Path
    mark: Callable[[str], None]
    seed: int = 0
    pushed: int = 0
    step: int = 0
    whole: int = 120
    together: int = 4  # at most so many batches in one commit
    go_on: Callable[[], bool] = lambda: True  # asked before every step
    full: int = 0  # times the disk was found full
    _streams: dict[str, Stream] = field(default_factory=dict)

    def session(self, steps: int, *, close: bool) -> None:
        """Open, count, and end cleanly or as a kill would."""
        store = Store(self.state)
        self._streams = self.world.streams()
        for name, one in self._streams.items():
            if (saved := store.load(name)) is not None:
                one.restore(saved)
        for _ in range(steps):
            if not self.go_on():
                break
            self.step += 1
            self._push(store)
            if self.step % 4 == 0:
                self._checkpoint(store)
        if close:
            self._checkpoint(store)
            store.close()

    @property
    def _at_ms(self) -> int:
        return START_MS + WHOLE_MS * self.step // self.whole

    def _push(self, store: Store) -> None:
        """What was taken together: some requests, and now and then a block of the file."""
        chance = chance_of(self.seed, self.step)
        numbers = range(self.pushed, self.pushed + chance.randint(1, self.together))
        self.pushed = numbers.stop
        self.mark(f"sent {' '.join(map(str, numbers))}")
        seen: dict[Key, Settled] = {}
        for number in numbers:
            seen[PUSHED, str(number)] = self._streams[PUSHED].observe(block_of(PUSHED, number), self._at_ms)
        if chance.random() < 0.5:
            at = self._offset()
            self.mark(f"read {at + 1}")
            self._streams[FOLLOWED].observe(block_of(FOLLOWED, at), self._at_ms)
        self._until_there_is_room(lambda: store.commit({PUSHED: self._streams[PUSHED]}, seen, self._at_ms))
        self.mark(f"acked {' '.join(map(str, numbers))}")

    def _checkpoint(self, store: Store) -> None:
        store.ticking(self._streams)
        for one in self._streams.values():
            one.tick(self._at_ms)
        store.closed_panes(self._streams)
        self._until_there_is_room(lambda: store.checkpoint(self._streams, {}, self._at_ms))
        self.mark(f"safe {self._offset()}")

    def _offset(self) -> int:
        positions = self._streams[FOLLOWED].positions
        return int(next(iter(positions.values()))["offset"]) if positions else 0

    def _until_there_is_room(self, write: Callable[[], None]) -> None:
        for _ in range(TRIES):
            try:
                return write()
            except DiskFull:
                self.full += 1
        raise AssertionError("there is room again, and the store does not see it")
