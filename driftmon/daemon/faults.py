"""Fault: one mistake in a configuration. ConfigError: all of them at once.

Law: a message names the place (file:line and key path), the fault, and the cure, in that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

KeyPath: TypeAlias = tuple[str | int, ...]

MOST_SHOWN: Final = 20


class Fault(Struct, frozen=True):
    """
    >>> print(Fault("d.yaml:4  version", "must be 1, is 2", "use a newer driftmon"))
    d.yaml:4  version: must be 1, is 2; use a newer driftmon
    """

    place: str
    fault: str
    cure: str
    line: int = 0  # 0: about the file as a whole

    def __str__(self) -> str:
        return f"{self.place}: {self.fault}; {self.cure}"


class ConfigError(ValueError):
    """A configuration that cannot be used; `faults` in the order of the file."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


class KeyFault(ValueError):  # noqa: N818  our word for it is fault
    """Raised by a shape about one of its own keys; the builder adds file, line and the path before it."""

    def __init__(self, keys: str | KeyPath, fault: str, cure: str) -> None:
        super().__init__(f"{fault}; {cure}")
        self.path: KeyPath = (keys,) if isinstance(keys, str) else keys
        self.fault, self.cure = fault, cure


def written(path: KeyPath) -> str:
    """A key path as people write it; keys with other signs than letters, digits, _ and - in quotes.

    >>> written(("streams", "flights", "windows", 1, "length")), written(("features", "a.b"))
    ('streams.flights.windows[1].length', 'features."a.b"')
    """
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            plain = key.replace("_", "").replace("-", "").isalnum()
            text += ("." if text else "") + (key if plain else f'"{key}"')
    return text


def nearest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """The cure for a misspelt word; `otherwise` instead of listing all known ones.

    >>> nearest("featurs", ["features", "windows"]), nearest("xyz", ["b", "a"])
    ('did you mean features?', 'there are a, b')
    """
    from difflib import get_close_matches  # noqa: PLC0415  for those who misspell

    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=0.6) or [name for name in names if name.lower() == word.lower()]
    if close:
        return f"did you mean {close[0]}?"
    shown = ", ".join(names[:MOST_SHOWN]) + (", ..." if len(names) > MOST_SHOWN else "")
    return otherwise or (f"there {'are' if len(names) > 1 else 'is'} {shown}" if names else "there is none")
