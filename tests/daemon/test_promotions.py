"""Promotion over HTTP and from the command line: file, monitor and audit line change together."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from driftmon.cli.main import command
from driftmon.daemon import promotions
from driftmon.daemon.promotion import audit_of
from driftmon.monitor.snapshot import Snapshot
from tests.daemon.kit import Running, ndjson, ready_config, records, running, stream

PROMOTE = "/api/v1/streams/s/reference/promote"


def within(config: Path, scenario: Callable[[Running], Awaitable[None]], **flags: Any) -> None:
    async def whole() -> None:
        async with running(config, **flags) as daemon:
            await scenario(daemon)

    asyncio.run(whole())


async def reference_in_use(daemon: Running) -> str:
    text = (await daemon.web.get("/metrics")).text
    return next(row for row in text.splitlines() if row.startswith("driftmon_reference_info")).split('reference="')[1][
        :16
    ]


async def comes_into_use(daemon: Running, identity: str) -> None:
    """The report of the first tick with it is published a moment after the answer."""
    async with asyncio.timeout(10):
        while await reference_in_use(daemon) != identity:
            await asyncio.sleep(0.01)


async def run(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, command, ["reference", "promote", *arguments])


def test_the_live_window_becomes_the_reference_now_and_after_a_restart(tmp_path: Path) -> None:
    config, file = ready_config(tmp_path), tmp_path / "p.json"
    before = Snapshot.from_bytes(file.read_bytes())

    async def drifted(daemon: Running) -> None:
        await daemon.post(ndjson(records(500, shift=3.0)))
        assert (await daemon.observed(at_least=500))["windows"]["fast"]["kl_divergence_debiased_nats"] > 1
        reply = await daemon.http.post(PROMOTE, json={"by": "ada", "reason": "new market"})
        assert reply.status_code == 200, reply.text
        after = Snapshot.from_bytes(file.read_bytes())
        assert reply.json() == {
            "time": reply.json()["time"],
            "from": before.identity,
            "to": after.identity,
            "kept": f"p.{before.identity}.json",
            **after.provenance,
            "by": "ada",
            "reason": "new market",
            "client": "127.0.0.1",
        }
        assert json.loads(audit_of(file).read_text()) == reply.json()
        assert (tmp_path / f"p.{before.identity}.json").read_bytes() == before.to_bytes()
        assert int(after.counts[after.schema.bins(0)].sum()) == 500
        await comes_into_use(daemon, after.identity)
        feature = await daemon.observed(at_least=500)
        assert feature["windows"]["fast"]["kl_divergence_nats"]["q_p"] == pytest.approx(0, abs=1e-12), "P is Q now"
        assert feature["windows"]["fast"]["observations"] == 500, "the window's counts stay"

    async def restarted(daemon: Running) -> None:
        await comes_into_use(daemon, Snapshot.from_bytes(file.read_bytes()).identity)

    within(config, drifted)
    within(config, restarted)


def test_the_command_line_does_the_same_and_says_what_became_of_the_old_one(tmp_path: Path) -> None:
    config = ready_config(tmp_path)

    async def scenario(daemon: Running) -> None:
        await daemon.post(ndjson(records(300)))
        await daemon.observed(at_least=300)
        url = daemon.app.urls["api"][0]
        done = await run("--url", url, "--window", "fast", "--by", "ada")
        assert done.exit_code == 0, done.output
        entry = json.loads(audit_of(tmp_path / "p.json").read_text())
        assert f"reference {entry['from']} became {entry['to']}, 300 records" in done.stderr
        assert (entry["by"], "reason" in entry) == ("ada", False)
        refused = await run("--url", url, "--window", "week")
        assert (refused.exit_code, "there is no window week" in refused.stderr) == (2, True)

    within(config, scenario)


def test_many_daemons_make_one_file_and_none_of_them_changes(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    configs = [ready_config(folder) for folder in folders]

    async def scenario() -> None:
        async with running(configs[0]) as one, running(configs[1]) as two:
            for daemon, rows in ((one, 200), (two, 50)):
                await daemon.post(ndjson(records(rows, seed=rows)))
                await daemon.observed(at_least=rows)
            urls = [daemon.app.urls["api"][0] for daemon in (one, two)]
            made = await run("--from", urls[0], "--from", urls[1], "-o", str(tmp_path / "new.json"))
            assert made.exit_code == 0, made.output
            before = Snapshot.from_bytes((folders[0] / "p.json").read_bytes())
            assert await reference_in_use(one) == await reference_in_use(two) == before.identity
        new = Snapshot.from_bytes((tmp_path / "new.json").read_bytes())
        assert new.schema == before.schema
        assert new.provenance["records"] == 250
        assert new.provenance["sources"] == ["window fast of stream s, 2 daemons"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "told"),
    [
        (PROMOTE, b"{}", {}, 415, "send application/json"),
        (PROMOTE, b"{}", {"content-type": "text/plain"}, 415, "send application/json"),
        (PROMOTE, b" " * 5000, {"content-type": "application/json"}, 413, "larger than 4096 bytes"),
        (PROMOTE, b"[]", {"content-type": "application/json"}, 400, "send a JSON object"),
        (PROMOTE, b'{"windw": "x"}', {"content-type": "application/json"}, 400, "window, by, reason"),
        (PROMOTE, b'{"window": "x"}', {"content-type": "application/json"}, 409, "there is no window x"),
        (PROMOTE, b"{}", {"content-type": "application/json"}, 409, "window fast is empty"),
        (PROMOTE.replace("/s/", "/t/"), b"{}", {"content-type": "application/json"}, 404, "there is no stream 't'"),
        (PROMOTE.replace("/s/", "/w/"), b"{}", {"content-type": "application/json"}, 409, "is no file of this machine"),
    ],
)
def test_what_cannot_be_promoted_changes_nothing(
    tmp_path: Path, path: str, content: bytes, headers: dict[str, str], status: int, told: str
) -> None:
    config = ready_config(tmp_path, {"s": stream(), "w": stream(reference={"type": "warmup", "observations": 9})})
    before = (tmp_path / "p.json").read_bytes()

    async def scenario(daemon: Running) -> None:
        reply = await daemon.http.post(path, content=content, headers=headers)
        assert (reply.status_code, told in reply.json()["detail"]) == (status, True), reply.text
        assert (tmp_path / "p.json").read_bytes() == before
        assert not audit_of(tmp_path / "p.json").exists()

    within(config, scenario)


def test_a_configuration_that_was_broken_meanwhile_puts_the_old_reference_back(tmp_path: Path) -> None:
    config = ready_config(tmp_path)
    before = (tmp_path / "p.json").read_bytes()

    async def scenario(daemon: Running) -> None:
        await daemon.post(ndjson(records(50)))
        await daemon.observed(at_least=50)
        config.write_text(config.read_text() + "nonsense: 1\n")
        reply = await daemon.http.post(PROMOTE, json={})
        assert reply.status_code == 500
        assert "the old reference is in place again" in reply.json()["detail"]
        assert (tmp_path / "p.json").read_bytes() == before
        promoted, undone = map(json.loads, audit_of(tmp_path / "p.json").read_text().splitlines())
        assert (undone["from"], undone["to"]) == (promoted["to"], promoted["from"])
        assert await reference_in_use(daemon) == promoted["from"]

    within(config, scenario)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ConfigMap is read-only; the tests may run as root, who may write anywhere."""

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(promotions, "replace_reference", refuse)

    async def scenario(daemon: Running) -> None:
        await daemon.post(ndjson(records(50)))
        await daemon.observed(at_least=50)
        reply = await daemon.http.post(PROMOTE, json={})
        assert (reply.status_code, "Read-only file system" in reply.json()["detail"]) == (500, True)

    within(ready_config(tmp_path), scenario)


@pytest.mark.parametrize(
    "arguments",
    [["--from", "http://127.0.0.1:1"], ["-o", "x"], ["--from", "http://a", "-o", "x", "--url", "http://b"]],
)
def test_a_file_needs_daemons_and_daemons_a_file(arguments: list[str]) -> None:
    refused = CliRunner().invoke(command, ["reference", "promote", *arguments])
    assert refused.exit_code == 2
    assert "with -o FILE" in refused.output


def test_a_daemon_that_is_not_there_is_said() -> None:
    refused = CliRunner().invoke(command, ["reference", "promote", "--url", "http://127.0.0.1:9"])
    assert refused.exit_code == 2
    assert "is a daemon running there?" in refused.stderr
