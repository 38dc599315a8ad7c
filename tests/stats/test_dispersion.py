"""Dispersion a few blocks at a time is that of all blocks in one go, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon.stats import dispersion as module
from driftmon.stats.binnings import boolean, categorical, numeric
from driftmon.stats.coarsenings import Coarsenings
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import AT_ONCE, MIN_BLOCKS, Dispersion, dispersion
from driftmon.stats.schema import Counts, Feature, Schema
from driftmon.stats.special import chdtri

SCHEMA = Schema(
    (
        Feature("x", numeric.Binning(tuple(range(9)))),
        Feature("c", categorical.Binning(("a", "b", "c"))),
        Feature("b", boolean.Binning()),
    )
)


def phi_of_all(blocks: Counts | Floats, expected: Floats | None) -> tuple[Floats, Floats]:
    """Σ (y - N p)² / (N p (1-p)) of every coarsening, and p, by arrays of all blocks: the definition."""
    pairs = Coarsenings(SCHEMA)
    totals = np.add.reduceat(blocks, SCHEMA.starts, axis=1).astype(np.float64)[:, pairs.feature]
    first = pairs.first(blocks.astype(np.float64))
    share = np.divide(first.sum(axis=0), totals.sum(axis=0), out=np.zeros(first.shape[1]), where=totals.sum(axis=0) > 0)
    mean = totals * share if expected is None else pairs.first(expected)
    rest = 1 - (share if expected is None else np.divide(mean, totals, out=np.ones(mean.shape), where=totals > 0))
    excess, chance = first - mean, mean * rest
    return np.divide(excess**2, chance, out=np.zeros(excess.shape), where=chance > 0).sum(axis=0), share


@settings(max_examples=30)
@given(
    st.integers(0, 10_000),
    st.sampled_from([MIN_BLOCKS, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE + 7]),
    st.sampled_from([0.05, 2.0, 300.0]),
    st.sampled_from(["whole", "thinned"]),
    st.booleans(),
)
def test_a_few_blocks_at_a_time_change_no_bit(seed: int, many: int, rate: float, counts: str, seasonal: bool) -> None:
    chance = np.random.default_rng(seed)
    drawn = chance.poisson(rate * (chance.random(SCHEMA.width) > 0.2), (many, SCHEMA.width))
    blocks = drawn * chance.uniform(0.5, 1.0, (many, 1)) if counts == "thinned" else drawn
    expected = drawn * chance.uniform(0.5, 1.5, drawn.shape) if seasonal else None
    squares, share = phi_of_all(blocks, expected)
    pairs = Coarsenings(SCHEMA)
    first, total = module._sums(pairs, blocks, np.add.reduceat(blocks, SCHEMA.starts, axis=1).astype(np.float64))
    assert np.array_equal(np.divide(first, total, out=np.zeros(first.shape), where=total > 0), share)
    found = dispersion(SCHEMA, blocks, expected)
    assert found is not None
    filled = (np.add.reduceat(blocks, SCHEMA.starts, axis=1) > 0).sum(axis=0)
    free = np.maximum(filled - 1, 1)
    upper = np.where(filled > 1, free / chdtri(free, module.UPPER_TAIL), 1.0)
    assert np.array_equal(found.phi[0], np.maximum(squares / free[pairs.feature] * upper[pairs.feature], 1.0))


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_a_tree_says_of_each_coarsening_what_it_was_told(seed: int, scales: int) -> None:
    chance, pairs = np.random.default_rng(seed), Coarsenings(SCHEMA)
    parts = [chance.uniform(1.0, 9.0, (scales, len(SCHEMA.features))) for _ in range(3)]
    phi = chance.uniform(1.0, 5.0, (scales, len(pairs.feature)))
    told = Dispersion(parts[0], parts[1].astype(np.int64), parts[2], phi, np.arange(scales))
    tree = module.as_dict(SCHEMA, told, "rows")
    for at, name in enumerate(SCHEMA.names):
        assert [one[name]["phi"] for one in tree["scales"]] == phi[:, pairs.feature == at].tolist()
    found = module.from_dict(SCHEMA, tree)
    assert found is not None
    assert np.array_equal(found.phi, phi)


def test_a_tree_with_another_number_of_bins_is_refused() -> None:
    ones, phi, whole = np.ones((1, 3)), np.ones((1, len(Coarsenings(SCHEMA).feature))), np.ones((1, 3), dtype=np.int64)
    one = Dispersion(ones, whole, ones, phi, whole[0, :1])
    tree = module.as_dict(SCHEMA, one, "rows")
    tree["scales"][0]["c"]["phi"] += tree["scales"][0]["x"]["phi"][:1]
    tree["scales"][0]["x"]["phi"] = tree["scales"][0]["x"]["phi"][1:]
    with pytest.raises(ValueError, match="does not fit the features"):
        module.from_dict(SCHEMA, tree)
