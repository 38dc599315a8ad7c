"""Rows of several hours against the mixture of their hours: E stays an e-value though they are no draws from it."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon.stats.binnings import numeric
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import independent
from driftmon.stats.evidence import Tolerance
from driftmon.stats.schema import Feature, Schema

SCHEMA = Schema((Feature("x", numeric.Binning((0.0, 1.0))),))  # three bins, invalid, missing: K = 5
OUTCOMES = [row for row in product(range(4), repeat=5) if sum(row) == 3]
shares = st.lists(st.floats(0.01, 1.0), min_size=5, max_size=5).map(lambda found: np.array(found) / sum(found))


def chance(outcome: tuple[int, ...], q: Floats) -> float:
    ways = math.factorial(3) / math.prod(map(math.factorial, outcome))
    return float(ways * np.prod(q ** np.array(outcome)))


@settings(deadline=None, max_examples=40)
@given(shares, shares, st.integers(50, 5000), st.sampled_from([0.02, 0.1, 0.3]))
def test_rows_of_two_hours_expect_no_more_than_one_against_their_mixture(
    day: Floats, night: Floats, n: int, effect: float
) -> None:
    """Three rows of each: the sum over every pair of outcomes, exactly. For each alternative the factors' mean is 1."""
    reference = (day + night) / 2 * n
    p = (reference + 0.5) / (n + 2.5)
    model = Tolerance(SCHEMA, reference, p, effect, independent(SCHEMA))
    totals = sorted({tuple(map(sum, zip(one, other, strict=True))) for one, other in product(OUTCOMES, OUTCOMES)})
    e = dict(zip(totals, np.exp(model.log_e(np.array(totals, dtype=np.float64)))[:, 0].tolist(), strict=True))
    expected = sum(
        chance(one, day) * chance(other, night) * e[tuple(map(sum, zip(one, other, strict=True)))]
        for one, other in product(OUTCOMES, OUTCOMES)
    )
    assert expected <= 1 + 1e-9
