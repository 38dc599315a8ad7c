"""Guard: stands before a listener's application and lets a request in, or answers 401, 403 or 429 itself.

Law: nothing of a request but its head is looked at before it is known whose it is; what does not get in is counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Asked

from driftmon.daemon.access.credentials import Credentials, TooMany
from driftmon.daemon.access.neighbours import Neighbours
from driftmon.daemon.access.refusals import Reason, Refusals
from driftmon.daemon.access.scopes import Scope, needed
from driftmon.daemon.bodies import discard
from driftmon.daemon.problem import Problem, answer_problem

if TYPE_CHECKING:
    from driftmon.daemon.access.keeper import Keeper

Locked: TypeAlias = Callable[[Credentials], bool]

WAYS: Final = "send a user's name and password or a bearer token that is in the file of --web.config.file"

TOLD: Final[Mapping[str, str]] = {
    "throttled": "too many logins that failed came from this address; correct the password, then wait",
    "busy": "too many log in at once; send the request again, or use a bearer token, which costs nothing to check",
}


def web_guard(app: ASGIApp, keeper: Keeper | None, refusals: Refusals) -> ASGIApp:
    """Metrics ask for a password if there are users, as exporters do; tokens alone lock the API only."""
    return Guard(app, keeper, lambda credentials: credentials.has_users, None, refusals)


def api_guard(app: ASGIApp, keeper: Keeper | None, neighbours: Neighbours, refusals: Refusals) -> Guard:
    """Everything but the probes is locked as soon as there is one user or token."""
    return Guard(app, keeper, lambda credentials: credentials.has_any, neighbours, refusals)


class Guard:
    """An ASGI application around another."""

    def __init__(
        self, app: ASGIApp, keeper: Keeper | None, locked: Locked, neighbours: Neighbours | None, refusals: Refusals
    ) -> None:
        self._app, self._keeper = app, keeper
        self._locked, self._neighbours = locked, neighbours
        self._refusals, self._door = refusals, "web" if neighbours is None else "api"

    async def __call__(self, asked: Asked, receive: Receive, send: Send) -> None:
        if asked["type"] == "http" and (scope := needed(asked["method"], asked["path"])) is not None:
            try:
                await self._admit(asked, _headers(asked), scope)
            except Problem as problem:
                request = Request(asked, receive)
                await discard(request)
                answer = await answer_problem(request, problem)
                await answer(asked, receive, send)
                return
        await self._app(asked, receive, send)

    def open_to(self, asked: Mapping[str, Any]) -> bool:
        """Whether a request would be let in, as far as that is known at once: it needs nothing, or has a token."""
        headers, scope = _headers(asked), needed(asked["method"], asked["path"])
        if self._neighbours is not None and self._neighbours.refusal(asked, headers):
            return False
        if self._keeper is None or not self._locked(credentials := self._keeper.current().credentials):
            return True
        return scope is None or scope in credentials.of_bearer(headers.get("authorization", ""))

    async def _admit(self, asked: Asked, headers: Mapping[str, str], scope: Scope) -> None:
        """Problem where the request may not come in."""
        if self._neighbours is not None and (refusal := self._neighbours.refusal(asked, headers)):
            raise self._refused(refusal[0], 403, refusal[1])
        if self._keeper is None or not self._locked(credentials := self._keeper.current().credentials):
            return
        try:
            address = str((asked.get("client") or ("",))[0])
            granted = await credentials.scopes(headers.get("authorization", ""), address)
        except TooMany as fault:
            raise self._refused(
                fault.reason, 429, TOLD[fault.reason], **{"Retry-After": str(math.ceil(fault.wait_s))}
            ) from None
        if not granted:
            raise self._refused("unauthenticated", 401, WAYS, **{"WWW-Authenticate": credentials.challenges})
        if scope not in granted:
            challenge = f'Bearer realm="driftmon", error="insufficient_scope", scope="{scope}"'
            detail = f"this token may {' and '.join(sorted(granted))}; send one of scope {scope} or admin"
            raise self._refused("forbidden", 403, detail, **{"WWW-Authenticate": challenge})

    def _refused(self, reason: Reason, status: int, detail: str, **headers: str) -> Problem:
        self._refusals.requests[self._door, reason] += 1
        return Problem(status, detail, headers=headers)


def _headers(asked: Mapping[str, Any]) -> dict[str, str]:
    """By name; of those that are there more than once the first.

    >>> _headers({"headers": [(b"host", b"a"), (b"host", b"b")]})
    {'host': 'a'}
    """
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(asked["headers"])}
