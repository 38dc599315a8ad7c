"""Problem: an error a client gets, as RFC 9457 `application/problem+json`.

Law: every answer that is not a success says what is wrong and what to do, in one shape.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from random import randrange
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response


class Problem(Exception):  # noqa: N818  an answer, not an error
    """Raised by a handler; `members` are added to the body."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})
        self.members = dict(members or {})


def busy(status: int, detail: str, retry_after_s: int) -> Problem:
    """429 or 503: the same request may succeed a little later; those refused together do not all come back together."""
    return Problem(status, detail, headers={"Retry-After": str(retry_after_s + randrange(retry_after_s + 1))})


def stopped() -> Problem:
    """To who waited for records to be counted, and on the disk if that was asked for."""
    return busy(503, "the daemon stopped before the records were on the disk; send it again", 5)


def response_of(fault: Problem) -> Response:
    """What the client gets."""
    return _response(fault.status, str(fault), fault.headers, fault.members)


async def answer_problem(request: Request, fault: Exception) -> Response:
    """Starlette's handler for Problem."""
    assert isinstance(fault, Problem)
    return response_of(fault)


async def answer_http(request: Request, fault: Exception) -> Response:
    """Starlette's handler for what routing itself finds: no such path, no such method."""
    assert isinstance(fault, HTTPException)
    return _response(fault.status_code, f"{request.method} {request.url.path}: {fault.detail}", fault.headers or {}, {})


def _response(status: int, detail: str, headers: Mapping[str, str], members: Mapping[str, Any]) -> Response:
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    return Response(json.dumps(body) + "\n", status, headers=dict(headers), media_type="application/problem+json")
