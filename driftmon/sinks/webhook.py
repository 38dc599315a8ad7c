"""Alertmanager's webhook JSON to any URL, so that every receiver written for Alertmanager works.

Law: a receiver that holds the secret can tell that body and time are ours: the signature is
HMAC-SHA256 over `timestamp + "." + body`, in hex. At least once: `Idempotency-Key` names repeats.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from driftmon.outward.login import Login
from driftmon.render.alertmanager import webhook_body
from driftmon.render.notice import Notice
from driftmon.sinks.base import Reject, Retry, checked_endpoint, client, post


@dataclass(frozen=True)
class Options(Login):
    """Where to post, how to log in and how to sign."""

    endpoint: str = field(metadata={"doc": "The URL that receives the POST; redirects are not followed."})
    secret_file: Path | None = field(
        default=None,
        metadata={"doc": "File with a secret; the request is then signed with HMAC-SHA256 (X-Driftmon-Signature)."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_endpoint(self.endpoint)


class Sink:
    """Told once per transition; a batch is one request."""

    resends = False

    def __init__(self, options: Options) -> None:
        self._options = options
        self._http = client(options)

    async def send(self, alerts: Sequence[Notice], now_ms: int) -> None:
        body = json.dumps(webhook_body(alerts)).encode()
        headers = {"Idempotency-Key": _key(alerts), **self._signature(body, now_ms)}
        try:
            await post(self._http, self._options.endpoint, body, headers, self._options)
        except Reject as rejected:
            raise Reject(str(rejected), alerts, rejected.status) from None

    async def close(self) -> None:
        await self._http.aclose()

    def _signature(self, body: bytes, now_ms: int) -> Mapping[str, str]:
        """Read anew for each request, so that a rotated secret holds without a restart."""
        if self._options.secret_file is None:
            return {}
        try:
            secret = self._options.secret_file.read_bytes().strip()
        except OSError as error:
            raise Retry(f"cannot read secret_file {self._options.secret_file}: {error.strerror}") from None
        timestamp = str(now_ms // 1000)
        return {"X-Driftmon-Timestamp": timestamp, "X-Driftmon-Signature": sign(secret, timestamp, body)}


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """What the receiver computes to compare with X-Driftmon-Signature.

    >>> sign(b"secret", "0", b"{}")[:16]
    'sha256=4bbe8d39d'
    """
    return "sha256=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _key(alerts: Sequence[Notice]) -> str:
    """The same transitions give the same key, whenever they are sent."""
    parts = sorted(f"{notice.fingerprint} {notice.status} {notice.starts_ms} {notice.ends_ms}" for notice in alerts)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
