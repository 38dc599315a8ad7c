"""The client of the inference path: it never waits, never raises, and every record is sent, dropped or waiting."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

import driftmon
from driftmon.cli.support.counting import reference
from driftmon.cli.support.inputs import input_of
from driftmon.cli.support.records import Refusals
from driftmon.client import HEAVY, Client, _weight
from driftmon.daemon.config import load
from driftmon.delivery import deliver
from tests.daemon.kit import ndjson
from tests.daemon.test_app import DEADLINE_S, started

README = (Path(__file__).parents[1] / "README.md").read_text()
Answer: TypeAlias = tuple[int, dict[str, str], dict[str, Any] | bytes]
CUT = 0  # as an answer: the connection is closed without one
STALL = {"Stall": "yes"}  # as its headers: the body comes once another request was answered


class Scripted:
    """A server that gives these answers, (status, headers, body), one after the other, then counts all as accepted."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers, self.heads, self.records = answers, list[dict[str, str]](), list[Any]()
        self.url, self.answered = "", threading.Event()

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        rows = [json.loads(line) for line in body.splitlines()]
        self.heads.append({**handler.headers, "path": handler.path, "rows": str(len(rows))})
        status, headers, answer = self.answers.pop(0) if self.answers else (200, {}, {"rejected": 0})
        if status == CUT:
            handler.close_connection = True
            return
        if status == 200:
            self.records += rows
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if headers is STALL:
            self.answered.wait(DEADLINE_S)
        handler.wfile.write(data)
        self.answered.set()


@contextmanager
def scripted(*answers: Answer) -> Iterator[Scripted]:
    script = Scripted(list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            script.take(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
            """Silence."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield script
        server.shutdown()


def waited_for(met: Callable[[], bool]) -> None:
    end_s = time.monotonic() + DEADLINE_S
    while not met():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def test_it_loads_the_standard_library_only() -> None:
    heavy = "{'numpy', 'msgspec', 'httpx', 'scipy', 'click'}"
    code = f"import sys, driftmon; driftmon.Client('unix:/x', 's'); assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_busy_daemon_is_asked_again_later_with_the_same_key() -> None:
    busy: list[Answer] = [(429, {"Retry-After": "0"}, {}), (503, {}, {}), (CUT, {}, {}), (200, {}, {"rejected": 1})]
    with scripted(*busy) as server, Client(server.url, "a.b", token="secret") as client:
        for number in range(10):
            client.log({"n": number})
        assert client.close(DEADLINE_S)
        assert (client.sent, client.dropped, client.waiting) == (9, {"refused": 1}, 0)
        assert server.records == [{"n": number} for number in range(10)]
        assert len({head["Idempotency-Key"] for head in server.heads}) == 1
        head = server.heads[0]
        assert (head["path"], head["Authorization"]) == ("/api/v1/ingest/a.b", "Bearer secret")


def test_what_is_too_much_for_the_daemon_is_sent_in_halves_with_keys_of_their_own() -> None:
    large: Answer = (413, {}, {"detail": "too large"})
    with scripted(
        large, (200, {}, {"rejected": 0}), large, (400, {}, {"rejected": 1, "errors": [{}]}), large
    ) as server:
        client = Client(server.url, "s")
        for number in range(4):
            client.log({"n": number})
        assert client.close(DEADLINE_S)
        assert (client.sent, client.dropped) == (2, {"refused": 1, "too_large": 1})
        assert [int(head["rows"]) for head in server.heads] == [4, 2, 2, 1, 1]
        assert len({head["Idempotency-Key"] for head in server.heads}) == 5


def test_no_record_is_odd_enough_to_raise() -> None:
    class Evil:
        def item(self) -> object:
            raise RuntimeError("not today")

    loop: dict[str, Any] = {}
    loop["self"] = loop
    odd: list[Any] = [None, 7, [1, 2], "text", object(), {"x": Evil()}, {"x": b""}, {(1, 2): 3}, {"x": loop}]
    good = {
        "f": np.float32(0.5),
        "i": np.int64(7),
        "t": datetime(2026, 1, 2, tzinfo=UTC),
        "d": Decimal("1.5"),
        "n": None,
    }
    with scripted() as server, Client(server.url, "s") as client:
        for record in [*odd, {"x": "y" * 70_000}, good]:
            client.log(record)
        assert client.close(DEADLINE_S)
        assert (client.sent, client.dropped) == (1, {"unreadable": len(odd), "too_large": 1})
        assert server.records == [{"f": 0.5, "i": 7, "t": "2026-01-02T00:00:00+00:00", "d": 1.5, "n": None}]
        client.log(good)
        assert client.dropped["closed"] == 1


def test_a_full_queue_drops_and_a_daemon_that_is_away_holds_nobody_up() -> None:
    client = Client("unix:/nowhere/driftmon.sock", "s", capacity=10)
    for number in range(5000):
        client.log({"n": number})
    assert client.dropped["full"] + client.waiting == 5000
    assert not client.close(0)
    assert sum(client.dropped.values()) == 5000
    assert client.waiting == 0


ODD: list[Answer] = [
    (200, {}, {"rejected": None}),
    (200, {}, {"rejected": [1]}),
    (200, {}, {"rejected": float("nan")}),
    (200, {}, b"[" * 200_000),
    (200, {}, b"<html>"),
    (201, {}, {"accepted": 1}),
]


@pytest.mark.parametrize("answer", ODD, ids=lambda answer: str(answer[2])[:20])
def test_a_sender_outlives_an_answer_that_does_not_say_what_was_counted(answer: Answer) -> None:
    with scripted(answer) as server:
        client = Client(server.url, "s")
        client.log({"n": 0})
        waited_for(lambda: client.dropped == {"unconfirmed": 1})
        client.log({"n": 1})
        assert client.close(DEADLINE_S)
        assert (client.sent, client.dropped, client.waiting) == (1, {"unconfirmed": 1}, 0)


def test_errors_of_any_shape_are_told_and_a_multi_status_is_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    odd: list[Answer] = [
        (200, {}, {"rejected": 1, "errors": {"a": 1}}),
        (400, {}, {"detail": "bad", "errors": ["line 7"]}),
        (207, {}, {"rejected": 1}),
        (200, {}, {"rejected": -3}),
        (200, {}, {"rejected": 10**9}),
    ]
    with scripted(*odd) as server:
        client = Client(server.url, "s")
        refused = [1, 2, 3, 3, 4]
        for number, drops in enumerate(refused):
            client.log({"n": number})
            waited_for(lambda: client.waiting == 0)
            assert client.dropped == {"refused": drops}
            client._told_s.clear()
        assert client.close(DEADLINE_S)
        assert "HTTP 400 bad line 7" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_that_nobody_thought_of_costs_one_batch_and_a_dead_sender_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults = [ZeroDivisionError("of a new kind"), SystemExit()]

    def failing(*given: Any) -> Any:
        if faults:
            raise faults.pop(0)
        return deliver(*given)

    monkeypatch.setattr(driftmon.client, "deliver", failing)
    with scripted() as server:
        client = Client(server.url, "s")
        client.log({"n": 0})
        waited_for(lambda: client.dropped == {"unconfirmed": 1})
        client.log({"n": 1})
        sender = client._thread
        assert sender is not None
        sender.join(DEADLINE_S)
        assert client.waiting == 1
        client.log({"n": 2})
        assert client.close(DEADLINE_S)
        assert (client.sent, client.dropped, client.waiting) == (1, {"unconfirmed": 2}, 0)
        assert server.records == [{"n": 2}]


def test_keys_without_a_repr_and_handlers_that_raise_are_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    class Key(str):
        def __repr__(self) -> str:
            raise RuntimeError("not today")

    def failing(record: logging.LogRecord) -> bool:
        raise RuntimeError(record.getMessage())

    monkeypatch.setattr(driftmon.client.log, "filters", [failing])
    with scripted() as server, Client(server.url, "s") as client:
        for value in ("x" * 70_000, 1):
            client.log({Key("k"): value})
        assert client.close(DEADLINE_S)
        assert (client.sent, client.dropped) == (1, {"too_large": 1})


@pytest.mark.parametrize("token", ["secret\n", "s\u20accret", "sec ret"])
def test_a_token_that_no_header_holds_is_refused_where_it_is_written_and_not_shown(token: str) -> None:
    with pytest.raises(ValueError, match=r"^the token has a space, a line end .* strip\(\) it") as fault:
        Client("http://localhost:1", "s", token=token)
    assert token not in str(fault.value)


@pytest.mark.parametrize(("path", "cure"), [("/x y", "/x%20y"), ("/\u00e9%20", "/%C3%A9%20")])
def test_a_path_that_no_request_holds_is_refused_with_its_cure(path: str, cure: str) -> None:
    with pytest.raises(ValueError, match=f"; write it as '{cure}'$"):
        Client(f"http://localhost:1{path}", "s")


@pytest.mark.parametrize("stream", ["a b", "", "-s", "s/t", "x" * 65, "s\u00e9", "s\n"])
def test_a_name_that_no_stream_has_is_refused_where_it_is_written(stream: str) -> None:
    with pytest.raises(ValueError, match="is no name of a stream; those have letters, digits"):
        Client("http://localhost:1", stream)


def test_long_texts_and_lists_wait_in_bounded_memory() -> None:
    client = Client("unix:/nowhere/driftmon.sock", "s")
    texts = [f"{number}" * 20_000 for number in range(10)]
    for number in range(5000):
        client.log({"text": texts[number % 10], "list": [0.5] * 100})
    assert client.dropped["full"] > 1500
    assert sum(map(_weight, list(client._waiting))) <= HEAVY
    client.log({"text": "y" * 2_000_000})
    assert client.dropped["too_large"] == 1
    client.log({"n": 1})
    client.close(0)
    assert sum(client.dropped.values()) == 5002


def test_room_for_long_texts_comes_back_when_they_are_sent() -> None:
    with scripted() as server:
        client = Client(server.url, "s")
        for _ in range(20):
            client.log({"text": "y" * 50_000})
        assert client.close(None)
        assert (client.sent, client._heavy) == (20, 0)


@pytest.mark.parametrize("timeout", [None, float("inf"), 1e10])
def test_a_close_may_take_as_long_as_it_takes(timeout: float | None) -> None:
    with scripted() as server:
        client = Client(server.url, "s", exit_timeout=None)
        client.log({"n": 1})
        assert client.close(timeout)
        assert client.sent == 1


def test_a_timeout_that_is_none_changes_nothing() -> None:
    client = Client("unix:/nowhere/driftmon.sock", "s")
    with pytest.raises(ValueError, match="a timeout must be a number of seconds, or None"):
        client.close(float("nan"))
    client.log({"n": 1})
    assert client.waiting == 1
    assert not client.close(-1)


FORKED_WHILE_READING = """
import os, signal, sys, threading, time, driftmon
client = driftmon.Client(sys.argv[1], "s")
client.log({"who": "parent"})
def calls(frame):
    while frame: yield frame.f_code.co_name; frame = frame.f_back
while not client._thread or not {"read", "readinto"} <= {*calls(sys._current_frames().get(client._thread.ident))}:
    time.sleep(0.01)
if not (child := os.fork()):
    client.log({"who": "child"})
    sys.exit(0 if client.close(60) and client.sent == 1 else 1)
for _ in range(1000):
    if (ended := os.waitpid(child, os.WNOHANG))[0]: break
    time.sleep(0.01)
else:
    os.kill(child, signal.SIGKILL)
    sys.exit("the child hangs")
sys.exit(ended[1] or not client.close(60) or client.sent != 1)
"""


def test_a_fork_while_the_sender_reads_an_answer_does_not_hang_the_child() -> None:
    with scripted((200, STALL, {"rejected": 0})) as server:
        subprocess.run([sys.executable, "-c", FORKED_WHILE_READING, server.url], check=True)
        assert sorted(row["who"] for row in server.records) == ["child", "parent"]


FORKED_WITH_A_FAULT = """
import os, sys, driftmon
clients = [driftmon.Client("unix:/nowhere", "s") for _ in range(8)]
for client in clients: client.log({"n": 1})
def fail(): raise OSError("this one cannot")
for client in clients[::2]: client._begin = fail
if not (child := os.fork()):
    os._exit(any(client.waiting for client in clients[1::2]))
status = os.waitpid(child, 0)[1]
for client in clients: client.close(0)
sys.exit(status)
"""


def test_a_client_that_fails_in_a_fork_leaves_no_other_with_what_is_the_parents() -> None:
    ended = subprocess.run([sys.executable, "-c", FORKED_WITH_A_FAULT], check=True, capture_output=True, text=True)
    assert "clients that could not begin anew after a fork (4 sub-exceptions)" in ended.stderr


FORKING = """
import os, sys, driftmon
client = driftmon.Client(sys.argv[1], "s")
for _ in range(10): client.log({"who": "parent"})
children = []
for child in range(2):
    if not (pid := os.fork()):
        for _ in range(20): client.log({"who": child})
        os._exit(0 if client.close(60) and (client.sent, client.dropped) == (20, {}) else 1)
    children.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0]
"""


def test_each_process_of_a_fork_sends_its_own_and_the_exit_what_is_left() -> None:
    with scripted() as server:
        subprocess.run([sys.executable, "-c", FORKING, server.url], check=True)
        senders = [row["who"] for row in server.records]
        assert {who: senders.count(who) for who in set(senders)} == {"parent": 10, 0: 20, 1: 20}


NOWHERE = ["payments.sock", "unix:", "ftp://host", "http://", "host:80", "http://h:99999", "http://a..b", "http://a b"]


@pytest.mark.parametrize("url", NOWHERE)
def test_an_address_that_is_none_is_refused_where_it_is_written(url: str) -> None:
    with pytest.raises(ValueError, match="is no address of a daemon; write unix:/path, http://host:port"):
        Client(url, "s")


def test_the_daemon_of_the_readme_counts_what_was_sent_over_kill_minus_nine(tmp_path: Path) -> None:
    """One stream over the Unix socket; the daemon is killed in the middle and comes back; a full queue drops."""
    section = README.partition("### From the inference path\n")[2].partition("\n### ")[0]
    (yaml,) = re.findall(r"^```yaml\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    config = tmp_path / "driftmon.yaml"
    config.write_text(yaml.replace("    features:", "    tick: 100ms\n    features:"))
    rows = [{"amount": number % 97 / 7, "country": "DEFR"[number % 2 * 2 :][:2]} for number in range(3000)]
    (tmp_path / "rows.ndjson").write_bytes(ndjson(rows))
    settings = load(config, {}).streams["payments"]
    built = reference([input_of(str(tmp_path / "rows.ndjson"))], settings, Refusals())
    (tmp_path / "payments.reference.json").write_bytes(built.to_bytes())
    flags = ("--storage.path", str(tmp_path / "state"), "--api.listen-address", f"unix:{tmp_path / 'api.sock'}")
    client = driftmon.Client(f"unix:{tmp_path / 'api.sock'}", stream="payments", capacity=len(rows))
    with started(config, *flags) as daemon:
        for row in rows:
            client.log(row)
        daemon.wait(lambda: client.sent > 0)
        daemon.process.kill()
        daemon.process.wait()
    for row in [*rows, *rows]:
        client.log(row)
    assert client.dropped["full"] > 0
    with started(config, *flags) as daemon:
        assert client.close(DEADLINE_S)
        assert client.sent == 3 * len(rows) - client.dropped["full"]
        assert client.dropped.keys() == {"full"}
        daemon.wait_for_metric('driftmon_observations_total{stream="payments",feature="amount"}', float(client.sent))
