"""World: the real daemon on virtual time, its senders, its receivers, and everything that can go wrong around it.

Law: all chance comes from one seed. After every crash: what was acknowledged is among what came back, and what came
back is exactly the model. At the end: counted == sent, bin by bin and pane by pane, and nobody missed an alert.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from driftmon.daemon import app as app_module
from driftmon.daemon.app import App
from driftmon.daemon.database import DiskFull, StorageError
from driftmon.daemon.process import Process
from driftmon.monitor.report import Report
from driftmon.monitor.snapshot import Snapshot
from driftmon.render.alertmanager import notice_of
from driftmon.sources.base import Block
from tests.campaigns.model import Model, Place, Shape
from tests.campaigns.receivers import Receiver
from tests.campaigns.virtual import Clock, Killed, Pumping, Socketless, VirtualLoop
from tests.daemon.kit import write_config, write_reference

FEATURES: Final = {"x": {"type": "numeric", "edges": [-1.0, 0.0, 1.0]}, "c": {"type": "categorical"}}
HTTP: Final = [{"type": "http"}]
KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "a": {"sources": HTTP, "tick": "15s"},
    "e": {"sources": HTTP, "tick": "30s", "time": {"field": "at", "unit": "ms", "lateness": "20s"}},
    "f": {"sources": [{"type": "file", "path": "f.ndjson", "follow": True}], "tick": "60s"},
}
MISSING: Final = {
    "name": "Missing", "metric": "missing_ratio", "above": 0.3, "resolve_below": 0.1, "min_observations": 20,
    "for": "20s", "keep_firing_for": "30s",
}  # fmt: skip
COMMON: Final[Mapping[str, Any]] = {"features": FEATURES, "windows": [{"name": "recent", "length": "5m"}]}
PATIENCE_S: Final = 60.0  # for + a tick and more: by then an alert must have moved
BURIAL_S: Final = 10.0
KNOWN_S: Final = 300.0  # keys older than this may have been forgotten by a wall clock that was set ahead
PANES: Final = 60
PANE_MS: Final = 5000


@dataclass
class World:
    """One run. `trace` is what happened, in words; its digest is the same for the same seed."""

    folder: Path
    seed: int
    loop: VirtualLoop
    clock: Clock
    chance: random.Random
    trace: Any = field(default_factory=hashlib.sha256)
    happened: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    acknowledged: dict[tuple[str, str], float] = field(default_factory=dict)
    armed: str = ""  # the fault of the next commit: before, after, eio
    full: bool = False
    published: list[tuple[tuple[str, str, int], float]] = field(default_factory=list)
    crashed_s: list[float] = field(default_factory=list)
    steps: list[tuple[float, int]] = field(default_factory=list)  # of the wall clock: when, and by how many ms

    def __post_init__(self) -> None:
        streams = {
            name: {**COMMON, "reference": {"type": "file", "path": f"{name}.json"}, **more}
            for name, more in KINDS.items()
        }
        self.followed = self.folder / "f.ndjson"
        self.followed.touch()
        sinks = [{"type": "webhook", "endpoint": "http://127.0.0.1:1/"}]
        self.config = write_config(self.folder, streams, rules=[MISSING], sinks=sinks)
        words = {name: write_reference(self.config, name=name) for name in KINDS}
        shapes = {
            name: Shape({"x": (-1.0, 0.0, 1.0)}, {"c": _words(found)}, *(("at", 20_000) if name == "e" else ()))
            for name, found in words.items()
        }
        self.model = Model(shapes)
        self.receivers = {"webhook": Receiver(self, resends=False), "alertmanager": Receiver(self, resends=True)}
        self.up = asyncio.Event()
        self.api: Any = None
        self._since: dict[str, float] = {}
        self._lives = 0
        self.mine: set[asyncio.Task[Any]] = set()

    def note(self, what: str, detail: str = "") -> None:
        self.happened[what] += 1
        self.trace.update(f"{self.loop.time():.6f} {what} {detail}\n".encode())

    def fault(self, what: str) -> None:
        self.faults.append(f"at {self.loop.time() - 1000:.1f} s: {what}")

    async def live(self) -> None:
        """One daemon after the other, until cancelled."""
        while True:
            self._lives += 1
            await self._one_life()
            self.crashed_s.append(self.loop.time())
            await asyncio.sleep(self.chance.uniform(0.1, 3.0))

    async def _one_life(self) -> None:
        state = self.folder / f"state-{self._lives}"
        self.app = app = App(Process(self.config, (), (), state), {})
        store: Any = app._store
        for verb in ("commit", "checkpoint"):
            setattr(store, verb, self._faulty(getattr(store, verb)))
        setattr(app, "_take", self._taking(app._take))  # noqa: B010  a method, for a type checker
        Socketless.apps.clear()
        before = asyncio.all_tasks()
        self.killing = asyncio.Event()
        self._recover()
        running = asyncio.create_task(app.run())
        await asyncio.sleep(0)
        self.api = Socketless.apps[-1]
        self.up.set()
        killed = asyncio.create_task(self.killing.wait())
        await asyncio.wait({running, killed}, return_when=asyncio.FIRST_COMPLETED)
        self.up.clear()
        image = self.folder / f"state-{self._lives + 1}"
        image.mkdir(mode=0o700)
        for name in ("state.db", "state.db-wal"):
            if (state / name).exists():
                shutil.copy(state / name, image / name)
        await self._bury(running, asyncio.all_tasks() - before - self.mine - {asyncio.current_task()})
        for one in (store._database.connection, store._database.pin, store._database._claim):
            one.close()  # no orderly end; once more after one does no harm
        shutil.rmtree(state)
        self.armed = ""

    async def _bury(self, running: asyncio.Task[None], tasks: set[Any]) -> None:
        if running.done() and not running.cancelled():
            end = running.exception()
            self.note("end", type(end).__name__)
            if end is not None and not isinstance(end, StorageError | Killed):
                self.fault(f"the daemon ended with {end!r}")
        for task in sorted(tasks, key=lambda one: (len(one.get_name()), one.get_name())):  # a set has no order
            task.cancel()
        _, alive = await asyncio.wait({running, *tasks}, timeout=BURIAL_S)
        if alive:
            self.fault(f"what was cancelled goes on: {sorted(task.get_name() for task in alive)}")

    def turn(self, pump: Any, items: Sequence[Any], at_ms: int, at_s: float) -> None:
        """A turn of the pump, watched."""
        self.counted_ms = pump.clock_at(at_ms, at_s)
        for item in items:
            if isinstance(item, Block):
                by_ms = self.counted_ms if self.model.shapes[item.stream].time is None else max(self.counted_ms, at_ms)
                self.model.observe(item.stream, item.key or item.origin, item.first_line, item.data, by_ms)
        pump.turn(items, at_ms, at_s)

    def broke(self, app: App, fault: BaseException) -> None:
        """What ends the pump ends the daemon, as its own thread would do it."""
        if isinstance(fault, Killed):
            self.killing.set()
            return
        app._failure = fault
        app.mailbox.close()
        app.stop()

    def _faulty(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*arguments: Any, **named: Any) -> Any:
            if self.full:
                self.note("disk full")
                raise DiskFull("simulated")
            armed, self.armed = self.armed, ""
            if armed == "before":
                self.note("killed before a commit")
                raise Killed
            if armed == "eio":
                self.note("I/O error")
                raise StorageError(74, "simulated")
            done = real(*arguments, **named)
            if armed == "after":
                self.note("killed after a commit")
                raise Killed
            return done

        return write

    def _taking(self, real: Callable[[Mapping[str, Report]], None]) -> Callable[[Mapping[str, Report]], None]:
        def take(reports: Mapping[str, Report]) -> None:
            for name, report in reports.items():
                self._check_report(name, report)
                for change in report.changes:
                    self.note("change", f"{change.event} {name} {change.alert.feature} {change.at_ms}")
                    notice = notice_of(change, {})
                    if notice is not None:
                        key = (notice.fingerprint, notice.status, notice.starts_ms)
                        self.published.append((key, self.loop.time()))
            real(reports)

        return take

    def _check_report(self, name: str, report: Report) -> None:
        """An alert whose condition has held, by the model, for so long that it must have moved."""
        if name != "a":
            return
        share, seen = self.model.share_missing(name, "x", self.counted_ms // PANE_MS)
        firing = any(alert.state.name == "FIRING" and alert.feature == "x" for alert in report.alerts)
        for verdict, holds, wrong in (
            ("breach", share > 0.3 and seen >= 20, not firing),
            ("clear", share < 0.1 and seen >= 20, firing),
        ):
            place = f"{name} {verdict}"
            if not holds:
                self._since.pop(place, None)
            elif self.loop.time() - self._since.setdefault(place, self.loop.time()) > PATIENCE_S and wrong:
                self.fault(f"{name}.x: {verdict} for a minute ({share:.2f} of {seen}), yet firing is {firing}")

    def set_clock(self, by_ms: int) -> None:
        """The wall clock is wrong from now on, by so much more."""
        self.note("clock set", str(by_ms))
        self.clock.skew_ms += by_ms
        self.steps.append((self.loop.time(), by_ms))
        self.forget_clocks()

    def forget_clocks(self) -> None:
        """After a step of the wall clock or a crash conditions begin anew."""
        self._since = {}

    def _recover(self) -> None:
        """After a start: what came back?"""
        self.forget_clocks()
        store: Any = self.app._store
        seen, now_s = set(store.seen()), self.loop.time()
        lines = {
            origin: int(place["line"])
            for stream in self.app._pump.streams.values()
            for origin, place in stream.positions.items()
        }
        for key, at_s in self.acknowledged.items():
            if key not in seen and now_s - at_s < KNOWN_S:
                self.fault(f"acknowledged and lost: {key}")

        def died(place: Place) -> bool:
            stream, origin, line = place
            if origin.startswith("file:"):
                return line >= lines.get(origin, 0)
            return (stream, origin) not in seen and (stream, origin) not in self.acknowledged

        self.model.forget(died)
        self.compare("after a start")

    def compare(self, when: str) -> None:
        """Daemon and model, bin by bin and pane by pane."""
        for name, stream in self.app._pump.streams.items():
            assert stream.monitor is not None
            snapshot = stream.monitor.snapshot()
            wrong = snapshot.counts - vector_of(snapshot, self.model.totals(name))
            if wrong.any():
                self.fault(f"{when}: stream {name}: daemon less model, by bin: {wrong.tolist()}")
            self._compare_panes(name, snapshot, when)

    def _compare_panes(self, name: str, snapshot: Snapshot, when: str) -> None:
        (ring,) = (panes for window, panes in snapshot.rings.items() if window.name == "recent")
        held: dict[int, Any] = dict(ring)
        for pane, counts in snapshot.open_panes.items():
            held[pane] = held[pane] + counts if pane in held else counts
        model = self.model.by_pane(name)
        newest = max([max(self.counted_ms, self.clock.now_ms()) // PANE_MS, *held, *model])
        stepped_s = self.steps[-1][0] if self.steps else 0.0
        for pane in {*held, *model}:
            if pane > newest - PANES and stepped_s < self.loop.time() - 2 * PANES * PANE_MS / 1000:
                wanted = vector_of(snapshot, model.get(pane, Counter()))
                found = held.get(pane, np.zeros_like(wanted))
                if not np.array_equal(found, wanted):
                    self.fault(f"{when}: stream {name}, pane {pane}: {found.tolist()}, model {wanted.tolist()}")

    counted_ms: int = 0  # what the daemon's clock said at its last turn


def patched(world: World, clock: Clock) -> dict[str, Any]:
    """What stands in the daemon's wiring for threads, sockets and receivers."""
    return {
        "threading": Pumping(clock, world.turn, world.broke),
        "Listener": Socketless,
        "build_sinks": lambda _: dict(world.receivers),
    }


def put_in(world: World, clock: Clock) -> dict[str, Any]:
    """Put them in; what they replace."""
    new = patched(world, clock)
    old = {name: getattr(app_module, name) for name in new}
    for name, value in new.items():
        setattr(app_module, name, value)
    return old


def _words(snapshot: Snapshot) -> tuple[str, ...]:
    binning: Any = snapshot.schema.features[1].binning
    return tuple(binning.categories)


def vector_of(snapshot: Snapshot, counts: Mapping[tuple[str, str], int]) -> Any:
    """A model's counts, laid out as the daemon's."""
    vector = np.zeros(snapshot.schema.width, dtype=np.int64)
    ends = {"missing": -1, "invalid": -2, "unseen": -3}
    for at, feature in enumerate(snapshot.schema.features):
        bins = vector[snapshot.schema.bins(at)]
        for (name, place), count in counts.items():
            if name == feature.name:
                bins[ends[place] if place in ends else int(place)] += count
    return vector


def body_of(rows: Sequence[Any]) -> bytes:
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()
