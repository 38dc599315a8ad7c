"""Words: the texts that a column mostly holds, each as a number that msgspec puts where it reads the text.

Law: a word is the number of a text and nothing else, so texts come back unchanged. Which texts are words decides how
long it takes, never a count: one that is none gets a number of its own until it was read.

msgspec finds a member of an enumeration by its bytes, so no text is made, hashed or looked up: with a member that is a
float, a record is nothing but floats.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from driftmon.formats.structs import Path

ONE: Final = 256  # words of a column
ALL: Final = 1024  # of all columns together: making one takes 15 us
FIELDS: Final = 32  # columns that have some
ROWS: Final = 256  # to learn them from at first
AGAIN: Final = 65_536  # at most, from one time to the next: others may be the words now
FEW: Final = 256  # at most one text in so many is none of the words, or they are learned anew


class Word(float, enum.Enum):
    """Its value is the text, and as a number it is its place among the words. Others are -1, -2, ..."""

    def __new__(cls, place: float, text: str) -> Word:
        made = float.__new__(cls, place)
        made._value_ = text
        return made


class Words:
    """Of one column: the type that reads them, and the `others` since they were last taken.

    >>> words = Words(["UA", "AA"], text_length=2)
    >>> [float(words.type(text)) for text in ("AA", "UA", "ZZ", "B6", "ZZ")], words.take()
    ([1.0, 0.0, -1.0, -2.0, -1.0], ['ZZ', 'B6'])
    >>> words.type("long")
    Traceback (most recent call last):
    ValueError: 'long' is not a valid W
    """

    def __init__(self, texts: Sequence[str], text_length: int) -> None:
        self.texts = texts
        self._others: dict[str, Any] = {}
        others = self._others

        class Known(Word):
            @classmethod
            def _missing_(cls, text: object) -> Any:
                if not isinstance(text, str) or len(text) > text_length:
                    return None
                if (made := others.get(text)) is None:
                    made = float.__new__(cls, -1.0 - len(others))
                    made._value_ = text
                    others[text] = made
                return made

        named: Any = Known  # the functional way takes pairs of name and arguments
        self.type: Any = named("W", [(f"w{at}", (float(at), text)) for at, text in enumerate(texts)])

    def take(self) -> list[str]:
        """The others, in the order of their numbers; from here on they are forgotten."""
        found = list(self._others)
        self._others.clear()
        return found


class Lexicon:
    """Learns which texts the columns mostly hold."""

    def __init__(self) -> None:
        self.words: dict[Path, Sequence[str]] = {}
        self._met: dict[Path, set[Any]] = {}
        self._missed: Counter[Path] = Counter()
        self._rows, self._due, self._since = 0, ROWS, 0

    def note(
        self, rows: int, texts: Mapping[Path, Sequence[Any]], others: Mapping[Path, tuple[int, Iterable[str]]]
    ) -> bool:
        """Rows with texts of columns that have no words, and how often which others came; whether `words` are new.

        >>> lexicon = Lexicon()
        >>> lexicon.note(255, {("c",): ["UA", None] * 100}, {}), lexicon.note(1, {("c",): ["AA"]}, {}), lexicon.words
        (False, True, {('c',): ['AA', 'UA']})
        """
        self._rows += rows
        self._since += rows
        for path, values in texts.items():
            self._meet(path, values)
        for path, (times, new) in others.items():
            self._missed[path] += times
            self._meet(path, new)
        return self._rows >= self._due and self._learn()

    def forget(self) -> None:
        """They stand in the way of something that is no text."""
        self.words, self._due = {}, self._rows + AGAIN

    def _meet(self, path: Path, values: Iterable[Any]) -> None:
        met = self._met.setdefault(path, set())
        if len(met) <= ONE:
            met.update(values)

    def _learn(self) -> bool:
        missed = {path for path, times in self._missed.items() if times * FEW > self._since}
        found: dict[Path, Sequence[str]] = {}
        for path in self.words.keys() | self._met.keys():
            held, met = self.words.get(path, ()), self._met.get(path, set()) - {None}
            if path in self.words and path not in missed:
                found[path] = held
            elif 0 < len(met) + len(held) <= ONE and all(type(text) is str for text in met):
                found[path] = sorted({*held, *met})
        self._due, self._since = self._rows + min(AGAIN, 15 * self._rows), 0
        self._missed.clear()
        self._met.clear()
        chosen = within(found)
        changed = chosen != self.words
        self.words = chosen
        return changed


def within(words: Mapping[Path, Sequence[str]]) -> dict[Path, Sequence[str]]:
    """Of as many columns as may have words, first those that have the fewest.

    >>> [*within({("a",): ["x"] * 600, ("b",): ["y"] * 600, ("c",): ["z"]})]
    [('c',), ('a',)]
    """
    chosen: dict[Path, Sequence[str]] = {}
    left = ALL
    for path, texts in sorted(words.items(), key=lambda item: len(item[1]))[:FIELDS]:
        left -= len(texts)
        if left >= 0:
            chosen[path] = texts
    return chosen
