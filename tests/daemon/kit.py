"""A small configured world: one stream of three features, and a daemon that runs in this process."""

from __future__ import annotations

import asyncio
import ctypes
import json
import random
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml

from driftmon.daemon.addresses import parse
from driftmon.daemon.app import App
from driftmon.daemon.config import load
from driftmon.daemon.process import Process
from driftmon.monitor.references import reference_of
from driftmon.monitor.snapshot import Snapshot

FEATURES: Mapping[str, Any] = {"x": {"type": "numeric"}, "c": {"type": "categorical"}, "ok": {"type": "boolean"}}
RULE = {"name": "Drift", "metric": "kl_divergence_debiased", "above": 0.1, "min_observations": 100}
LOCAL = parse("127.0.0.1:0")
IN_CLEAR = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody: to read the system's certificates takes 30 ms
PATIENCE_S = 60.0  # then it hangs; a busy machine needs several
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)  # opened here: between fork and exec there is no time for it


def end_with_parent() -> None:
    """As `preexec_fn`: the kernel kills the process when the thread that started it is gone, however it went."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def records(count: int, shift: float = 0.0, seed: int = 0) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [
        {"x": chance.gauss(shift, 1.0), "c": chance.choice("abc"), "ok": chance.random() < 0.5} for _ in range(count)
    ]


def ndjson(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def stream(**changes: Any) -> dict[str, Any]:
    base = {"reference": {"type": "file", "path": "p.json"}, "features": dict(FEATURES), "tick": "100ms"}
    return {**base, **changes}


def write_config(folder: Path, streams: Mapping[str, Any] | None = None, **more: Any) -> Path:
    """`driftmon.yaml` in a folder; the reference file p.json is there once `write_reference` was called."""
    tree = {"version": 1, "streams": streams or {"s": stream()}, "rules": [RULE], **more}
    path = folder / "driftmon.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    return path


_sample = cache(records)


def write_reference(config: Path, rows: int = 2000, name: str = "s") -> Snapshot:
    """Count a reference for the stream where its configuration says it lies."""
    settings = load(config, {}).streams[name]
    sample = _sample(rows)
    columns = {spec.name: [row.get(spec.name) for row in sample] for spec in settings.features}
    snapshot = reference_of(columns, settings.features)
    assert settings.reference.path is not None
    settings.reference.path.write_bytes(snapshot.to_bytes())
    return snapshot


def ready_config(folder: Path, streams: Mapping[str, Any] | None = None, **more: Any) -> Path:
    path = write_config(folder, streams, **more)
    write_reference(path)
    return path


class Running:
    """A daemon that answers: its API by `http`, its web listener by `web`."""

    def __init__(self, app: App, http: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
        self.app, self.http, self.web = app, http, web

    async def post(self, body: bytes, *, to: str = "s", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(f"/api/v1/ingest/{to}", content=body, headers=named)

    async def observed(self, feature: str = "x", *, at_least: int, name: str = "s") -> dict[str, Any]:
        """The feature's JSON once a tick has published so many observations."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                reply = await self.http.get(f"/api/v1/streams/{name}/features/{feature}")
                if reply.status_code == 200 and reply.json().get("observations_total", 0) >= at_least:
                    found: dict[str, Any] = reply.json()
                    return found
                await asyncio.sleep(0.02)

    async def metric(self, line: str) -> float:
        text = (await self.web.get("/metrics")).text
        return float(next(row for row in text.splitlines() if row.startswith(line)).rpartition(" ")[2])


@asynccontextmanager
async def running(
    config: Path, storage: Path | None = None, verify: ssl.SSLContext | bool = IN_CLEAR, **flags: Any
) -> AsyncIterator[Running]:
    """Started, ready, and drained at the end; `verify` is what its clients think of certificates."""
    app = App(Process(config, (LOCAL,), flags.pop("api", (LOCAL,)), storage, **flags), {})
    task = asyncio.create_task(app.run())
    async with (
        httpx.AsyncClient(base_url=app.urls["api"][0], trust_env=False, timeout=PATIENCE_S, verify=verify) as http,
        httpx.AsyncClient(base_url=app.urls["web"][0], trust_env=False, timeout=PATIENCE_S, verify=verify) as web,
    ):
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not task.done() and (await web.get("/-/ready")).status_code != 200:
                    await asyncio.sleep(0.01)
            yield Running(app, http, web)
        finally:
            app.stop()
            await task
