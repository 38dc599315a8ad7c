"""Credentials: an Authorization header to what its sender may do.

Law: how long a refusal takes tells nothing: tokens are compared as digests of one length, every one of them, and an
unknown user costs a bcrypt as a known one does.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from typing import Final

from driftmon.daemon.access.scopes import ALL, GRANTS, NONE, Scope

MOST_CACHED: Final = 256
LONGEST_PASSWORD: Final = 72  # bytes; bcrypt knows no more


class Credentials:
    """Users by bcrypt hash, who may do everything, and tokens by scope. Keeps no token, only keyed digests."""

    def __init__(self, users: Mapping[str, str], tokens: Mapping[Scope, Iterable[str]]) -> None:
        self._key = secrets.token_bytes(32)  # a digest in a core dump is of no use to anybody
        self._users = {name: value.encode() for name, value in users.items()}
        self._dearest = max(self._users.values(), key=lambda value: value[4:6], default=b"")
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

    async def scopes(self, authorization: str) -> frozenset[Scope]:
        """What the sender of this header may do; nothing where it is not known."""
        kind, _, rest = authorization.partition(" ")
        match kind.lower():
            case "bearer":
                return self._of_token(rest.strip().encode())
            case "basic" if self._users:
                return ALL if await self._known(*_pair(rest)) else NONE
        return NONE

    def _of_token(self, token: bytes) -> frozenset[Scope]:
        digest, found = self._digest(token), NONE
        for known, granted in self._tokens:
            found |= granted if hmac.compare_digest(digest, known) else NONE
        return found

    async def _known(self, user: str, password: bytes) -> bool:
        """Checked once by bcrypt, later by a digest that only this process can make."""
        value = self._users.get(user, self._dearest)
        digest = self._digest(b"\0".join((user.encode(), value, password)))
        if digest in self._verified:
            return True
        async with self._one_at_a_time:
            if digest in self._verified:
                return True
            fits = await asyncio.to_thread(_checked, password, value)
        if not fits or user not in self._users:
            return False
        if len(self._verified) >= MOST_CACHED:
            self._verified.pop(next(iter(self._verified)))
        self._verified[digest] = None
        return True

    def _digest(self, secret: bytes) -> bytes:
        return hmac.digest(self._key, secret, hashlib.sha256)


def _checked(password: bytes, value: bytes) -> bool:
    import bcrypt  # noqa: PLC0415  the extra [auth]; needed where there are users only

    try:
        fits = bcrypt.checkpw(password[:LONGEST_PASSWORD], value)
    except ValueError:  # a zero byte
        return False
    return fits and len(password) <= LONGEST_PASSWORD


def _pair(encoded: str) -> tuple[str, bytes]:
    """
    >>> _pair("bWU6cGE6c3M="), _pair("nonsense!")
    (('me', b'pa:ss'), ('', b''))
    """
    try:
        user, _, password = base64.b64decode(encoded, validate=True).partition(b":")
        return user.decode(), password
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", b""
