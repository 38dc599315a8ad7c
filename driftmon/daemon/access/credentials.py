"""Credentials: an Authorization header to what its sender may do.

Law: how long a refusal takes tells nothing: tokens are compared as digests of one length, every one of them, and an
unknown user costs the bcrypt of some known one, always the same. What guesses cost us is bounded: one core, a short
queue, and so many an address.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from driftmon.daemon.access.attempts import Attempts
from driftmon.daemon.access.scopes import ALL, GRANTS, NONE, Scope

MOST_CACHED: Final = 256
MOST_WAITING: Final = 8  # logins before the one bcrypt that runs; at cost 10 they wait 0.5 s
LONGEST_PASSWORD: Final = 72  # bytes; bcrypt knows no more


class TooMany(Exception):  # noqa: N818  it may succeed later
    """Not checked: this address tried too often (`throttled`), or too many log in at once (`busy`)."""

    def __init__(self, reason: Literal["throttled", "busy"], wait_s: float) -> None:
        super().__init__(reason)
        self.reason: Final = reason
        self.wait_s = wait_s


class Credentials:
    """Users by bcrypt hash, who may do everything, and tokens by scope. Keeps no token, only keyed digests."""

    def __init__(
        self,
        users: Mapping[str, str],
        tokens: Mapping[Scope, Iterable[str]],
        attempts: Attempts | None = None,
    ) -> None:
        self._key = secrets.token_bytes(32)  # a digest in a core dump is of no use to anybody
        self._users = {name: value.encode() for name, value in users.items()}
        self._hashes = sorted(self._users.values())
        self._attempts = Attempts() if attempts is None else attempts
        self._waiting = 0
        self._tokens = [(self._digest(token.encode()), GRANTS[scope]) for scope in tokens for token in tokens[scope]]
        self._verified: dict[bytes, None] = {}
        self._one_at_a_time = asyncio.Lock()  # guesses take at most one core

    @property
    def has_users(self) -> bool:
        return bool(self._users)

    @property
    def has_any(self) -> bool:
        return bool(self._users or self._tokens)

    @property
    def challenges(self) -> str:
        """For WWW-Authenticate."""
        basic = ['Basic realm="driftmon", charset="UTF-8"'] if self._users else []
        return ", ".join([*basic, *(['Bearer realm="driftmon"'] if self._tokens else [])])

    async def scopes(self, authorization: str, address: str = "") -> frozenset[Scope]:
        """What the sender of this header may do; nothing where it is not known. TooMany where that is not found out."""
        kind, _, rest = authorization.partition(" ")
        if kind.lower() == "basic" and self._users and (pair := _pair(rest)) is not None:
            return ALL if await self._known(*pair, address) else NONE
        return self.of_bearer(authorization)

    def of_bearer(self, authorization: str) -> frozenset[Scope]:
        """The same where nothing is to be waited for: of tokens."""
        kind, _, rest = authorization.partition(" ")
        return self._of_token(rest.strip().encode()) if kind.lower() == "bearer" else NONE

    def _of_token(self, token: bytes) -> frozenset[Scope]:
        digest, found = self._digest(token), NONE
        for known, granted in self._tokens:
            found |= granted if hmac.compare_digest(digest, known) else NONE
        return found

    async def _known(self, user: str, password: bytes, address: str) -> bool:
        """Checked once an address by bcrypt, later by a digest that only this process can make.

        The address is in the digest, else the limit of guesses would not hold for passwords that are remembered.
        """
        value = self._users.get(user) or self._stand_in(user)
        digest = self._digest(b"\0".join((address.encode(), user.encode(), value, password)))
        if digest in self._verified:
            return True
        if self._waiting >= MOST_WAITING:
            raise TooMany("busy", 1.0)
        if wait_s := self._attempts.take(address, time.monotonic()):
            raise TooMany("throttled", wait_s)
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                fits = digest in self._verified or await asyncio.to_thread(_checked, password, value)
        finally:
            self._waiting -= 1
        if not fits or user not in self._users:
            return False
        self._attempts.give_back(address)
        if len(self._verified) >= MOST_CACHED:
            self._verified.pop(next(iter(self._verified)))
        self._verified[digest] = None
        return True

    def _stand_in(self, user: str) -> bytes:
        """The hash that an unknown name is compared with: costs differ, and it must look like one of them."""
        return self._hashes[int.from_bytes(self._digest(user.encode())[:8]) % len(self._hashes)]

    def _digest(self, secret: bytes) -> bytes:
        return hmac.digest(self._key, secret, hashlib.sha256)


def _checked(password: bytes, value: bytes) -> bool:
    import bcrypt  # noqa: PLC0415  the extra [auth]; needed where there are users only

    try:
        fits = bcrypt.checkpw(password[:LONGEST_PASSWORD], value)
    except ValueError:  # a zero byte
        return False
    return fits and len(password) <= LONGEST_PASSWORD


def _pair(encoded: str) -> tuple[str, bytes] | None:
    """
    >>> _pair("bWU6cGE6c3M="), _pair("nonsense!")
    (('me', b'pa:ss'), None)
    """
    try:
        user, _, password = base64.b64decode(encoded, validate=True).partition(b":")
        return user.decode(), password
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
