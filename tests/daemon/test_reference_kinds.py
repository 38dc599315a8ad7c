"""Configured references of every kind, at work: through a restart, a reload, and a champion that comes late."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftmon.daemon.cautions import cautions
from driftmon.daemon.config import load
from driftmon.daemon.faults import ConfigError
from driftmon.daemon.on_disk import load_references
from driftmon.daemon.streams import Stream, build_streams
from driftmon.monitor.report import Report, Status
from driftmon.monitor.slots import HOUR_MS
from driftmon.sources.base import Block, Settled
from tests.daemon.kit import ndjson, records, running, stream, write_config, write_reference

MINUTE = 60_000
FILE = {"type": "file", "path": "p.json"}


def built(folder: Path, streams: dict[str, Any], **more: Any) -> dict[str, Stream]:
    """Streams as the daemon makes them of a configuration; p.json is there."""
    config = load(write_config(folder, streams, **more), {})
    for name, settings in config.streams.items():
        if settings.reference.path is not None and not settings.reference.path.exists():
            write_reference(config.path, name=name)
    return build_streams(config, load_references(config))


def send(one: Stream, rows: Sequence[Any], at_ms: int) -> Settled:
    return one.observe(Block(one.settings.name, "http", "ndjson", ndjson(rows)), at_ms)


def minutes(one: Stream, first: int, last: int, shift: float = 0.0) -> Report:
    for minute in range(first, last):
        send(one, records(30, shift=shift, seed=minute), minute * MINUTE)
        report = one.tick(minute * MINUTE)
    return report


def restarted(one: Stream, other: Stream) -> Stream:
    saved = one.saved()
    assert saved is not None
    other.restore(saved)
    return other


def test_a_trailing_reference_chooses_bins_from_the_first_rows_and_then_grows_old(tmp_path: Path) -> None:
    kind = stream(reference={"type": "trailing", "length": "1h"})
    one = built(tmp_path, {"s": kind})["s"]
    assert one.settings.reference.lag_ms == HOUR_MS  # the longest window
    send(one, records(2047), 0)
    assert one.reference is None
    young = minutes(one, 0, 30)
    assert young.statuses["x"] is Status.WARMING_UP
    assert young.reference_source == "the 1h before the last 1h"
    old = minutes(one, 30, 125)
    assert int(old.pairs[0].reference_total[0]) == 60 * 30
    again = restarted(one, built(tmp_path, {"s": kind})["s"])
    np.testing.assert_array_equal(again.tick(124 * MINUTE).values, old.values)


def test_a_trailing_reference_with_a_file_compares_from_the_first_record(tmp_path: Path) -> None:
    one = built(tmp_path, {"s": stream(reference={"type": "trailing", "length": "2h", "lag": "0s", "path": "p.json"})})[
        "s"
    ]
    assert int(minutes(one, 0, 5).pairs[0].reference_total[0]) == 2000


def test_a_seasonal_warm_up_lasts_a_day_and_survives_a_restart(tmp_path: Path) -> None:
    kind = stream(reference={"type": "seasonal", "slots": "hour_of_day", "observations": 100})
    one = built(tmp_path, {"s": kind})["s"]
    for hour in range(25):
        shift = 1.0 if hour % 24 < 12 else -1.0  # which would be unstable were it not for the hours
        send(one, records(400, shift=shift, seed=hour), hour * HOUR_MS)
    for hour in (25, 26):
        send(one, records(400, shift=1.0, seed=100 + hour), hour * HOUR_MS)
        report = one.tick(hour * HOUR_MS)
    assert report.value(0, 0, "kl_divergence_debiased") < 0.05
    assert int(report.pairs[0].reference_total[0]) == 400
    again = restarted(one, built(tmp_path, {"s": kind})["s"])
    np.testing.assert_array_equal(again.tick(26 * HOUR_MS).values, report.values)
    weekly = stream(reference={"type": "seasonal", "slots": "hour_of_week", "observations": 100})
    assert restarted(one, built(tmp_path, {"s": weekly})["s"]).reference is None  # gathered by other hours


def test_a_file_without_the_hours_asked_for_is_refused(tmp_path: Path) -> None:
    seasonal = {"type": "seasonal", "slots": "hour_of_day", "path": "p.json"}
    with pytest.raises(
        ConfigError, match=r"no counts by hour, slots: hour_of_day is configured; make it again: driftmon"
    ):
        built(tmp_path, {"s": stream(reference=seasonal, time={"field": "at"})})


def canary(**more: Any) -> dict[str, Any]:
    return stream(reference={"type": "stream", "stream": "champion"}, **more)


def test_a_canary_is_ticked_after_its_champion_and_compared_with_it(tmp_path: Path) -> None:
    streams = built(tmp_path, {"canary": canary(), "champion": stream()})
    assert list(streams) == ["champion", "canary"]
    champion, other = streams["champion"], streams["canary"]
    for minute in range(70):
        send(champion, records(40, shift=3.0, seed=minute), minute * MINUTE)
        send(other, records(20, shift=3.0, seed=1000 + minute), minute * MINUTE)
        reports = {name: one.tick(minute * MINUTE) for name, one in streams.items()}
    assert [alert.feature for alert in reports["champion"].alerts] == ["x"]
    assert reports["canary"].alerts == ()
    np.testing.assert_array_equal(reports["canary"].pairs[0].reference, reports["champion"].pairs[0].live)
    assert [alert.feature for alert in minutes(other, 70, 75, shift=-3.0).alerts] == ["x"]


def test_a_canary_waits_for_a_champion_that_warms_up(tmp_path: Path) -> None:
    warm = stream(reference={"type": "warmup", "observations": 100})
    streams = built(tmp_path, {"champion": warm, "canary": canary()})
    champion, other = streams["champion"], streams["canary"]
    assert send(other, records(10), 0).accepted == 10
    report = other.tick(0)
    assert (report.statuses["x"], other.saved()) == (Status.WARMING_UP, None)
    assert "warmup" not in report.as_dict()["streams"]["canary"]
    send(champion, records(150), 0)
    send(other, records(50), 0)
    champion.tick(0)
    report = other.tick(0)
    assert (int(report.pairs[0].live_total[0]), int(report.pairs[0].reference_total[0])) == (50, 50)


def test_a_reload_binds_a_canary_to_the_new_champion_and_keeps_its_counts(tmp_path: Path) -> None:
    old = built(tmp_path, {"champion": stream(), "canary": canary()})
    for one in old.values():
        send(one, records(200), 0)
        one.tick(0)
    new = built(tmp_path, {"champion": stream(sources=[{"type": "stdin"}]), "canary": canary()})
    for name, one in new.items():
        one.succeed(old[name])
    send(new["champion"], records(100, seed=1), 0)
    new["champion"].tick(0)
    report = new["canary"].tick(0)
    assert (int(report.pairs[0].live_total[0]), int(report.pairs[0].reference_total[0])) == (200, 300)


def test_a_restart_gives_a_canary_its_counts_and_alerts_back(tmp_path: Path) -> None:
    old = built(tmp_path, {"champion": stream(), "canary": canary()})
    send(old["champion"], records(300), 0)
    send(old["canary"], records(300, shift=3.0), 0)
    before = [one.tick(0) for one in old.values()][1]
    new = built(tmp_path, {"champion": stream(), "canary": canary()})
    for name, one in new.items():
        restarted(old[name], one)
    after = [one.tick(0) for one in new.values()][1]
    np.testing.assert_array_equal(after.values, before.values)
    assert ([alert.feature for alert in after.alerts], after.changes) == (["x"], ())


def test_a_champion_with_other_bins_takes_its_canary_along(tmp_path: Path) -> None:
    """The champion's numeric bins differ with its reference; only what still means the same is kept."""
    old = built(tmp_path, {"champion": stream(), "canary": canary()})
    send(old["canary"], records(200), 0)
    (tmp_path / "p.json").unlink()
    config = load(tmp_path / "driftmon.yaml", {})
    write_reference(config.path, rows=5000, name="champion")
    new = build_streams(config, load_references(config))
    for name, one in new.items():
        one.succeed(old[name])
    report = new["canary"].tick(0)
    assert report.schema == new["champion"].tick(0).schema
    kept = dict(zip(report.schema.names, report.pairs[0].live_total.tolist(), strict=True))
    assert (kept["x"], kept["ok"]) == (0, 200)


def test_an_unstable_warm_up_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = built(tmp_path, {"s": stream(reference={"type": "warmup", "observations": 8000})})["s"]
    with caplog.at_level(logging.WARNING):
        for part in range(8):
            send(one, records(1000, shift=float(part >= 4), seed=part), 0)
    assert [record.name for record in caplog.records] == ["driftmon.streams"]
    assert "stream s: the warm-up found its own reference unstable and begins again: x: its second half" in caplog.text
    assert one.tick(0).restarts == 1
    assert one.tick(0).statuses["x"] is Status.WARMING_UP


def warnings(folder: Path, reference: dict[str, Any], **more: Any) -> list[str]:
    """Those about the reference."""
    streams = {"champion": stream(), "s": stream(reference=reference, **more)}
    calibrated = {"name": "R", "calibrated": {"false_alarms": "1/30d"}}
    config = load(write_config(folder, streams, rules=[calibrated]), {})
    write_reference(config.path, name="champion")
    return [str(found) for found in cautions(config, load_references(config)) if "streams.s.reference" in str(found)]


def test_what_a_moving_reference_cannot_promise_is_said(tmp_path: Path) -> None:
    trailing, lag = warnings(tmp_path, {"type": "trailing", "length": "1d", "lag": "30m"})
    assert "streams.s.reference.type: a trailing reference follows the stream" in trailing
    assert "false_alarms of calibrated rules is not promised on it; use file, warmup or seasonal" in trailing
    assert "30m is shorter than window fast, so live data is part of its own reference; use 1h or more" in lag
    (other,) = warnings(tmp_path, {"type": "stream", "stream": "champion"})
    assert "a stream reference is live itself" in other


def test_a_running_daemon_shows_a_canary_beside_its_champion(tmp_path: Path) -> None:
    young = stream(reference={"type": "trailing", "length": "1h"})
    config = write_config(tmp_path, {"canary": canary(), "champion": stream(), "young": young})
    write_reference(config, name="champion")

    async def scenario() -> None:
        async with running(config, reload_over_http=True) as daemon:
            await daemon.post(ndjson(records(300)), to="champion")
            await daemon.post(ndjson(records(200, shift=2.0)), to="canary")
            await daemon.post(ndjson(records(3000)), to="young")
            await daemon.observed(at_least=300, name="champion")
            seen = await daemon.observed(at_least=200, name="canary")
            assert sum(entry["reference"] for entry in seen["windows"]["fast"]["bins"]) == 300
            await daemon.observed(at_least=3000 - 2048, name="young")
            assert await daemon.metric('driftmon_feature_status_code{stream="young",feature="x"}') == Status.WARMING_UP
            assert await daemon.metric('driftmon_feature_status_code{stream="canary",feature="x"}') == Status.DRIFT
            assert (await daemon.http.post("/-/reload")).status_code == 200
            again = await daemon.observed(at_least=200, name="canary")
            assert again["status"] == "drift"

    asyncio.run(scenario())
