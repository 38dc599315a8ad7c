"""Status as JSON: what GET /api/v1/status answers, and /status to those who ask for JSON.

Law: it says what the page says; `limits` has every bound by its key in the configuration, with its unit.
"""

from __future__ import annotations

from typing import Any, Final

from driftmon.formats.compression import FREE_BYTES, ZSTD_WINDOW_BYTES
from driftmon.monitor.batch import MAX_ERRORS
from driftmon.render.pages.status import StatusView

FIXED: Final = {  # bounds that no configuration moves
    "errors_in_reply": MAX_ERRORS,
    "ratio_free_bytes": FREE_BYTES,
    "zstd_window_bytes": ZSTD_WINDOW_BYTES,
}


def status_json(view: StatusView) -> dict[str, Any]:
    """Sizes in bytes, times in ms; absent where a value has no meaning."""
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
        "fixed_limits": FIXED,
    }
