"""Every divergence three ways, the identities between them, and the inequalities that must hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from driftmon.stats.binnings import categorical, numeric
from driftmon.stats.columns import Floats
from driftmon.stats.divergences import DIVERGENCES, Divergence, Pair, kl_qp
from driftmon.stats.schema import Binning, Feature, Schema
from tests.oracle import ORACLE, smooth
from tests.stats.pairs import BINNINGS, exactly, pairs, value

F_DIVERGENCES = [
    d
    for d in DIVERGENCES
    if d.name in ("kl_divergence", "js_divergence", "psi", "hellinger_distance", "total_variation_distance")
]


def named(divergence: Divergence) -> str:
    return "-".join((divergence.name, *divergence.labels.values()))


def undefined(divergence: Divergence, reference: list[int], live: list[int], ordered: int) -> bool:
    """Whether there is no value: nothing on a side that counts, among the `ordered` first bins where order counts."""
    if divergence.ordered:
        return not (sum(reference[:ordered]) and sum(live[:ordered]))
    return (divergence.needs_reference and not sum(reference)) or (divergence.needs_live and not sum(live))


def test_the_table_and_the_oracle_name_the_same_divergences() -> None:
    assert [(d.name, *d.labels.values()) for d in DIVERGENCES] == list(ORACLE)


@given(pair=pairs())
def test_every_divergence_equals_the_scalar_oracle(pair: Pair) -> None:
    found = [(divergence, divergence.of(pair)) for divergence in DIVERGENCES]
    for index, feature in enumerate(pair.schema.features):
        bins, positions = pair.schema.bins(index), feature.binning.positions
        reference, live = ([int(count) for count in counts[bins]] for counts in (pair.reference, pair.live))
        axis = [] if positions is None else positions.tolist()
        p, q = smooth(reference, pair.pseudocount), smooth(live, pair.pseudocount)
        for divergence, values in found:
            oracle = ORACLE[(divergence.name, *divergence.labels.values())]
            none = undefined(divergence, reference, live, len(axis))
            assert values[index] == exactly(math.nan if none else oracle(p, q, axis)), named(divergence)


@given(pair=pairs())
def test_kl_and_entropy_equal_scipy(pair: Pair) -> None:
    for index in range(len(pair.schema.features)):
        if not pair.live_total[index] or not pair.reference_total[index]:
            continue
        p, q = pair.p[pair.schema.bins(index)], pair.q[pair.schema.bins(index)]
        assert value(pair, "kl_divergence", "q_p")[index] == exactly(scipy.stats.entropy(q, p))
        assert value(pair, "kl_divergence", "p_q")[index] == exactly(scipy.stats.entropy(p, q))
        assert value(pair, "entropy", "live")[index] == exactly(scipy.stats.entropy(q))
        assert value(pair, "entropy", "reference")[index] == exactly(scipy.stats.entropy(p))


@given(pair=pairs())
def test_js_equals_the_square_of_scipys_distance(pair: Pair) -> None:
    for index, found in enumerate(value(pair, "js_divergence")):
        if not math.isnan(found):
            p, q = pair.p[pair.schema.bins(index)], pair.q[pair.schema.bins(index)]
            assert found == exactly(float(jensenshannon(p, q)) ** 2)


@given(pair=pairs())
def test_wasserstein_equals_scipy_on_the_bins_positions(pair: Pair) -> None:
    for index, found in enumerate(value(pair, "wasserstein_distance")):
        if math.isnan(found):
            continue
        binning = pair.schema.features[index].binning
        regular = slice(pair.schema.starts[index], pair.schema.starts[index] + binning.regular)
        where = binning.positions
        assert where is not None
        wanted = scipy.stats.wasserstein_distance(where, where, pair.q[regular], pair.p[regular])
        assert found == exactly(wanted)


@given(pair=pairs())
def test_kl_is_cross_entropy_less_entropy(pair: Pair) -> None:
    live = value(pair, "cross_entropy", "q_p") - value(pair, "entropy", "live")
    assert value(pair, "kl_divergence", "q_p") == exactly(live)
    reference = value(pair, "cross_entropy", "p_q") - value(pair, "entropy", "reference")
    assert value(pair, "kl_divergence", "p_q") == exactly(reference)


@given(pair=pairs())
def test_psi_is_kl_both_ways(pair: Pair) -> None:
    both = value(pair, "kl_divergence", "q_p") + value(pair, "kl_divergence", "p_q")
    assert value(pair, "psi") == exactly(both)


@given(pair=pairs())
def test_js_is_the_entropy_of_the_middle_less_the_mean_entropy(pair: Pair) -> None:
    middle = -(pair.p + pair.q) / 2 * np.log((pair.p + pair.q) / 2)
    mean = (value(pair, "entropy", "live") + value(pair, "entropy", "reference")) / 2
    wanted = np.add.reduceat(middle, pair.schema.starts) - mean
    assert value(pair, "js_divergence") == exactly(wanted)


@given(pair=pairs())
def test_hellinger_squared_is_one_less_the_overlap(pair: Pair) -> None:
    overlap = np.add.reduceat(np.sqrt(pair.p * pair.q), pair.schema.starts)
    squared = value(pair, "hellinger_distance") ** 2
    assert squared == exactly(np.where(np.isnan(squared), np.nan, 1 - overlap))


@given(pair=pairs())
def test_kl_is_at_least_twice_the_squared_total_variation(pair: Pair) -> None:
    """Pinsker: so KL >= 0, and zero only where p and q are equal."""
    known = (pair.live_total > 0) & (pair.reference_total > 0)
    least = 2 * value(pair, "total_variation_distance")[known] ** 2
    assert (value(pair, "kl_divergence", "q_p")[known] >= least - 1e-14).all()
    assert (value(pair, "kl_divergence", "p_q")[known] >= least - 1e-14).all()


@given(pair=pairs())
def test_a_divergence_is_zero_where_p_equals_q_and_never_negative(pair: Pair) -> None:
    equal = Pair(pair.schema, pair.live, pair.live, pair.pseudocount)
    for divergence in DIVERGENCES:
        if "entropy" not in divergence.name:
            same, found = divergence.of(equal), divergence.of(pair)
            assert (same[~np.isnan(same)] == 0.0).all(), named(divergence)
            assert (found[~np.isnan(found)] >= 0.0).all(), named(divergence)


def test_kl_is_not_symmetric() -> None:
    pair = Pair.of(p=[1, 1], q=[3, 1])
    assert value(pair, "kl_divergence", "q_p")[0] == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert value(pair, "kl_divergence", "p_q")[0] == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2))


@given(pair=pairs())
def test_bounded_divergences_keep_their_bounds(pair: Pair) -> None:
    bounds = {
        "js_divergence": math.log(2),
        "hellinger_distance": 1.0,
        "total_variation_distance": 1.0,
        "ks_distance": 1.0,
    }
    for name, most in bounds.items():
        found = value(pair, name)
        assert (found[~np.isnan(found)] <= most + 1e-14).all(), name
    entropy = value(pair, "entropy", "live")
    assert (entropy[~np.isnan(entropy)] <= np.log(pair.schema.sizes[~np.isnan(entropy)]) + 1e-14).all()


def merged(shares: Floats, groups: list[int]) -> list[float]:
    return [float(share) for share in np.bincount(groups, weights=shares, minlength=max(groups) + 1)]


@given(data=st.data(), pair=pairs())
def test_merging_bins_never_raises_an_f_divergence(data: st.DataObject, pair: Pair) -> None:
    """The data-processing inequality, on p and q as smoothed before merging."""
    bins = pair.schema.bins(0)
    p, q = pair.p[bins], pair.q[bins]
    groups = data.draw(st.lists(st.integers(0, len(p) - 1), min_size=len(p), max_size=len(p)))
    apart, together = Pair.of(p.tolist(), q.tolist()), Pair.of(merged(p, groups), merged(q, groups))
    for divergence in F_DIVERGENCES:
        assert divergence.of(together)[0] <= divergence.of(apart)[0] + 1e-12, named(divergence)


@given(pair=pairs(), other=pairs())
def test_a_feature_knows_nothing_of_its_neighbours(pair: Pair, other: Pair) -> None:
    features = (*pair.schema.features, *(Feature(f"g{f.name}", f.binning) for f in other.schema.features))
    both = Pair(
        Schema(features),
        np.concatenate((pair.reference, other.reference)),
        np.concatenate((pair.live, other.live)),
        pair.pseudocount,
    )
    for divergence in DIVERGENCES:
        alone = divergence.of(pair)
        assert divergence.of(both)[: len(alone)] == exactly(alone), named(divergence)


@given(pair=pairs(), factor=st.sampled_from([0.25, 2.0**-20, 2.0**-40]))
def test_a_decayed_window_has_fractional_counts_and_the_same_shares(pair: Pair, factor: float) -> None:
    decayed = Pair(pair.schema, pair.reference, pair.live * factor, pair.pseudocount)
    assert decayed.live_total == pytest.approx(pair.live_total * factor)
    assert decayed.q_raw == exactly(pair.q_raw)


@pytest.mark.parametrize("binning", BINNINGS, ids=lambda binning: f"{binning.kind}-{binning.size}")
def test_no_live_observation_leaves_only_the_references_entropy(binning: Binning) -> None:
    schema = Schema((Feature("x", binning),))
    pair = Pair(schema, np.ones(schema.width), np.zeros(schema.width), 0.5)
    assert [named(d) for d in DIVERGENCES if not np.isnan(d.of(pair)).all()] == ["entropy-reference"]


def test_no_reference_observation_leaves_only_the_live_entropy() -> None:
    schema = Schema((Feature("x", numeric.Binning((0.0, 1.0))),))
    pair = Pair(schema, np.zeros(schema.width), np.ones(schema.width), 0.5)
    assert [named(d) for d in DIVERGENCES if not np.isnan(d.of(pair)).all()] == ["entropy-live"]


def test_a_column_gone_missing_has_a_kl_but_no_ks() -> None:
    """KS and Wasserstein speak of values; where all are missing there are none to speak of."""
    schema = Schema((Feature("x", numeric.Binning((0.0, 1.0))),))
    pair = Pair(schema, np.array([10.0, 80.0, 10.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 0.0, 100.0]), 0.5)
    assert value(pair, "kl_divergence", "q_p")[0] > 3
    assert np.isnan(value(pair, "ks_distance")[0])
    assert np.isnan(value(pair, "wasserstein_distance")[0])


def test_edges_at_both_ends_of_float64_give_no_infinite_distance() -> None:
    pair = Pair.of(p=[1, 0, 0], q=[0, 0, 1], edges=[-1.7e308, 1.7e308])
    assert np.isnan(value(pair, "wasserstein_distance")[0])
    assert value(pair, "ks_distance")[0] == pytest.approx(1.0)


def test_a_bins_term_says_which_bin_did_it() -> None:
    pair = Pair.of(p=[50, 50, 0], q=[50, 20, 30])
    terms = kl_qp(pair)[:3]
    assert terms.argmax() == 2
    assert terms[1] < 0 == terms[0]


def test_a_pair_of_the_wrong_shape_is_refused() -> None:
    schema = Schema((Feature("x", categorical.Binning(("a",))),))
    with pytest.raises(ValueError, match=r"live counts have shape \(3,\), the schema \(4,\)"):
        Pair(schema, np.zeros(4), np.zeros(3), 0.5)


@pytest.mark.parametrize("pseudocount", [0.0, -0.5, math.nan, math.inf])
def test_a_pseudocount_must_be_above_zero(pseudocount: float) -> None:
    schema = Schema((Feature("x", categorical.Binning(("a",))),))
    with pytest.raises(ValueError, match="pseudocount must be a number > 0"):
        Pair(schema, np.zeros(4), np.zeros(4), pseudocount)
