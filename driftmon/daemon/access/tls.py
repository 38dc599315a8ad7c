"""TLS: the context of the file's certificate, and one whose connections follow the file.

Law: a connection is made with the certificate and the authorities of the moment it begins.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from driftmon.daemon.faults import KeyFault

if TYPE_CHECKING:
    from driftmon.daemon.access.shapes import TlsShape

VERIFIED: Final = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
OLDEST: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


def context_of(shape: TlsShape) -> ssl.SSLContext:
    """KeyFault where the files, all readable, do not make a context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = OLDEST[shape.min_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.sslobject_class = _Brisk
    try:
        # A passphrase of nothing: without one OpenSSL asks the terminal, and a daemon hangs.
        context.load_cert_chain(shape.cert_file, shape.key_file, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise KeyFault("key_file", "is not the key of cert_file", "name the two that belong together") from None
        cure = "name a PEM certificate, chain below it, and its PEM key without a passphrase"
        raise KeyFault("cert_file", "and key_file are no certificate and key", cure) from None
    if shape.client_ca_file is not None:
        try:
            context.load_verify_locations(shape.client_ca_file)
        except ssl.SSLError:
            raise KeyFault("client_ca_file", "holds no certificate", "name a PEM file of authorities") from None
    context.verify_mode = VERIFIED[shape.client_auth_type]
    return context


class _Brisk(ssl.SSLObject):
    """Says goodbye without waiting for the peer's: an idle client never answers, and a drain would wait for it."""

    def unwrap(self) -> Any:
        with suppress(ssl.SSLWantReadError):
            return super().unwrap()
        return None


class Following(ssl.SSLContext):
    """Stands at the listener for good; each connection is wrapped by what `current` gives then."""

    def __new__(cls, current: Callable[[], ssl.SSLContext]) -> Following:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, current: Callable[[], ssl.SSLContext]) -> None:
        self._current = current

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        """What asyncio calls once per connection."""
        return self._current().wrap_bio(*arguments, **named)
