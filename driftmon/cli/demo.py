"""`driftmon demo`: everything at once on bundled real data, with nothing to install, write or sign up for.

Law: nothing is staged. A real daemon gets real flights over HTTP and goes by their clock; what fires, fires
because New York's summer differs from its winter.
"""

from __future__ import annotations

import contextlib
import math
import queue
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click
import httpx
from rich.console import Console

from driftmon.cli.support import flights, scene
from driftmon.cli.support.child import Child, Notification, running, webhook
from driftmon.cli.support.counting import reference
from driftmon.cli.support.faults import told
from driftmon.cli.support.inputs import input_of
from driftmon.cli.support.records import Refusals
from driftmon.cli.support.snapshots import write
from driftmon.daemon.config import load

STREAM_S: Final = 20.0  # nine months in so many seconds
FRAME_S: Final = 0.25
DAYS_A_FRAME: Final = 2
STOPS: Final = (signal.SIGTERM, signal.SIGHUP)


@click.command("demo")
@click.option(
    "--exit-after", metavar="SECONDS", type=click.FloatRange(min=1), help="End by itself; else Ctrl-C ends it."
)
def command(exit_after: float | None) -> None:
    """Watch the flights that left New York City in 2013: January to March against the rest of the year."""
    until = math.inf if exit_after is None else time.monotonic() + exit_after
    console = Console()
    with (
        told(),
        contextlib.suppress(KeyboardInterrupt),
        stoppable(),
        tempfile.TemporaryDirectory(prefix="driftmon-demo-") as folder,
        webhook() as (url, alerts),
    ):
        environ = {"DRIFTMON_DEMO_WEBHOOK": url}
        with running(prepare(Path(folder), environ), environ) as child, scene.opened(console) as drawn:
            introduce(console, child)
            play(child, drawn, alerts, until)


@contextmanager
def stoppable() -> Iterator[None]:
    """A stop is a Ctrl-C: it leaves neither the daemon behind nor its folder. What is ignored stays so, as by nohup."""
    heard = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]

    def stop(number: int, frame: FrameType | None) -> None:
        for one in heard:
            signal.signal(one, signal.SIG_IGN)  # one is enough, and cleaning up is not to be stopped
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def prepare(folder: Path, environ: Mapping[str, str]) -> Path:
    """Configuration and reference, as a user would have them."""
    config_file = folder / "driftmon.yaml"
    config_file.write_text(flights.config(), encoding="utf-8")
    settings = load(config_file, environ).streams[flights.STREAM]
    built = reference([input_of(str(flights.write_reference(folder)))], settings, Refusals())
    write(built, folder / f"{flights.STREAM}.reference.json")
    return config_file


def introduce(console: Console, child: Child) -> None:
    """What runs and where to look."""
    console.print(
        "reference: January to March 2013; live: April to December, day by day over HTTP, on the data's own clock\n"
        f"pages      {child.api}/\n"
        f"metrics    {child.web}/metrics\n"
        f"report     {child.api}/api/v1/report\n"
        f"alerts     {child.api}/api/v1/alerts\n"
        f"ingest     {child.api}/api/v1/ingest/{flights.STREAM}\n",
        soft_wrap=True,
        highlight=False,
    )


def play(child: Child, drawn: scene.Scene, alerts: queue.SimpleQueue[Notification], until: float) -> None:
    """Post the days at an even pace and show what the daemon makes of them, until the time is up."""
    days, began = list(flights.live_days()), time.monotonic()
    with httpx.Client(trust_env=False) as client:
        for number, day in enumerate(days):
            if time.monotonic() > until:
                return
            child.post(client, flights.STREAM, day.body)
            time.sleep(max(0.0, began + STREAM_S * number / len(days) - time.monotonic()))
            if number % DAYS_A_FRAME == 0:
                show(child, client, drawn, alerts, f"flights, the week up to {day.date}")
        show(child, client, drawn, alerts, "all of 2013 was sent")
        drawn.rest("flights, the last week of 2013; Ctrl-C ends the demo", features_of(child, client))
        while time.monotonic() < until:
            time.sleep(min(FRAME_S, max(0.0, until - time.monotonic())))
            show(child, client, drawn, alerts, "flights, the last week of 2013; Ctrl-C ends the demo")


def show(
    child: Child, client: httpx.Client, drawn: scene.Scene, alerts: queue.SimpleQueue[Notification], title: str
) -> None:
    """The alerts that have arrived, then the newest report."""
    while not alerts.empty():
        drawn.alert(alerts.get())
    drawn.show(title, features_of(child, client))


def features_of(child: Child, client: httpx.Client) -> Mapping[str, Any]:
    """The features in the newest report."""
    found: Mapping[str, Any] = child.report(client)["streams"][flights.STREAM]["features"]
    return found
