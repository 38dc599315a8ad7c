"""The fast twin is tested, never trusted: it must say what divergences.py says of the same counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.stats import running as module
from driftmon.stats.binnings import boolean, categorical, numeric
from driftmon.stats.columns import Floats, column_of
from driftmon.stats.divergences import Pair
from driftmon.stats.running import Running
from driftmon.stats.schema import Counts, Feature, Schema
from tests.stats.pairs import pairs, value

SIXTEEN = numeric.Binning(tuple(float(edge) for edge in range(13)))
TEN_FEATURES = Schema(tuple(Feature(f"f{index}", SIXTEEN) for index in range(10)))
LATE = Schema((Feature("late", boolean.Binning()),))
SKIPPED = Schema(
    (
        Feature("x", SIXTEEN, absent="skip"),
        Feature("y", SIXTEEN),
        Feature("c", categorical.Binning(("a",)), absent="skip"),
    )
)
values: Any = st.one_of(
    st.sampled_from([None, math.nan, math.inf, True, False, "UA", "unseen", "?", [], 2**53 + 1, np.float64(0.25)]),
    st.floats(),
    st.integers(-4, 11),
)


def recomputed(pair: Pair) -> dict[str, Floats]:
    return {
        "entropy": value(pair, "entropy", "live"),
        "cross_entropy_qp": value(pair, "cross_entropy", "q_p"),
        "cross_entropy_pq": value(pair, "cross_entropy", "p_q"),
        "kl_qp": value(pair, "kl_divergence", "q_p"),
        "kl_pq": value(pair, "kl_divergence", "p_q"),
        "psi": value(pair, "psi"),
    }


def assert_agrees(running: Running, pair: Pair) -> None:
    """KL(Q||P) to 1e-12; what is computed from the counts has nothing to be different by."""
    assert running.counts.tolist() == pair.live.tolist()
    for name, wanted in recomputed(pair).items():
        found, within = getattr(running, name)(), 1e-12 if name == "kl_qp" else 0.0
        assert found == pytest.approx(wanted, rel=within, abs=within, nan_ok=True), name


def counted(schema: Schema, events: list[dict[str, Any]]) -> Counts:
    """As columns."""
    names = {name for event in events for name in event}
    kinds = {feature.name: feature.kind for feature in schema.features}
    rows = [{name: column_of(kinds[name], [event[name]]) for name in names & event.keys()} for event in events]
    return sum((schema.counts(row, 1) for row in rows), start=np.zeros(schema.width, dtype=np.int64))


@given(pair=pairs())
def test_rebased_on_counts_it_is_what_they_are(pair: Pair) -> None:
    running = Running(pair.schema, pair.reference, pair.pseudocount)
    running.rebase(pair.live)
    assert_agrees(running, pair)
    assert running.kl_qp() == pytest.approx(value(pair, "kl_divergence", "q_p"), rel=0, abs=0, nan_ok=True)


@given(pair=pairs(), data=st.data())
def test_after_any_events_it_agrees_with_the_counts(pair: Pair, data: st.DataObject) -> None:
    names = st.sampled_from([*pair.schema.names, "f0"])
    events = data.draw(st.lists(st.dictionaries(names, values), max_size=25))
    running, live = Running(pair.schema, pair.reference, pair.pseudocount), pair.live
    if data.draw(st.booleans()):
        running.rebase(live)
    else:
        live = np.zeros(pair.schema.width)
    for event in events:
        running.observe(event)
    assert_agrees(running, pair.beside(live + counted(pair.schema, events)))


@given(events=st.lists(st.dictionaries(st.sampled_from(["x", "y", "c"]), values), max_size=10))
def test_a_feature_that_may_be_absent_has_a_total_of_its_own(events: list[dict[str, Any]]) -> None:
    reference = np.arange(1.0, SKIPPED.width + 1)
    running = Running(SKIPPED, reference, 0.5)
    for event in events:
        running.observe(event)
    assert_agrees(running, Pair(SKIPPED, reference, counted(SKIPPED, events).astype(float), 0.5))


@pytest.mark.parametrize("start", [0, 1_000_000])
def test_as_many_events_as_there_are_between_anchors_stay_within_a_million_millionth(start: int) -> None:
    """Ten features whose distribution moves; the worst is to start from nothing."""
    generator = np.random.default_rng(20130101)
    reference = generator.poisson(200.0, TEN_FEATURES.width).astype(float)
    before = generator.poisson(start / SIXTEEN.size, TEN_FEATURES.width).astype(float)
    rows = module.REBASE_AFTER - 1
    moving = generator.normal(np.linspace(5.0, 9.0, rows)[:, None], 3.0, size=(rows, 10))
    running = Running(TEN_FEATURES, reference, 0.5)
    running.rebase(before)
    for row in moving.tolist():
        running.observe(dict(zip(TEN_FEATURES.names, row, strict=True)))
    codes = SIXTEEN.codes(moving.ravel()).reshape(moving.shape) + TEN_FEATURES.starts
    assert_agrees(running, Pair(TEN_FEATURES, reference, before + TEN_FEATURES.count(codes), 0.5))


def test_in_time_it_starts_afresh_by_itself() -> None:
    reference = np.array([900.0, 100.0, 0.0, 3.0])
    running, fresh = Running(LATE, reference, 0.5), Running(LATE, reference, 0.5)
    for row in range(module.REBASE_AFTER):
        running.observe({"late": row % 7 == 0})
    fresh.rebase(running.counts)
    assert running.kl_qp().tolist() == fresh.kl_qp().tolist()


@pytest.mark.parametrize("pseudocount", [1e-300, 0.5, 7.0])
def test_the_end_of_the_table_of_growths_is_no_step(pseudocount: float) -> None:
    reference, before = np.array([9.0, 1.0, 0.0, 0.0]), np.array([module.GROWTHS - 5.0, module.GROWTHS - 9.0, 0.0, 0.0])
    running = Running(LATE, reference, pseudocount)
    running.rebase(before)
    for _ in range(10):
        running.observe({"late": True})
        running.observe({"late": False})
    assert_agrees(running, Pair(LATE, reference, before + np.array([10.0, 10.0, 0.0, 0.0]), pseudocount))
