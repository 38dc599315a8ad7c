"""What each sink sends, and what it says became of it, against a real receiver."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from driftmon import plugins
from driftmon.outward.login import Login
from driftmon.render.notice import Notice
from driftmon.sinks import alertmanager, base, log, webhook
from driftmon.sinks.base import Reject, Retry, Sink
from tests.daemon.access_kit import basic

FIRING = Notice("firing", {"alertname": "A", "feature": "x"}, {"value": "0.3", "top_bins": "x=secret 1 % -> 2 %"}, 1000)
RESOLVED = Notice("resolved", {"alertname": "A", "feature": "x"}, {"value": "0.01"}, 1000, ends_ms=2000)


def send(sink: Sink, alerts: Sequence[Notice], now_ms: int = 5000) -> None:
    async def once() -> None:
        try:
            await sink.send(alerts, now_ms)
        finally:
            await sink.close()

    asyncio.run(once())


def test_the_sinks_there_are() -> None:
    assert plugins.names("sinks") == ["alertmanager", "log", "webhook"]


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:9093", "ftp://x", "http://", "http://host:port", "//host"])
@pytest.mark.parametrize("kind", [alertmanager, webhook])
def test_an_endpoint_is_an_http_url(kind: Any, endpoint: str) -> None:
    with pytest.raises(ValueError, match="write it as http://host:port"):
        kind.Options(endpoint)


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]:9093", "[fd00:ec2::254]"])
@pytest.mark.parametrize("kind", [alertmanager, webhook])
def test_no_alert_is_posted_to_a_metadata_service(kind: Any, host: str) -> None:
    with pytest.raises(ValueError, match="hand out credentials"):
        kind.Options(f"http://{host}/latest/meta-data")


@pytest.mark.parametrize("kind", ["log", "base"])
def test_the_log_sink_needs_no_http_client(kind: str) -> None:
    """An idle daemon with the default sink does not pay 17 MB for it."""
    program = f"import sys, driftmon.sinks.{kind}; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_log_tells_labels_and_value_but_no_values_of_features(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        send(log.Sink(log.Options()), [FIRING, RESOLVED])
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "alert firing: alertname=A feature=x value=0.3"),
        ("INFO", "alert resolved: alertname=A feature=x value=0.01"),
    ]


def test_webhook_sends_one_body_for_the_batch(receiver: Any) -> None:
    send(webhook.Sink(webhook.Options(receiver.url + "/hook")), [FIRING, RESOLVED])
    ((path, headers, _),) = receiver.requests
    assert (path, headers["Content-Type"]) == ("/hook", "application/json")
    assert [alert["status"] for alert in receiver.bodies()[0]["alerts"]] == ["firing", "resolved"]
    assert "X-Driftmon-Signature" not in headers


def test_webhook_signs_time_and_body_with_the_secret_of_the_moment(receiver: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    for word in ("first", "second"):
        secret.write_text(word + "\n")
        send(webhook.Sink(webhook.Options(receiver.url, secret)), [FIRING], now_ms=1_700_000_000_123)
        _, headers, body = receiver.requests[-1]
        assert headers["X-Driftmon-Timestamp"] == "1700000000"
        expected = hmac.new(word.encode(), b"1700000000." + body, hashlib.sha256).hexdigest()
        assert headers["X-Driftmon-Signature"] == f"sha256={expected}"


def test_the_receiver_of_the_readme_takes_what_is_ours_and_nothing_else(receiver: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("word\n")
    send(webhook.Sink(webhook.Options(receiver.url, tmp_path / "secret")), [FIRING], now_ms=1_700_000_000_123)
    _, headers, body = receiver.requests[-1]
    text = (Path(__file__).parents[2] / "README.md").read_text()
    (code,) = (one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "X-Driftmon-Signature" in one)
    names: dict[str, Any] = {}
    exec(code, names)
    is_ours = names["is_from_driftmon"]
    now_s = 1_700_000_010
    assert is_ours(headers, body, b"word", now_s)
    assert not is_ours(headers, body + b" ", b"word", now_s)
    assert not is_ours(headers, body, b"another", now_s)
    assert not is_ours({**headers, "X-Driftmon-Timestamp": str(now_s)}, body, b"word", now_s)  # no new date on old news
    assert not is_ours(headers, body, b"word", now_s + 300)
    assert not is_ours({}, body, b"word", now_s)


def test_webhook_repeats_carry_the_same_key_and_other_transitions_another(receiver: Any) -> None:
    options = webhook.Options(receiver.url)
    for batch, now_ms in (([FIRING], 1), ([FIRING], 2), ([RESOLVED], 3)):
        send(webhook.Sink(options), batch, now_ms)
    first, again, other = (headers["Idempotency-Key"] for _, headers, _ in receiver.requests)
    assert first == again != other


def test_a_missing_secret_is_no_reason_to_send_unsigned(receiver: Any, tmp_path: Path) -> None:
    with pytest.raises(Retry, match="cannot read secret_file"):
        send(webhook.Sink(webhook.Options(receiver.url, tmp_path / "none")), [FIRING])
    assert receiver.requests == []


def test_redirects_are_not_followed(receiver: Any) -> None:
    receiver.replies = [(307, {"Location": receiver.url + "/elsewhere"}, "")]
    with pytest.raises(Reject, match="307"):
        send(webhook.Sink(webhook.Options(receiver.url)), [FIRING])
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_webhook_refusals_are_for_good(receiver: Any, status: int) -> None:
    receiver.replies = [(status, {}, "no such hook")]
    with pytest.raises(Reject, match=f"{status} no such hook") as caught:
        send(webhook.Sink(webhook.Options(receiver.url)), [FIRING])
    assert caught.value.refused == (FIRING,)


DATE = datetime(2026, 11, 24, 6, 0, 30, tzinfo=UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


@pytest.mark.parametrize(
    ("status", "headers", "after_s"),
    [
        (500, {}, None),
        (503, {"Retry-After": "7"}, 7.0),
        (429, {"Retry-After": "Tue, 24 Nov 2026 06:01:00 GMT", "Date": DATE}, None),
        (408, {"Retry-After": "later"}, None),
    ],
)
@pytest.mark.parametrize("kind", [alertmanager, webhook])
def test_busy_receivers_are_retried_when_they_wish(
    receiver: Any, kind: Any, status: int, headers: dict[str, str], after_s: float | None
) -> None:
    receiver.replies = [(status, headers, "")]
    with pytest.raises(Retry, match=str(status)) as caught:
        send(kind.Sink(kind.Options(receiver.url)), [FIRING])
    if "GMT" not in headers.get("Retry-After", ""):  # a date counts from the server's own, see the doctest in base
        assert caught.value.after_s == after_s


@pytest.mark.parametrize("kind", [alertmanager, webhook])
def test_nobody_there_is_retried(kind: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cure = "start the receiver, or correct `endpoint`"
    with pytest.raises(Retry, match=rf"http://127.0.0.1:{port}.*: no connection \(.+\); {cure}$"):
        send(kind.Sink(kind.Options(f"http://127.0.0.1:{port}")), [FIRING])


def test_alertmanager_gets_the_v2_array(receiver: Any, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t0ken\n")
    send(alertmanager.Sink(alertmanager.Options(receiver.url + "/", bearer_token_file=token)), [FIRING, RESOLVED])
    ((path, headers, _),) = receiver.requests
    assert (path, headers["Authorization"]) == ("/api/v2/alerts", "Bearer t0ken")
    assert receiver.bodies()[0][0]["labels"] == {"alertname": "A", "feature": "x"}


@pytest.mark.parametrize("kind", [alertmanager, webhook])
def test_a_user_logs_in_with_the_password_of_the_moment(kind: Any, receiver: Any, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    sink = kind.Options(receiver.url, username="me", password_file=secret)
    for word in ("first", "second"):
        secret.write_text(word + "\n")
        send(kind.Sink(sink), [FIRING])
        assert receiver.requests[-1][1]["Authorization"] == basic("me", word)["Authorization"]
    secret.unlink()
    with pytest.raises(Retry, match="cannot read password_file"):  # not sent without it
        send(kind.Sink(sink), [FIRING])
    assert len(receiver.requests) == 2


def test_of_a_refusal_without_end_a_beginning_is_read(receiver: Any) -> None:
    receiver.replies = [(500, {}, "x" * 50_000_000)]
    with pytest.raises(Retry) as raised:
        send(webhook.Sink(webhook.Options(receiver.url)), [FIRING])
    assert len(str(raised.value)) < 300


def named(*names: str) -> list[Notice]:
    return [Notice("firing", {"alertname": name}) for name in names]


def test_one_poison_alert_costs_only_itself(receiver: Any) -> None:
    receiver.refuses = "poison"
    batch = named(*"abcdefg", "poison", *"hijklmno", "poison too")
    with pytest.raises(Reject) as caught:
        send(alertmanager.Sink(alertmanager.Options(receiver.url)), batch)
    assert [notice.labels["alertname"] for notice in caught.value.refused] == ["poison", "poison too"]
    bodies = (
        body for body, (_, _, raw) in zip(receiver.bodies(), receiver.requests, strict=True) if b"poison" not in raw
    )
    taken = {alert["labels"]["alertname"] for body in bodies for alert in body}
    assert taken == set("abcdefghijklmno")


def test_a_label_name_alertmanager_refuses_is_not_even_sent(receiver: Any) -> None:
    bad = Notice("firing", {"alertname": "b", "my-label": "x"})
    with pytest.raises(Reject, match="no label named 'my-label'") as caught:
        send(alertmanager.Sink(alertmanager.Options(receiver.url)), [*named("a"), bad])
    assert caught.value.refused == (bad,)
    assert [[alert["labels"]["alertname"] for alert in body] for body in receiver.bodies()] == [["a"]]


@pytest.mark.parametrize("status", [401, 403, 404, 415])
def test_a_wrong_token_or_path_loses_no_alert(receiver: Any, status: int) -> None:
    receiver.replies = [(status, {}, "")]
    with pytest.raises(Retry, match=str(status)):
        send(alertmanager.Sink(alertmanager.Options(receiver.url)), named("a", "b"))


def test_an_alertmanager_that_goes_away_while_bisecting_is_retried(receiver: Any) -> None:
    receiver.replies = [(400, {}, ""), (200, {}, ""), (503, {}, "")]
    with pytest.raises(Retry, match="503"):
        send(alertmanager.Sink(alertmanager.Options(receiver.url)), named("a", "b"))


async def _post(url: str) -> None:
    async with base.client(Login()) as http:
        await base.post(http, url, b"{}", {}, Login())


def test_what_is_logged_of_a_failed_send_holds_no_credential() -> None:
    """A webhook's path is its password."""
    with pytest.raises(base.Retry) as raised:
        asyncio.run(_post("http://me:pw@127.0.0.1:9/hook/s3cret?token=t"))
    assert str(raised.value).startswith("http://127.0.0.1:9/<redacted>: ")
    assert not {"pw", "s3cret", "token"} & set(str(raised.value).replace("/", " ").replace(":", " ").split())
