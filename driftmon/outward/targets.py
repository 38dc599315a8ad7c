"""Targets: which addresses may be asked at all, and what a name stands for right now.

Law: where clouds hand out credentials nothing is sent, whatever name, notation or DNS answer leads there. Loopback
and private networks are allowed: that is where a sidecar's neighbours are.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]

# Metadata services outside the link-local networks.
METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        ("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    )
)
NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
COMPATIBLE: Final = ipaddress.ip_network("::/96")  # ::a.b.c.d, without the two addresses that are none
ZERO: Final = ipaddress.ip_network("0.0.0.0/8")  # "this host"; Linux takes it for loopback
ITSELF: Final = (ipaddress.ip_address("::"), ipaddress.ip_address("::1"))


def forbidden(text: str) -> str:
    """Why nothing is sent to this address; empty where it may be.

    >>> forbidden("127.0.0.1"), forbidden("10.0.0.7"), forbidden("fd12::1")
    ('', '', '')
    >>> forbidden("::ffff:169.254.169.254")
    'is link-local, where clouds hand out credentials'
    """
    address = _plain(ipaddress.ip_address(text))
    if address in METADATA:
        return "is a metadata service, where clouds hand out credentials"
    if address.is_link_local:
        return "is link-local, where clouds hand out credentials"
    if address.is_multicast:
        return "is a multicast address"
    if address.is_unspecified or (address.version == 4 and address in ZERO):
        return "is no address of a host"
    if address.version == 4 and address.is_reserved:
        return "is reserved or a broadcast address"
    return ""


def addresses_of(host: str, port: int) -> list[str]:
    """What the system resolves a name to, in its order; OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def literal(host: str) -> str | None:
    """The address that a host is, where it is none that must be looked up; also as 2852039166, 0xa9fea9fe or 127.1.

    >>> literal("2852039166"), literal("::1"), literal("driftmon.example")
    ('169.254.169.254', '::1', None)
    """
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def _plain(address: IpAddress) -> IpAddress:
    """The IPv4 address within an IPv6 one that stands for it."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    unscoped = ipaddress.IPv6Address(int(address))
    if unscoped in NAT64 or (unscoped in COMPATIBLE and unscoped not in ITSELF):
        return ipaddress.IPv4Address(int(unscoped) & 0xFFFFFFFF)
    return unscoped
