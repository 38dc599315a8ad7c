"""Durations and sizes as people write them; the number keeps its unit in the field's name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

DURATION: Final = r"([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?"  # as Prometheus: 1h30m
SIZE: Final = r"[0-9]+(B|KiB|MiB|GiB|kB|KB|MB|GB)"

UNIT_MS: Final[Mapping[str, int]] = {
    "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000,
}  # fmt: skip
UNIT_BYTES: Final[Mapping[str, int]] = {
    "B": 1, "kB": 1000, "KB": 1000, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip


def milliseconds(text: str) -> int | None:
    """None where the text is no duration.

    >>> milliseconds("1h30m"), milliseconds("0s"), milliseconds("90"), milliseconds("")
    (5400000, 0, None, None)
    """
    if not text or len(text) > 64 or not re.fullmatch(DURATION, text):
        return None
    return sum(int(number) * UNIT_MS[unit] for number, unit in re.findall(r"([0-9]+)(ms|[wdhms])", text))


def byte_count(text: str) -> int | None:
    """None where the text is no size.

    >>> byte_count("8MiB"), byte_count("64 KiB"), byte_count("8")
    (8388608, 65536, None)
    """
    found = re.fullmatch(SIZE, text.replace(" ", "")) if len(text) <= 64 else None
    if found is None:
        return None
    unit = found[1]
    return int(text.replace(" ", "").removesuffix(unit)) * UNIT_BYTES[unit]


def size(count: int) -> str:
    """A number of bytes as the configuration writes it.

    >>> size(8 * 1024 * 1024), size(1000)
    ('8MiB', '1000B')
    """
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % UNIT_BYTES[unit] == 0:
            return f"{count // UNIT_BYTES[unit]}{unit}"
    return f"{count}B"
