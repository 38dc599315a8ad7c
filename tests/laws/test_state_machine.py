"""A stream and its store as a state machine against a dict: ingest, tick, reload, crash, recover, late, skew, merge.

`DRIFTMON_EXAMPLES` and `DRIFTMON_STEPS` make it longer; `make campaigns` runs 60 x 50.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from driftmon.daemon.config import load
from driftmon.daemon.keeper import Storing
from driftmon.daemon.settings import Config
from driftmon.daemon.store import Store
from driftmon.daemon.streams import Stream, build_streams
from driftmon.monitor.references import reference_of
from driftmon.sources.base import Block, Settled
from tests.campaigns.model import Model, Place, Shape
from tests.campaigns.simulated_world import body_of, vector_of
from tests.daemon.kit import write_config

EXAMPLES = int(os.environ.get("DRIFTMON_EXAMPLES", "6"))
STEPS = int(os.environ.get("DRIFTMON_STEPS", "20"))
FEATURES = {"x": {"type": "numeric", "edges": [0.0, 1.0]}, "c": {"type": "categorical"}}
LATENESS_MS = 10_000
START_MS = 1_400_000_000_000
VALUES = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 7, None, True, "text"])
ROWS = st.lists(
    st.tuples(VALUES, st.sampled_from(["a", "b", "z", None]), st.integers(-60, 120)), min_size=1, max_size=6
)


class Life(RuleBasedStateMachine):
    """One stream by event time; `now_ms` is a wall clock that may be set."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="driftmon-machine-"))
        one = {"reference": {"type": "file", "path": "p.json"}, "features": FEATURES, "tick": "1s"}
        one |= {"windows": [{"name": "recent", "length": "5m"}]}
        one |= {"time": {"field": "at", "unit": "ms", "lateness": "10s"}}
        self.stream = one
        columns: dict[str, Any] = {"x": [-1.0, 0.5, 2.0], "c": ["a", "b", "a"]}
        self.reference = reference_of(columns, self._config(0.5).streams["s"].features)
        self.model = Model({"s": Shape({"x": (0.0, 1.0)}, {"c": ("a", "b")}, "at", LATENESS_MS)})
        self.now_ms, self.batches, self.at_s, self.lives = START_MS, 0, 0.0, 0
        self.told: set[str] = set()
        self.durable: set[str] = (
            set()
        )  # keys that were on the disk; after 15 minutes they are forgotten, their rows not
        self._live()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder)

    def _live(self) -> None:
        self.store = Store(self.folder / f"state-{self.lives}")
        self.keeper = Storing(self.store, lambda _: None)
        self.one = self._made(0.5)
        if (saved := self.store.load("s")) is not None:
            self.one.restore(saved)

    def _config(self, above: float) -> Config:
        rules = [{"name": "Missing", "metric": "missing_ratio", "above": above, "min_observations": 5}]
        return load(write_config(self.folder, {"s": self.stream}, rules=rules), {})

    def _made(self, above: float) -> Stream:
        return build_streams(self._config(above), {"s": self.reference})["s"]

    @rule(rows=ROWS, answered=st.booleans(), kept=st.booleans())
    def ingest(self, rows: list[Any], answered: bool, kept: bool) -> None:
        """A request; `kept` or it waits for the commit of the next one, `answered` or the answer is lost."""
        self.batches += 1
        key = str(self.batches)
        data = body_of([{"x": x, "c": c, "at": self.now_ms + 1000 * at} for x, c, at in rows])
        block = Block("s", "http", "ndjson", data, origin="http", key=key)
        self.model.observe("s", key, 1, data, self.now_ms)
        outcome = self.one.observe(block, self.now_ms)
        verdicts = Counter(row.verdict for (_, found, _), row in self.model.rows.items() if found == key)
        assert (outcome.accepted, outcome.late) == (verdicts["counted"], verdicts["late"])
        if kept:
            self.waiting = [*getattr(self, "waiting", []), (block, outcome)]
            for done, settled in self.keeper.settle({"s": self.one}, self.waiting, self.now_ms):
                assert isinstance(settled, Settled)
                assert settled.durable
                if answered:
                    self.told.add(done.key)
            self.waiting = []
            self._note()
        else:
            self.waiting = [*getattr(self, "waiting", []), (block, outcome)]

    @rule(seconds=st.integers(1, 200))
    def tick(self, seconds: int) -> None:
        """The pump settles before it ticks."""
        self._settle()
        self.now_ms += 1000 * seconds
        self.at_s += seconds
        report = self.one.tick(self.now_ms)
        self.keeper.ticked({"s": self.one}, [report], self.now_ms, self.at_s)
        self._note()

    @rule(by_s=st.integers(-600, 600))
    def skew(self, by_s: int) -> None:
        self.now_ms += 1000 * by_s

    @rule(above=st.sampled_from([0.5, 0.6]))
    def reload(self, above: float) -> None:
        """The same rules, or others, so that the monitor is made anew; blocks counted before it wait on."""
        self._settle()
        fresh = self._made(above)
        fresh.succeed(self.one)
        self.one = fresh

    @rule()
    def crash(self) -> None:
        """What lies on the disk at this instant is all there is."""
        self.lives += 1
        image = self.folder / f"state-{self.lives}"
        shutil.copytree(self.store._folder, image)
        self.store.close()
        self.waiting = []
        self._live()
        self._note()
        assert self.told <= self.durable, "acknowledged and lost"

        def died(place: Place) -> bool:
            return place[1] != "merged" and place[1] not in self.durable

        self.model.forget(died)

    @rule()
    def merge(self) -> None:
        """Halves of the counts, added, are the counts."""
        saved = self.one.saved()
        assert saved is not None
        empty = self._made(0.5)
        empty.restore(saved)
        twin = empty.saved()
        assert twin is not None
        assert np.array_equal(twin.snapshot.counts, saved.snapshot.counts)
        assert np.array_equal(twin.snapshot.merge(saved.snapshot).counts, 2 * saved.snapshot.counts)

    @invariant()
    def counted_is_what_was_sent(self) -> None:
        if not hasattr(self, "one"):
            return
        assert self.one.monitor is not None
        snapshot = self.one.monitor.snapshot()
        assert np.array_equal(snapshot.counts, vector_of(snapshot, self.model.totals("s")))

    def _settle(self) -> None:
        if waiting := getattr(self, "waiting", []):
            self.keeper.settle({"s": self.one}, waiting, self.now_ms)
        self.waiting = []
        self._note()

    def _note(self) -> None:
        self.durable |= {key for _, key in self.store.seen()}


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES < 100,
)
