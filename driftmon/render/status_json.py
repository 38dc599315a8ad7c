"""Status as JSON: what GET /api/v1/status answers, and /status to those who ask for JSON.

Law: it says what the page says; `limits` has every bound by its key in the configuration, with its unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from driftmon.render.pages.status import StatusView


def status_json(view: StatusView, fixed: Mapping[str, int]) -> dict[str, Any]:
    """Sizes in bytes, times in ms; absent where a value has no meaning. `fixed`: bounds no configuration moves."""
    held = {} if view.memory_bytes is None else {"resident_bytes": view.memory_bytes}
    return {
        "version": view.version,
        "python": view.python,
        "time_ms": view.now_ms,
        "started_ms": view.started_ms,
        "ready": not view.unready,
        **({"unready": view.unready} if view.unready else {}),
        "memory": {**held, "budget_bytes": sum(view.budget.values()), "budget": dict(view.budget)},
        "mailbox": {"bytes": view.mailbox_bytes, "limit_bytes": view.mailbox_limit_bytes},
        "connections": view.connections,
        **({"storage": view.storage} if view.storage else {}),
        "configuration": {
            "file": view.config_file,
            "loaded_ms": view.loaded_ms,
            "last_load_succeeded": view.load_succeeded,
        },
        "intake": [
            {
                "stream": one.stream,
                "source": one.source,
                "records": one.records,
                "late": one.late,
                "rejected": dict(one.rejected),
            }
            for one in view.intake
        ],
        "limits": dict(view.limits),
        "fixed_limits": dict(fixed),
    }
