"""Guard: stands before a listener's application and lets a request in, or answers 401 or 403 itself.

Law: nothing of a request but its head is looked at before it is known whose it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Asked

from driftmon.daemon.access.credentials import Credentials
from driftmon.daemon.access.keeper import Keeper
from driftmon.daemon.access.neighbours import Neighbours
from driftmon.daemon.access.scopes import Scope, needed
from driftmon.daemon.bodies import discard
from driftmon.daemon.problem import Problem, answer_problem

Locked: TypeAlias = Callable[[Credentials], bool]

WAYS: Final = "send a user's name and password or a bearer token that is in the file of --web.config.file"


def web_guard(app: ASGIApp, keeper: Keeper | None) -> ASGIApp:
    """Metrics ask for a password if there are users, as exporters do; tokens alone lock the API only."""
    return Guard(app, keeper, lambda credentials: credentials.has_users, None)


def api_guard(app: ASGIApp, keeper: Keeper | None, neighbours: Neighbours) -> ASGIApp:
    """Everything but the probes is locked as soon as there is one user or token."""
    return Guard(app, keeper, lambda credentials: credentials.has_any, neighbours)


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: ASGIApp, keeper: Keeper | None, locked: Locked, neighbours: Neighbours | None) -> None:
        self._app, self._keeper = app, keeper
        self._locked, self._neighbours = locked, neighbours

    async def __call__(self, asked: Asked, receive: Receive, send: Send) -> None:
        if asked["type"] == "http" and (scope := needed(asked["method"], asked["path"])) is not None:
            try:
                await self._admit(asked, Headers(scope=asked), scope)
            except Problem as problem:
                request = Request(asked, receive)
                await discard(request)
                answer = await answer_problem(request, problem)
                await answer(asked, receive, send)
                return
        await self._app(asked, receive, send)

    async def _admit(self, asked: Asked, headers: Headers, scope: Scope) -> None:
        """Problem where the request may not come in."""
        if self._neighbours is not None and (refusal := self._neighbours.refusal(asked, headers)):
            raise Problem(403, refusal)
        if self._keeper is None or not self._locked(credentials := self._keeper.current().credentials):
            return
        granted = await credentials.scopes(headers.get("authorization", ""))
        if not granted:
            raise Problem(401, WAYS, headers={"WWW-Authenticate": credentials.challenges})
        if scope not in granted:
            challenge = f'Bearer realm="driftmon", error="insufficient_scope", scope="{scope}"'
            detail = f"this token may {' and '.join(sorted(granted))}; send one of scope {scope} or admin"
            raise Problem(403, detail, headers={"WWW-Authenticate": challenge})
