"""The fast twin is tested, never trusted: it must say what divergences.py says of the same counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.stats import running as module
from driftmon.stats.binnings import boolean, numeric
from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair
from driftmon.stats.running import Running
from driftmon.stats.schema import Feature, Schema
from tests.stats.pairs import counts_of, pairs, value

SIXTEEN = numeric.Binning(tuple(float(edge) for edge in range(13)))
TEN_FEATURES = Schema(tuple(Feature(f"f{index}", SIXTEEN) for index in range(10)))


def recomputed(pair: Pair) -> dict[str, Floats]:
    return {
        "entropy": value(pair, "entropy", "live"),
        "cross_entropy_qp": value(pair, "cross_entropy", "q_p"),
        "cross_entropy_pq": value(pair, "cross_entropy", "p_q"),
        "kl_qp": value(pair, "kl_divergence", "q_p"),
        "kl_pq": value(pair, "kl_divergence", "p_q"),
        "psi": value(pair, "psi"),
    }


def assert_agrees(running: Running, pair: Pair, within: float = 1e-9) -> None:
    for name, wanted in recomputed(pair).items():
        found = getattr(running, name)()
        assert found == pytest.approx(wanted, rel=0, abs=within, nan_ok=True), name


@given(pair=pairs())
def test_rebased_on_counts_it_agrees_with_them(pair: Pair) -> None:
    running = Running(pair.schema, pair.reference, pair.pseudocount)
    running.rebase(pair.live)
    assert_agrees(running, pair, within=1e-11)


@given(pair=pairs(), data=st.data())
def test_after_any_adds_and_removes_it_agrees_with_the_counts(pair: Pair, data: st.DataObject) -> None:
    bins = st.integers(0, pair.schema.width - 1)
    blocks = data.draw(st.lists(st.lists(bins, max_size=30), max_size=20))
    running, held = Running(pair.schema, pair.reference, pair.pseudocount), []
    for block in blocks:
        running.add(np.array(block, dtype=np.int64))
        held.append(block)
        if data.draw(st.booleans()):
            running.remove(np.array(held.pop(0), dtype=np.int64))
    counts = np.bincount([code for block in held for code in block] or [0], minlength=pair.schema.width).astype(float)
    counts[0] -= not any(held)
    assert running.counts.tolist() == counts.tolist()
    assert_agrees(running, Pair(pair.schema, pair.reference, counts, pair.pseudocount))


@given(pair=pairs(), data=st.data())
def test_a_block_is_its_observations_one_by_one(pair: Pair, data: st.DataObject) -> None:
    block = data.draw(st.lists(st.integers(-1, pair.schema.width - 1), max_size=40))
    at_once, singly = (Running(pair.schema, pair.reference, pair.pseudocount) for _ in range(2))
    at_once.add(np.array(block, dtype=np.int64))
    for code in block:
        singly.add(code)
    assert at_once.counts.tolist() == singly.counts.tolist()
    assert at_once.kl_qp() == pytest.approx(singly.kl_qp(), rel=0, abs=1e-11, nan_ok=True)
    each = Running(pair.schema, pair.reference, pair.pseudocount)
    each.add_each([code for code in block if code >= 0])
    assert each.counts.tolist() == singly.counts.tolist()
    for name in recomputed(pair):
        assert getattr(each, name)() == pytest.approx(getattr(singly, name)(), rel=0, abs=1e-11, nan_ok=True)
    alone = [each.kl_qp_of(index) for index in range(len(pair.schema.features))]
    assert alone == pytest.approx(each.kl_qp(), rel=0, abs=1e-12, nan_ok=True)


@given(data=st.data(), pair=pairs())
def test_adding_and_taking_back_leaves_nothing(data: st.DataObject, pair: Pair) -> None:
    counts = data.draw(counts_of(pair.schema).map(lambda drawn: drawn % 50))
    block = np.repeat(np.arange(pair.schema.width), counts)
    running = Running(pair.schema, pair.reference, pair.pseudocount)
    running.add(block)
    running.remove(block)
    assert not running.counts.any()
    assert np.isnan(running.kl_qp()).all()


@pytest.mark.parametrize("window", [100, 5_000])
def test_a_million_mixed_adds_and_removes_stay_within_a_billionth(window: int) -> None:
    """A window of the last events, whose distribution moves: 50,000 events of ten features in, nearly as many out."""
    generator = np.random.default_rng(20130101)
    reference = generator.poisson(200.0, TEN_FEATURES.width).astype(float)
    moving = generator.normal(np.linspace(5.0, 9.0, 51_000)[:, None], 3.0, size=(51_000, 10))
    events = SIXTEEN.codes(moving.ravel()).reshape(moving.shape) + TEN_FEATURES.starts
    running = Running(TEN_FEATURES, reference, 0.5)
    updates = 0
    for index, event in enumerate(events):
        running.add(event)
        updates += event.size
        if index >= window:
            running.remove(events[index - window])
            updates += event.size
    assert 900_000 < updates < module.REBASE_AFTER, "no rebase may hide the rounding"
    counts = np.bincount(events[-window:].ravel(), minlength=TEN_FEATURES.width).astype(float)
    assert_agrees(running, Pair(TEN_FEATURES, reference, counts, 0.5))


def test_after_a_million_updates_it_starts_afresh_by_itself() -> None:
    schema = Schema((Feature("late", boolean.Binning()),))
    reference = np.array([900.0, 100.0, 0.0, 3.0])
    running, fresh = Running(schema, reference, 0.5), Running(schema, reference, 0.5)
    running.add(np.repeat([0, 1], [module.REBASE_AFTER - 1, 1]))
    fresh.rebase(running.counts)
    assert [getattr(running, name)() for name in recomputed(Pair(schema, reference, reference, 0.5))] == [
        getattr(fresh, name)() for name in recomputed(Pair(schema, reference, reference, 0.5))
    ]


def test_removing_what_was_not_added_is_refused_and_changes_nothing() -> None:
    schema = Schema((Feature("late", boolean.Binning()),))
    running = Running(schema, np.ones(4), 0.5)
    running.add(np.array([0, 0, 1]))
    before = running.counts, running.kl_qp()
    with pytest.raises(ValueError, match="bin 1 would fall below zero: remove only what was added"):
        running.remove(np.array([0, 1, 1]))
    assert running.counts.tolist() == before[0].tolist()
    assert running.kl_qp() == before[1]


def test_an_uncounted_code_changes_nothing() -> None:
    running = Running(Schema((Feature("late", boolean.Binning()),)), np.ones(4), 0.5)
    running.add(-1)
    assert not running.counts.any()
