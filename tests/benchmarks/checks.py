"""Checks: contenders must have computed the same. Counts to the last one; KL as scipy has it.

Law: whoever brings own bins (quantiles by another rule) is counted again in these, by numpy from the raw data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import chi2_contingency, chisquare, entropy

from tests.benchmarks.contenders.common import NUMERIC, PSEUDOCOUNT, TEXTS

RARE: Final = 100  # rows of a word
AT_AN_EDGE: Final = 2  # values of a million that a compiled histogram, which divides, may put next door


def same(answers: Mapping[str, Any]) -> None:
    """All told the very same.

    >>> same({"a": [1, 2], "b": [1, 2]})
    """
    (first, wanted), *others = answers.items()
    for name, answer in others:
        assert answer == wanted, f"{name} has computed something else than {first}: {_short(answer)}, {_short(wanted)}"


def same_inside(answers: Mapping[str, Any]) -> None:
    """Counts of regular bins agree; who leaves out what lies outside is compared within."""
    (first, wanted), *others = ((name, np.array(answer["counts"])) for name, answer in answers.items())
    for name, counts in others:
        inside = wanted if len(counts) == len(wanted) else wanted[1:-1]
        apart = int(np.abs(counts - inside).sum())
        assert len(counts) == len(inside), f"{name} has {len(counts)} bins, {first} {len(wanted)}"
        assert apart <= AT_AN_EDGE, f"{name} counts {apart} values otherwise than {first}"


def everything_reported(answers: Mapping[str, Any]) -> None:
    """Everybody has a figure of something, and it is a number; what it means is the tool's own business."""
    for name, answer in answers.items():
        figures = [each["kl_qp"] if isinstance(each, dict) else each for each in _values(answer)]
        assert figures, f"{name} reports nothing"
        assert np.isfinite(np.array(figures, dtype=np.float64)).all(), f"{name} reports {figures}"


def kl_pq(p: Any, q: Any) -> float:
    return float(entropy(p, q))


def chi_square(p: Any, q: Any) -> float:
    """Of live counts, where the reference's shares are what is expected."""
    return float(chisquare(q, p / p.sum() * q.sum()).statistic)


def chi_square_of_both(p: Any, q: Any) -> float:
    """Whether both are draws from the same."""
    return float(chi2_contingency(np.stack((p, q))).statistic)


class Agreeing:
    """What a peer reports of texts, where its definition is known, is that of the counts that the first has told.

    To what share of itself: a sketch is near it only.

    >>> counts = {"bins": ["a", "b"], "reference": [500, 500, 0], "live": [750, 250, 0], "kl_qp": 0.13}
    >>> Agreeing({"peer": (kl_pq, 1e-3)})({"ours": {"c0": counts}, "peer": {"c0": 0.1438}})
    """

    def __init__(self, definitions: Mapping[str, tuple[Callable[[Any, Any], float], float]]) -> None:
        self._definitions = definitions

    def __call__(self, answers: Mapping[str, Any]) -> None:
        everything_reported(answers)
        (_, first), *others = answers.items()
        for name, answer in others:
            for feature in set(TEXTS) & first.keys() if name in self._definitions else ():
                counts = np.array([first[feature][side] for side in ("reference", "live")], dtype=np.float64)
                counts = counts[:, counts.any(axis=0)]
                if counts.min() < RARE:  # those are treated in as many ways as there are tools
                    continue
                definition, within = self._definitions[name]
                wanted, found = definition(*counts), answer[feature]
                assert abs(found - wanted) <= within * wanted, f"{name}, {feature}: {found}, ours {wanted}"


def untold(answers: Mapping[str, Any]) -> None:
    """Nobody to compare with."""


def _values(answer: Any) -> list[Any]:
    return list(answer.values() if isinstance(answer, dict) else answer)


class Recounted:
    """Each contender's features against the raw data, by its own bins."""

    def __init__(self, folder: Path) -> None:
        self._tables = [pq.read_table(folder / f"{name}.parquet") for name in ("reference", "live")]

    def __call__(self, answers: Mapping[str, Any]) -> None:
        for name, features in answers.items():
            for feature, told in features.items():
                self._feature(f"{name}, {feature}", feature, told)

    def _feature(self, where: str, feature: str, told: Mapping[str, Any]) -> None:
        for side, table in zip(("reference", "live"), self._tables, strict=True):
            values = table[feature].to_numpy()
            found = numbers(values, told["bins"]) if feature in NUMERIC else texts(values, told["bins"])
            counts = np.array(told[side])[: len(found)]
            left = np.searchsorted(told["bins"], values, side="left") if feature in NUMERIC else []
            closed = np.bincount(left, minlength=len(found)) if feature in NUMERIC else found
            assert (counts == found).all() or (counts == closed).all(), f"{where}: {side} {counts}, not {found}"
        p, q = (np.array(told[side]) + PSEUDOCOUNT for side in ("reference", "live"))
        wanted = float(entropy(q, p))
        assert abs(told["kl_qp"] - wanted) < 1e-9, f"{where}: KL {told['kl_qp']}, scipy {wanted}"


def numbers(values: Any, edges: Any) -> Any:
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)


def texts(values: Any, words: Any) -> Any:
    found, times = np.unique(values.astype(str), return_counts=True)
    by_word = dict(zip(found.tolist(), times.tolist(), strict=True))
    return np.array([by_word.get(word, 0) for word in words])


def _short(answer: Any) -> str:
    text = str(answer)
    return text if len(text) < 200 else text[:200] + "..."
