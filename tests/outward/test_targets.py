"""Which addresses nothing is sent to, in every notation that a resolver or a person may write."""

import pytest

from driftmon.outward.targets import forbidden, literal

ALLOWED = ["127.0.0.1", "::1", "10.0.0.1", "172.16.9.9", "192.168.0.7", "100.64.0.1", "fd12:3456::1", "8.8.8.8",
           "2606:4700::1111", "::ffff:127.0.0.1"]  # fmt: skip
FORBIDDEN = {
    "link-local": ["169.254.0.1", "169.254.169.254", "169.254.170.2", "fe80::1", "febf::1", "fe80::1%lo"],
    "metadata": ["fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "100.100.100.200", "168.63.129.16"],
    "link-local ": ["::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
                   "::169.254.169.254"],  # IPv4 within IPv6
    "metadata ": ["::ffff:100.100.100.200"],
    "no address of a host": ["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "::ffff:224.0.0.1"],
    "reserved": ["240.0.0.1", "255.255.255.255"],
}  # fmt: skip


@pytest.mark.parametrize("address", ALLOWED)
def test_neighbours_and_the_world_may_be_asked(address: str) -> None:
    assert forbidden(address) == ""


@pytest.mark.parametrize(("reason", "address"), [(why, one) for why, all_ in FORBIDDEN.items() for one in all_])
def test_nothing_is_sent_to(reason: str, address: str) -> None:
    assert reason.strip() in forbidden(address)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"]
)
def test_an_address_is_known_in_any_notation(host: str) -> None:
    assert literal(host) == "169.254.169.254"
