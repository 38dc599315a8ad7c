"""OpenAPI: what GET /openapi.json says of the API listener.

Law: a path is described here if and only if routes.py has it (a test compares).
"""

from __future__ import annotations

from typing import Any, Final

from driftmon.daemon.access.scopes import needed

TEXT: Final = {"text/plain": {"schema": {"type": "string"}}}
HTML: Final = {"text/html": {"schema": {"type": "string"}}}
STREAM: Final = {"name": "stream", "in": "path", "required": True, "schema": {"type": "string"}}
FEATURE: Final = {"name": "feature", "in": "path", "required": True, "schema": {"type": "string"}}
ASSET: Final = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A request sent again with the same key within 15 minutes is counted once.",
    "schema": {"type": "string", "maxLength": 256},
}
COUNT: Final = {"type": "integer", "minimum": 0}
LINE: Final = {
    "type": "object",
    "required": ["line", "reason", "message"],
    "properties": {"line": COUNT, "reason": {"type": "string"}, "message": {"type": "string"}},
}
REPLY: Final = {
    "type": "object",
    "required": ["accepted", "rejected", "late", "sampled_out", "duplicate", "durable", "errors"],
    "properties": {
        "accepted": COUNT,
        "sampled_out": COUNT,
        "rejected": COUNT,
        "late": COUNT,
        "duplicate": {"type": "boolean"},
        "durable": {"type": "boolean"},
        "errors": {"type": "array", "maxItems": 10, "items": LINE},
    },
}
PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _answers(success: dict[str, Any], **problems: str) -> dict[str, Any]:
    refused = {
        code.lstrip("_"): {"description": text, "content": {"application/problem+json": {"schema": PROBLEM}}}
        for code, text in problems.items()
    }
    return {**success, **refused}


def _get(summary: str, content: dict[str, Any], *parameters: dict[str, Any], **problems: str) -> dict[str, Any]:
    answers = _answers({"200": {"description": summary, "content": content}}, **problems)
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": answers}}


def _ingest() -> dict[str, Any]:
    body = {"type": "string", "description": "JSON objects, one a line or in an array; gzip or zstd"}
    counted = {"description": "Counted; 200 where it is on disk, 202 where it is in memory", "content": _json(REPLY)}
    answers = _answers(
        {"200": counted, "202": counted},
        _400="No record of the body could be used.",
        _404="No such stream takes records over HTTP.",
        _408="The body came too slowly.",
        _413="The body, or an array in it, is too large.",
        _415="The Content-Encoding is not understood.",
        _429="The mailbox is full; see Retry-After.",
        _503="The daemon is shutting down; see Retry-After.",
    )
    content = {"application/x-ndjson": {"schema": body}, "application/json": {"schema": body}}
    return {
        "post": {
            "summary": "Count records.",
            "parameters": [STREAM, KEY],
            "requestBody": {"required": True, "content": content},
            "responses": answers,
        }
    }


def _reload() -> dict[str, Any]:
    answers = _answers({"200": {"description": "Loaded."}}, _403="Not enabled.", _500="Not loaded; the old one stays.")
    return {"post": {"summary": "Load the configuration again, all or nothing.", "responses": answers}}


def _promote() -> dict[str, Any]:
    text = {"type": "string"}
    body = {"type": "object", "properties": {"window": text, "by": text, "reason": text}, "additionalProperties": False}
    answers = _answers(
        {"200": {"description": "The line of the audit file.", "content": _json({"type": "object"})}},
        _400="The body is not as described.",
        _404="No such stream.",
        _409="The window is empty or unknown, or the reference is no file of this machine.",
        _413="The body is too large.",
        _415="The body is not application/json.",
        _500="Not replaced; the old reference is in place.",
        _503="The daemon is shutting down; see Retry-After.",
    )
    return {
        "post": {
            "summary": "Make the live window, by default the longest, the new reference; the old file is kept.",
            "parameters": [STREAM],
            "requestBody": {"required": True, "content": _json(body)},
            "responses": answers,
        }
    }


OBJECT: Final = _json({"type": "object"})
OPENAPI: Final[dict[str, Any]] = {
    "openapi": "3.1.0",
    "info": {"title": "driftmon", "version": "0"},
    "components": {
        "securitySchemes": {
            "user": {"type": "http", "scheme": "basic"},
            "token": {"type": "http", "scheme": "bearer", "description": "Of scope ingest, read or admin."},
            "certificate": {
                "type": "mutualTLS",
                "description": "Where client_auth_type asks for one; beside the others.",
            },
        }
    },
    "security": [{}, {"user": []}, {"token": []}],  # {}: without --web.config.file nobody is asked
    "paths": {
        "/": _get("Every feature, for people.", HTML),
        "/features/{stream}/{feature}": _get(
            "One feature, for people.", HTML, STREAM, FEATURE, _404="No such stream or feature.", _503="No report yet."
        ),
        "/alerts": _get("Pending, firing and resolved alerts, for people.", HTML),
        "/status": _get("How the daemon does, for people.", HTML),
        "/api/v1/status": _get("How the daemon does, with every limit in force.", OBJECT),
        "/config": _get("The configuration in force without secrets, for people.", HTML),
        "/assets/{name}": _get("Style, script and icon of the pages.", TEXT, ASSET, _404="No such file."),
        "/metrics": _get("Metrics for Prometheus, text 0.0.4 or OpenMetrics 1.0.", TEXT),
        "/-/healthy": _get("The process lives.", TEXT),
        "/-/ready": _get("Every stream has a report.", TEXT, _503="Starting or draining."),
        "/-/reload": _reload(),
        "/openapi.json": _get("This description.", OBJECT),
        "/api/v1/ingest/{stream}": _ingest(),
        "/api/v1/report": _get("The latest report of every stream.", OBJECT),
        "/api/v1/alerts": _get("Pending and firing alerts.", OBJECT),
        "/api/v1/streams/{stream}/features/{feature}": _get(
            "One feature with its bins.",
            OBJECT,
            STREAM,
            FEATURE,
            _404="No such stream or feature.",
            _503="No report yet.",
        ),
        "/api/v1/streams/{stream}/snapshot": _get(
            "Mergeable counts.", OBJECT, STREAM, _404="No such stream.", _409="The reference is still being gathered."
        ),
        "/api/v1/streams/{stream}/reference/promote": _promote(),
    },
}

REFUSED: Final = _answers(
    {},
    _401="A user or token is asked for, and what was sent is none; not where nobody is asked.",
    _403="The token is of another scope, or the Host or Origin is none of ours.",
    _429="Too many failed logins from this address, or too many logins at once; see Retry-After.",
)


def _tell_who_may() -> None:
    """What the guard may answer before a handler is asked; a probe asks nobody."""
    for path, methods in OPENAPI["paths"].items():
        for method, operation in methods.items():
            scope, answers = needed(method.upper(), path), operation["responses"]
            if scope is None:
                operation["security"] = []
                continue
            operation["x-scope"] = scope.value
            for status, refused in REFUSED.items():
                said = f"{answers[status]['description']} " if status in answers else ""
                answers[status] = {**refused, "description": said + refused["description"]}


_tell_who_may()
