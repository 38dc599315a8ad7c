"""What other tools would say of the same counts: those of their definitions that fill no zeros.

Law: at a vanishing pseudocount our numbers are theirs, so that a user can compare before changing over.
A: four categories, 10,000 against 1,000. B: a new third bin with 1 % of the live data.
"""

from __future__ import annotations

import math

import pytest

from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair
from tests.stats.pairs import value

A = Pair.of(p=[4000, 3000, 2000, 1000], q=[350, 310, 220, 120])
B = Pair.of(p=[5000, 5000, 0], q=[495, 495, 10])


def js_distance(pair: Pair) -> Floats:
    return value(pair, "js_divergence") ** 0.5


@pytest.mark.parametrize(
    ("tool", "found", "wanted"),
    [
        ("evidently jensenshannon, base e: A", js_distance(A), 0.0396017),
        ("evidently jensenshannon, base e: B", js_distance(B), 0.0589771),
        ("evidently and scipy KL(P||Q), nothing to fill: A", value(A, "kl_divergence", "p_q"), 0.00628142),
        ("frouros, CapyMOA, Great Expectations KL(Q||P): A", value(A, "kl_divergence", "q_p"), 0.00627568),
        ("every tool's PSI, nothing to fill: A", value(A, "psi"), 0.0125571),
        ("mlrun TVD: A", value(A, "total_variation_distance"), 0.05),
        ("mlrun TVD: B", value(B, "total_variation_distance"), 0.01),
        ("mlrun and nannyml hellinger: A", value(A, "hellinger_distance"), 0.0396102),
        ("mlrun and nannyml hellinger: B", value(B, "hellinger_distance"), 0.0707995),
        ("nannyml jensen_shannon distance, base 2: A", js_distance(A) / math.log(2) ** 0.5, 0.0475665),
        ("nannyml jensen_shannon distance, base 2: B", js_distance(B) / math.log(2) ** 0.5, 0.0708387),
        ("TFDV JSD, base 2: A", value(A, "js_divergence") / math.log(2), 0.00226257),
        ("TFDV JSD, base 2: B", value(B, "js_divergence") / math.log(2), 0.00501812),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_definition_without_fill_is_met(tool: str, found: Floats, wanted: float) -> None:
    assert found[0] == pytest.approx(wanted, rel=5e-6), tool


def test_where_others_say_infinity_the_vanishing_pseudocount_says_large_and_the_usual_one_something_useful() -> None:
    """frouros and Great Expectations: KL(Q||P) of B is inf. A pseudocount keeps it finite and moderate."""
    assert value(B, "kl_divergence", "q_p")[0] > 6
    usual = Pair(B.schema, B.reference, B.live, 0.5)
    assert 0.02 < value(usual, "kl_divergence", "q_p")[0] < 0.1
