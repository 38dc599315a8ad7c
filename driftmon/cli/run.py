"""`driftmon run`: the daemon. Exit 0 stopped cleanly; 2 usage or configuration; 73, 74, 75 storage."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

if TYPE_CHECKING:
    from driftmon.daemon.access.keeper import Keeper
    from driftmon.daemon.app import App

USAGE: Final = 2
SAME_STOP_S: Final = (
    1.0  # timeout(1), or Ctrl-C under a wrapper, signals the process and its group: one wish, told twice
)
WEB_CONFIG: Final = (
    "TLS (tls_server_config) and passwords (basic_auth_users, bcrypt) of both listeners, as exporter-toolkit's file; "
    "and for the API bearer_tokens: {ingest: {file: F}, read: {file: F}, admin: {file: F}}, files with a token a line. "
    "It and what it names are read again when they change."
)


@click.command("run")
@click.option("--config.file", "config_file", required=True, type=click.Path(path_type=Path), help="The configuration.")
@click.option(
    "--web.listen-address", "web", multiple=True, default=(":10517",), show_default=True, metavar="ADDRESS",
    help="Metrics and probes; repeatable.",
)  # fmt: skip
@click.option(
    "--api.listen-address", "api", multiple=True, default=("127.0.0.1:10518",), show_default=True, metavar="ADDRESS",
    help="Ingest, report and admin, also unix:/path; repeatable.",
)  # fmt: skip
@click.option("--api.insecure", "insecure", is_flag=True, help="Let other machines reach the API without a password.")
@click.option("--web.config.file", "web_config", type=click.Path(path_type=Path), help=WEB_CONFIG)
@click.option("--web.enable-lifecycle", "lifecycle", is_flag=True, help="Allow POST /-/reload.")
@click.option(
    "--web.external-url", "external_url", default="", metavar="URL", help="How people reach the API; in alerts."
)
@click.option(
    "--storage.path", "storage", type=click.Path(path_type=Path), help="Folder for state; without it nothing is kept."
)
@click.option(
    "--log.level", "level", default="info", show_default=True, type=click.Choice(("debug", "info", "warn", "error"))
)
@click.option("--log.format", "form", default="logfmt", show_default=True, type=click.Choice(("logfmt", "json")))
def command(
    *,
    config_file: Path,
    web: tuple[str, ...],
    api: tuple[str, ...],
    insecure: bool,
    web_config: Path | None,
    lifecycle: bool,
    external_url: str,
    storage: Path | None,
    level: Literal["debug", "info", "warn", "error"],
    form: Literal["logfmt", "json"],
) -> None:
    """Watch the streams of a configuration until SIGTERM or SIGINT; SIGHUP loads it again."""
    gc.disable()  # what is built until it runs stays: to look through it again and again is a tenth of the start
    # Numpy would start a thread for each core, with memory of its own, for products of matrices; there are none here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from driftmon.daemon import logs  # noqa: PLC0415  numpy and scipy only once the daemon is really meant
    from driftmon.daemon.addresses import AddressError, parse  # noqa: PLC0415
    from driftmon.daemon.app import App  # noqa: PLC0415
    from driftmon.daemon.faults import ConfigError  # noqa: PLC0415
    from driftmon.daemon.process import Process, refuse_open_api  # noqa: PLC0415
    from driftmon.daemon.store import StorageError  # noqa: PLC0415
    from driftmon.daemon.turns import event_loop  # noqa: PLC0415

    logs.set_up(level, form)
    try:
        process = Process(
            config_file,
            tuple(map(parse, web)),
            tuple(map(parse, api)),
            storage,
            external_url,
            reload_over_http=lifecycle,
            keeper=None if web_config is None else _keeper(web_config),
        )
        if not insecure and not process.authenticates:
            refuse_open_api(process.api)
        app = App(process)
        gc.freeze()  # nor later: that would hold everybody up for 20 ms each time
        gc.enable()
        with asyncio.Runner(loop_factory=event_loop) as runner:
            runner.run(_run(app))
    except (ConfigError, AddressError) as fault:
        click.echo(str(fault), err=True)
        sys.exit(USAGE)
    except StorageError as fault:
        click.echo(str(fault), err=True)
        sys.exit(fault.exit_code)
    finally:
        gc.enable()


def _keeper(web_config: Path) -> Keeper:
    from driftmon.daemon.access.keeper import Keeper  # noqa: PLC0415  what reads that file, for those who have one

    return Keeper(web_config, os.environ)


async def _run(app: App) -> None:
    """With signals: the first SIGTERM or SIGINT drains, one that comes later than SAME_STOP_S ends at once."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[str]] = set()

    def let_go() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    def stop() -> None:
        loop.call_later(SAME_STOP_S, let_go)
        app.stop()

    def reload() -> None:
        task = asyncio.create_task(app.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    await app.run()
