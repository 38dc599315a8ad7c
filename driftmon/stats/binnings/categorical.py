"""Categorical bins: a fixed vocabulary, and one bin for everything outside it.

Law: memory is bounded by the vocabulary, whatever the stream sends; what the reference did not
keep is `unseen` in P and Q alike, so a rare category is not mistaken for a new one.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any, ClassVar

import numpy as np

from driftmon.stats.coded import Coded
from driftmon.stats.schema import Codes, Counts

SPECIAL = ("unseen", "invalid", "missing")


@dataclass(frozen=True)
class Binning:
    """
    >>> bins = Binning(("UA", "AA"))
    >>> bins.codes(["AA", "ZZ", None]).tolist()
    [1, 2, 4]
    >>> bins.labels()
    ('UA', 'AA', 'unseen', 'invalid', 'missing')
    """

    categories: tuple[str, ...]
    kind = "categorical"
    tallies: ClassVar[tuple[str, ...]] = ()
    positions = None
    cuts = None

    def __post_init__(self) -> None:
        twice = [category for category, times in Counter(self.categories).items() if times > 1]
        if twice:
            raise ValueError(f"categories must differ: {twice[0]!r} occurs twice; drop one")

    @property
    def regular(self) -> int:
        return len(self.categories)

    @property
    def size(self) -> int:
        return self.regular + len(SPECIAL)

    @cached_property
    def places(self) -> dict[str | None, int]:
        return {None: self.size - 1, **{category: code for code, category in enumerate(self.categories)}}

    def codes(self, values: Any) -> Codes:
        if isinstance(values, Coded):
            return self._of_texts(values).take(values.codes)  # -1, no text, takes the last
        found = map(self.places.get, values, repeat(self.regular))  # no step of Python's own per value
        return np.fromiter(found, dtype=np.int64, count=len(values))

    def _of_texts(self, values: Coded) -> Codes:
        return np.array([*map(self.places.get, (*values.texts, None), repeat(self.regular))], dtype=np.int64)

    def counts(self, values: Any) -> Counts:
        if isinstance(values, Coded):
            found = np.bincount(self._of_texts(values), weights=values.times(), minlength=self.size)
            return found.astype(np.int64)
        return np.bincount(self.codes(values), minlength=self.size)

    def labels(self) -> tuple[str, ...]:
        """A category's label is its text; quoted where that would be empty, quoted already or a special word."""
        return (*map(_label, self.categories), *SPECIAL)

    def as_dict(self) -> dict[str, Any]:
        return {"type": self.kind, "categories": list(self.categories)}


def _label(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if text in ("", *SPECIAL) or text.startswith('"') else text
