"""What the two listeners answer: report, metrics, probes, reload; HEAD everywhere; one shape for errors."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from driftmon.daemon.openapi import OPENAPI
from driftmon.daemon.routes import api_app, web_app
from driftmon.daemon.site import Site
from driftmon.monitor.snapshot import Snapshot
from driftmon.render.catalogue import METRICS
from tests.daemon.kit import RULE, ndjson, ready_config, records, running, stream, write_config


def paths(app: Any) -> set[str]:
    return {route.path.replace(":path}", "}") for route in app.routes}


def test_openapi_describes_the_routes_there_are() -> None:
    class Anything:
        def __getattr__(self, name: str) -> Any:
            return lambda request: None

    anything: Any = Anything()
    site = Site(anything)
    assert paths(api_app(anything, anything, anything, site)) == set(OPENAPI["paths"])
    assert paths(web_app(anything)) == {"/metrics", "/-/healthy", "/-/ready"}


def test_everything_that_reads_answers_get_and_head(tmp_path: Path) -> None:
    seen = ("/", "/metrics", "/-/healthy", "/-/ready", "/openapi.json", "/api/v1/report", "/api/v1/alerts")
    of_stream = ("/api/v1/streams/s/features/x", "/api/v1/streams/s/snapshot")

    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            for path in (*seen, *of_stream):
                got, head = await daemon.http.get(path), await daemon.http.head(path)
                assert (got.status_code, head.status_code) == (200, 200), path
                assert got.headers["content-type"] == head.headers["content-type"]
                assert (head.content, bool(got.content)) == (b"", True)
            assert (await daemon.http.head("/api/v1/ingest/s")).status_code == 200
            assert (await daemon.http.head("/api/v1/ingest/none")).status_code == 404

    asyncio.run(scenario())


def test_the_web_listener_shows_metrics_and_probes_and_nothing_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path), reload_over_http=True) as daemon:
            for path in ("/metrics", "/-/healthy", "/-/ready"):
                assert (await daemon.web.get(path)).status_code == 200
            for path in ("/api/v1/report", "/api/v1/streams/s/snapshot", "/-/reload", "/openapi.json"):
                assert (await daemon.web.get(path)).status_code == 404
            assert (await daemon.web.post("/api/v1/ingest/s", content=b"{}")).status_code == 404

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/nothing", 404, "GET /nothing: Not Found"),
        ("DELETE", "/api/v1/report", 405, "Method Not Allowed"),
        ("GET", "/api/v1/streams/none/features/x", 404, "there is no stream 'none'; there are s"),
        ("GET", "/api/v1/streams/s/features/y", 404, "stream s has no feature 'y'; there are x, c, ok"),
        ("GET", "/api/v1/streams/none/snapshot", 404, "there is no stream 'none'; there are s"),
        ("POST", "/-/reload", 403, "start with --web.enable-lifecycle, or send SIGHUP"),
    ],
)
def test_errors_are_problems(tmp_path: Path, method: str, path: str, status: int, detail: str) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            reply = await daemon.http.request(method, path)
            assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
            assert detail in reply.json()["detail"]

    asyncio.run(scenario())


def test_drift_shows_in_report_alerts_feature_and_metrics_alike(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            await daemon.post(ndjson(records(1000, shift=2.0)))
            feature = await daemon.observed(at_least=1000)
            report = (await daemon.http.get("/api/v1/report")).json()
            (alert,) = (await daemon.http.get("/api/v1/alerts")).json()["alerts"]
            assert report["alerts"] == [alert]
            assert (alert["rule"], alert["state"], alert["stream"], alert["feature"]) == ("Drift", "firing", "s", "x")
            window = report["streams"]["s"]["features"]["x"]["windows"]["fast"]
            assert window == feature["windows"]["fast"]
            line = 'driftmon_kl_divergence_debiased_nats{stream="s",feature="x",window="fast"}'
            assert await daemon.metric(line) == window["kl_divergence_debiased_nats"]
            line = 'driftmon_alert_state{stream="s",feature="x",window="fast",rule="Drift",severity="warning"}'
            assert await daemon.metric(line) == 2

    asyncio.run(scenario())


def test_metrics_are_of_the_catalogue_in_its_order_and_negotiated(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            text = await daemon.web.get("/metrics")
            assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            declared = [line.split()[2] for line in text.text.splitlines() if line.startswith("# TYPE")]
            assert declared == [name for name in METRICS if name in declared]
            assert {family.name for family in text_string_to_metric_families(text.text)}
            assert "driftmon_ingest_records_total" in declared  # at 0, before the first record
            om = await daemon.web.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
            assert om.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
            assert om.text.endswith("# EOF\n")
            assert om.headers["content-encoding"] == "gzip"
            plain = await daemon.web.get("/metrics", headers={"Accept-Encoding": "identity"})
            assert "content-encoding" not in plain.headers

    asyncio.run(scenario())


def test_a_snapshot_is_mergeable_and_the_daemon_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            await daemon.post(ndjson(records(30)))
            found = Snapshot.from_bytes((await daemon.http.get("/api/v1/streams/s/snapshot")).content)
            assert found.merge(found).counts.sum() == 2 * found.counts.sum() == 2 * 3 * 30

    asyncio.run(scenario())


def test_a_stream_that_gathers_its_reference_says_so_and_then_watches(tmp_path: Path) -> None:
    warming = stream(reference={"type": "warmup", "observations": 100})
    config = write_config(tmp_path, {"s": warming})

    async def scenario() -> None:
        async with running(config) as daemon:
            await daemon.post(ndjson(records(60)))
            refused = await daemon.http.get("/api/v1/streams/s/snapshot")
            assert (refused.status_code, refused.json()["title"]) == (409, "Conflict")
            assert (await daemon.http.get("/api/v1/streams/s/features/x")).json()["status"] == "warming_up"
            reply = (await daemon.post(ndjson(records(100, seed=1)))).json()
            assert reply["accepted"] == 100
            assert (await daemon.observed(at_least=60))["observations_total"] == 60

    asyncio.run(scenario())


def test_a_reload_is_all_or_nothing(tmp_path: Path) -> None:
    config = ready_config(tmp_path)

    async def scenario() -> None:
        async with running(config, reload_over_http=True) as daemon:
            await daemon.post(ndjson(records(200)))
            good = config.read_text()
            config.write_text(good + "nonsense: 1\n")
            refused = await daemon.http.post("/-/reload")
            assert refused.status_code == 500
            assert "nonsense: unknown key" in refused.json()["detail"]
            assert await daemon.metric("driftmon_config_last_reload_successful") == 0
            assert (await daemon.post(ndjson(records(1)))).status_code == 202
            write_config(tmp_path, {"s": stream()}, rules=[{**RULE, "name": "Other"}])
            assert (await daemon.http.put("/-/reload")).status_code == 200
            assert await daemon.metric("driftmon_config_last_reload_successful") == 1
            assert (await daemon.observed(at_least=201))["observations_total"] == 201
            assert 'rule="Other"' in (await daemon.web.get("/metrics")).text

    asyncio.run(scenario())


def test_a_stream_that_a_reload_removes_is_gone_and_a_new_one_is_there(tmp_path: Path) -> None:
    config = ready_config(tmp_path)

    async def scenario() -> None:
        async with running(config, reload_over_http=True) as daemon:
            write_config(tmp_path, {"t": stream()})
            assert (await daemon.http.post("/-/reload")).status_code == 200
            assert (await daemon.post(b"{}")).status_code == 404
            assert (await daemon.post(b"{}", to="t")).status_code == 202
            await daemon.observed(at_least=1, name="t")
            assert list((await daemon.http.get("/api/v1/report")).json()["streams"]) == ["t"]

    asyncio.run(scenario())


def test_the_index_links_to_what_there_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            page = (await daemon.http.get("/")).text
            assert "/api/v1/ingest/s" in page
            assert json.loads((await daemon.http.get("/openapi.json")).text)["openapi"] == "3.1.0"

    asyncio.run(scenario())
