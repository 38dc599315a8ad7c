"""App: the daemon on one screen: build, run, reload, drain, stop.

Law: a reload takes effect as a whole or not at all; a drain answers what was accepted, and only then saves.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from starlette.types import ASGIApp

from driftmon.daemon.access.folder import check_folder
from driftmon.daemon.access.guard import api_guard, web_guard
from driftmon.daemon.access.handshakes import Handshakes
from driftmon.daemon.access.neighbours import Neighbours
from driftmon.daemon.access.refusals import Door
from driftmon.daemon.answers import Answers
from driftmon.daemon.cautioning import Cautioning
from driftmon.daemon.config import ConfigError, load
from driftmon.daemon.connections import Connections
from driftmon.daemon.express import Express
from driftmon.daemon.heap import keep_giving_back
from driftmon.daemon.ingest import Ingest
from driftmon.daemon.intake import Intake, Positions
from driftmon.daemon.keeper import Storing
from driftmon.daemon.keeping import Forgetful, Keeper
from driftmon.daemon.mailbox import Closed, Mailbox
from driftmon.daemon.news import Progress
from driftmon.daemon.notify import Notifier
from driftmon.daemon.on_disk import load_references
from driftmon.daemon.outbox import Outbox
from driftmon.daemon.present import Present
from driftmon.daemon.process import Process, bind_all, forget_paths
from driftmon.daemon.promotions import Promotions
from driftmon.daemon.pump import Pump, now_ms
from driftmon.daemon.repeats import Repeats
from driftmon.daemon.routes import Actions, Pages, api_app, web_app
from driftmon.daemon.server import Listener
from driftmon.daemon.settings import Config
from driftmon.daemon.sinks import build_sinks
from driftmon.daemon.site import Shown, Site
from driftmon.daemon.store import Store
from driftmon.daemon.streams import Saved, Stream, build_streams
from driftmon.daemon.telemetry import Telemetry
from driftmon.daemon.turns import Loop
from driftmon.monitor.report import Report
from driftmon.monitor.snapshot import Snapshot
from driftmon.render.openmetrics import Family
from driftmon.render.own import Receiver

REQUEST_GRACE_S: Final = 4  # a drain: requests under way, the pump, notifications; together under 10 s
NOTIFY_GRACE_S: Final = 3.0
SWITCH_INTERVAL_S: Final = 0.0005  # 0.8 ms of loop lag beside a busy pump, against 5.2 ms at Python's own 5 ms

log: Final = logging.getLogger("driftmon")


class App:
    """One daemon. The constructor raises what keeps it from starting; `run` returns when it has stopped."""

    def __init__(self, process: Process, environ: Mapping[str, str] = os.environ) -> None:
        self._process, self._environ = process, environ
        self._manager = Notifier(environ)
        config, references, streams = self._load()
        if process.storage is not None:
            check_folder(process.storage)
        self._telemetry, self.mailbox = Telemetry(), Mailbox(config.limits.mailbox_bytes)
        self._store = None if process.storage is None else Store(process.storage, self._telemetry.commit.observe)
        self._restore(streams)
        self.present = Present(config, self._store is None, loaded_ms=now_ms(), started_ms=now_ms())
        self._progress: Callable[[Progress], None] | None = None
        self._keeper: Keeper = Forgetful() if self._store is None else self._storing(self._store)
        self._keeper.ack = config.storage.ack
        self._answers = Answers(self._soon)
        self._pump = Pump(
            self.mailbox, self._telemetry, self._answers.give, self._publish, self._keeper, self._answers.send
        )
        self._pump.swap(streams)
        self._intake = Intake(self.mailbox, self._telemetry)
        self._outbox = self._outbox_for(config)
        self._recall(config)
        self._sockets = bind_all(process)
        self._reloading, self._stopping = asyncio.Lock(), asyncio.Event()
        self._cautioning, self._references = Cautioning(), references  # these until they were looked through
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop

    @property
    def urls(self) -> Mapping[str, list[str]]:
        """Where it listens: {"web": [...], "api": [...]}."""
        return {kind: [url for url, _ in opened] for kind, opened in self._sockets.items()}

    async def run(self) -> None:
        """Until `stop`; raises what made the pump fail, StorageError where the state cannot be saved."""
        self._loop = asyncio.get_running_loop()
        self.mailbox.soon = self._loop.at_rest if isinstance(self._loop, Loop) else self._loop.call_soon
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        repeats = self._recalled()  # from here on the store is the pump's
        pump = threading.Thread(target=self._run_pump, name="pump")
        pump.start()
        self._notifying = asyncio.create_task(self._outbox.deliveries.run())
        self._telling = asyncio.create_task(self._cautioning.tell(self.present.config, self._references))
        self._references = {}
        web, api = self._listeners(repeats)
        await self._intake.follow(
            self.present.config, {name: stream.positions for name, stream in self._pump.streams.items()}
        )
        self._announce()
        self._manager.ready(self._watching())
        beating = asyncio.create_task(self._manager.keep_alive(lambda: self.mailbox.ask(lambda: None)))
        giving_back = asyncio.create_task(keep_giving_back())
        await self._stopping.wait()
        await self._drain(pump, web, api)
        await _cancelled(beating)
        await _cancelled(self._telling)
        await _cancelled(giving_back)

    def stop(self) -> None:
        """Drain, save and end; from the event loop."""
        self._stopping.set()

    async def reload(self) -> str:
        """Load the configuration again; what is wrong with it, empty when it was taken."""
        async with self._reloading:
            self._manager.reloading()
            fault = await self._reload()
            self._manager.ready(f"configuration refused: {fault}" if fault else self._watching())
            return fault

    async def _reload(self) -> str:
        try:
            config, references, streams = await asyncio.to_thread(self._load)
            await self.mailbox.ask(lambda: self._swap(streams))
        except (ConfigError, Closed) as fault:
            return self._refuse(str(fault) or "the daemon is shutting down")
        except Exception as fault:
            log.exception("reload: unexpected")
            return self._refuse(f"unexpected {type(fault).__name__}: {fault}")
        await self._adopt(config)
        log.info("configuration %s loaded again", self._process.config_file)
        await _cancelled(self._telling)
        self._telling = asyncio.create_task(self._cautioning.tell(config, references))
        return ""

    def _load(self) -> tuple[Config, Mapping[str, Snapshot], dict[str, Stream]]:
        config = load(self._process.config_file, self._environ)
        references = load_references(config)
        return config, references, build_streams(config, references)

    def _restore(self, streams: Mapping[str, Stream]) -> None:
        if self._store is None:
            log.warning("nothing is kept over a restart; start with --storage.path DIR to keep counts and alerts")
            return
        for name, stream in streams.items():
            known = () if stream.monitor is None else (stream.monitor.schema,)
            if (saved := self._store.load(name, stream.settings, known)) is not None:
                stream.restore(saved)
                # Without its counts what waits would be of another past.
                stream.restore_labels(self._store.labels(name))

    def _storing(self, store: Store) -> Keeper:
        keeper = Storing(
            store, self._note_full, lambda names: self._telemetry.totals(names) | self._outbox.deliveries.told.totals()
        )
        self._progress = keeper.progress.append
        return keeper

    def _recall(self, config: Config) -> None:
        """What an earlier process counted of itself, and what it owed."""
        if self._store is None:
            return
        counters = self._store.counters()
        self._telemetry.restore({key: times for key, times in counters.items() if key[0] in config.streams})
        self._outbox.deliveries.told.restore(counters)
        self._outbox.restore(self._store.owing(), config.streams)

    def _recalled(self) -> Repeats:
        """The answers to batches that an earlier process counted."""
        repeats, at_ms, at_s = Repeats(), now_ms(), time.monotonic()
        for key, (asked_ms, outcome) in ({} if self._store is None else self._store.seen()).items():
            repeats.recall(key, at_s - max(0, at_ms - asked_ms) / 1000, replace(outcome, durable=True))
        return repeats

    def _note_full(self, full: bool) -> None:
        """From the pump's thread."""
        self._loop.call_soon_threadsafe(setattr, self.present, "disk_full", full)
        self._loop.call_soon_threadsafe(self._intake.pause, full)

    def _swap(self, streams: Mapping[str, Stream]) -> None:
        """In the pump's thread, between two blocks."""
        for name, stream in streams.items():
            if (old := self._pump.streams.get(name)) is not None:
                stream.succeed(old)
        self._pump.swap(streams)

    def _positions(self) -> Positions:
        return {name: dict(stream.positions) for name, stream in self._pump.streams.items()}

    async def _adopt(self, config: Config) -> None:
        """The rest of a reload; nothing here can refuse."""
        present = self.present
        present.config, present.loaded_ms, present.load_succeeded = config, now_ms(), True
        present.forget(config.streams)
        self._keeper.ack = config.storage.ack
        self.mailbox.limit_bytes = config.limits.mailbox_bytes
        new = self._outbox_for(config)
        await _cancelled(self._notifying)
        old, self._outbox = self._outbox, new  # nothing awaits until it has succeeded: no report may come in between
        self._outbox.succeed(old, config.streams)
        self._notifying = asyncio.create_task(self._outbox.deliveries.run())
        await old.deliveries.close()
        # Where a source goes on is asked when the one before it has ended and its last block is counted, not earlier.
        await self._intake.leave(config)
        with contextlib.suppress(Closed):
            await self._intake.follow(config, await self.mailbox.ask(self._positions))

    def _refuse(self, fault: str) -> str:
        self.present.load_succeeded = False
        log.error("the configuration was not loaded, the old one stays: %s", fault)
        return fault

    async def _drain(self, pump: threading.Thread, web: Listener, api: Listener) -> None:
        log.info("draining")
        self._manager.stopping("draining")
        self.present.draining = True
        await self._intake.stop()
        await api.stop()
        self.mailbox.close()
        await asyncio.to_thread(pump.join)
        await _cancelled(self._notifying)
        await self._outbox.deliveries.drain(NOTIFY_GRACE_S)
        if self._failure is None:
            self._keeper.notified(now_ms())
        await web.stop()
        forget_paths(self._process)
        if self._failure is not None:
            raise self._failure
        if self._store is not None:
            self._store.close()
        log.info("stopped")

    def _run_pump(self) -> None:
        try:
            self._pump.run()
        except BaseException as fault:
            self._failure = fault
            self.mailbox.close()
            self._loop.call_soon_threadsafe(self.stop)

    def _soon(self, do: Callable[[], None]) -> None:
        """From the pump's thread."""
        self._loop.call_soon_threadsafe(do)

    def _publish(self, reports: Mapping[str, Report]) -> None:
        self._loop.call_soon_threadsafe(self._take, reports)

    def _take(self, reports: Mapping[str, Report]) -> None:
        self.present.take(reports)
        self._telemetry.note_rates(time.monotonic())
        self._outbox.take(reports)

    def _outbox_for(self, config: Config) -> Outbox:
        sinks, url = build_sinks(config.sinks), self._process.external_url
        return Outbox(sinks, config.external_labels, url, progress=self._progress)

    async def _snapshot_of(self, stream: str) -> Snapshot | None:
        def saved() -> Saved | None:
            found = self._pump.streams.get(stream)
            return None if found is None else found.saved()

        found = await self.mailbox.ask(saved)
        return None if found is None else found.snapshot

    def _notifications(self) -> Iterator[Family]:
        """Of the outbox of this moment, a reload makes another; who did not get in; and how the state is."""
        yield from self._outbox.deliveries.told.families()
        yield from self._process.families()
        if self._store is not None:
            yield from self._store.health.families()

    def _receivers(self) -> list[Receiver]:
        return self._outbox.deliveries.receivers()

    def _listeners(self, repeats: Repeats) -> tuple[Listener, Listener]:
        pages = Pages(self.present, self.mailbox, self._telemetry, self._notifications)
        kept = "" if self._process.storage is None else str(self._process.storage)
        places = Connections(lambda: self.present.config.limits)
        site = Site(Shown(self.present, self.mailbox, self._telemetry, self._receivers, places, kept))
        promotions = Promotions(self.present, self._snapshot_of, self.reload)
        over_http = self.reload if self._process.reload_over_http else None
        actions = Actions(self.present, self._snapshot_of, over_http, promotions)
        process, ingest = self._process, Ingest(self.present, self.mailbox, repeats)
        neighbours = Neighbours((address.host for address in process.api), process.external_url)
        refusals = process.refusals
        guard = api_guard(api_app(pages, actions, ingest, site), process.keeper, neighbours, refusals)
        apps: dict[Door, ASGIApp] = {"web": web_guard(web_app(pages), process.keeper, refusals), "api": guard}
        express: dict[Door, Express] = {"api": Express(guard, ingest)}
        context = process.context
        started = {
            kind: Listener(
                app,
                [opened for _, opened in self._sockets[kind]],
                places,
                REQUEST_GRACE_S,
                context,
                Handshakes(kind, refusals),
                express.get(kind),
            )
            for kind, app in apps.items()
        }
        for listener in started.values():
            listener.start()
        return started["web"], started["api"]

    def _watching(self) -> str:
        return f"watching {', '.join(self.present.config.streams)}"

    def _announce(self) -> None:
        for kind, urls in self.urls.items():
            log.info("%s listens on %s", kind, ", ".join(urls))
        if self._process.in_clear:
            log.warning("passwords and tokens cross the network in clear; add tls_server_config to --web.config.file")


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Once it has ended. Whoever is cancelled while he waits ends too: that cancel is his own, not the task's."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
