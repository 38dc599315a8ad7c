"""Where the daemon listens: who may reach it, and what is said where it cannot."""

import socket
from pathlib import Path

import pytest

from driftmon.daemon.addresses import Address, AddressError, bind, bound, parse
from driftmon.daemon.process import Process, bind_all, forget_paths, refuse_open_api


@pytest.mark.parametrize(
    ("text", "address", "local"),
    [
        (":10517", Address("", 10517), False),
        ("127.0.0.1:0", Address("127.0.0.1", 0), True),
        ("127.8.8.8:1", Address("127.8.8.8", 1), True),
        ("localhost:1", Address("localhost", 1), True),
        ("[::1]:80", Address("::1", 80), True),
        ("[::]:80", Address("::", 80), False),
        ("0.0.0.0:80", Address("0.0.0.0", 80), False),
        ("db.example:80", Address("db.example", 80), False),
        ("unix:/run/d.sock", Address(path=Path("/run/d.sock")), True),
    ],
)
def test_an_address_is_read_and_written(text: str, address: Address, local: bool) -> None:
    assert parse(text) == address
    assert str(address) == text
    assert address.is_local is local


@pytest.mark.parametrize(
    "text", ["", "10517", "host", "host:", "host:x", "host:70000", "::1:80", "unix:", "host:-1", "host:٣"]
)
def test_what_is_no_address_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(AddressError, match=r"is no address; write host:port, :port, \[v6\]:port or unix:/path"):
        parse(text)


def test_the_api_is_open_to_others_only_if_somebody_said_so() -> None:
    refuse_open_api((parse("127.0.0.1:1"), parse("unix:/a"), parse("[::1]:1")))
    with pytest.raises(AddressError, match=r"0\.0\.0\.0:1 is reachable from other machines"):
        refuse_open_api((parse("127.0.0.1:1"), parse("0.0.0.0:1")))


def test_every_interface_means_both_families() -> None:
    with bind(parse(":0")) as opened:
        port = opened.getsockname()[1]
        assert bound(parse(":0"), opened) == f"http://127.0.0.1:{port}"
        with socket.create_connection(("127.0.0.1", port)):
            pass


def test_an_address_in_use_is_named_and_nothing_stays_bound(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = Address("127.0.0.1", other.getsockname()[1])
        sock = parse(f"unix:{tmp_path / 'a.sock'}")
        with pytest.raises(AddressError, match=rf"cannot listen on {taken}: Address already in use; .* \(--api.listen"):
            bind_all(Process(tmp_path, (sock,), (taken,)))
        again = bind_all(Process(tmp_path, (sock,), ()))
        again["web"][0][1].close()


def test_unix_sockets_are_removed_in_the_end(tmp_path: Path) -> None:
    process = Process(tmp_path, (), (parse(f"unix:{tmp_path / 'a.sock'}"),))
    bind_all(process)["api"][0][1].close()
    forget_paths(process)
    assert list(tmp_path.iterdir()) == []
