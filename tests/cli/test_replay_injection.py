"""Injections: read as the help says, put in by time and row number alone, mistakes told with their cure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.cli.support.faults import Fault
from driftmon.cli.support.replay_engine import Watermark
from driftmon.cli.support.replay_injection import Injection, checked, injected, parsed
from driftmon.cli.support.replay_survey import Facts, survey
from driftmon.monitor.batch import Batch
from driftmon.monitor.warmup import part
from driftmon.stats.columns import Column
from driftmon.stats.edges import FeatureSpec

SPECS = [FeatureSpec("x", "numeric"), FeatureSpec("x:y", "categorical"), FeatureSpec("ok", "boolean")]
FACTS: Mapping[str, Facts] = {
    "x": Facts(mean=10.0, sd=2.0),
    "x:y": Facts(categories={"a": 3, "b>c": 2}),
    "ok": Facts(categories={"true": 3, "false": 2}),
}
DAY = 86_400_000
MARCH = 1_362_096_000_000  # 2013-03-01


def batch(rows: int = 1000) -> Batch:
    """A row a minute from 2013-03-01 on."""
    texts = Column(["a" if row % 2 else None for row in range(rows)], {"nested": [0, 2]}, absent=[4])
    columns = {"x": Column(np.arange(rows, dtype=np.float64)), "x:y": texts, "ok": Column(np.ones(rows))}
    return Batch(rows, columns, MARCH + 60_000 * np.arange(rows))


def values(text: str, name: str, of: Batch | None = None) -> list[object]:
    done = injected(of or batch(), 0, [parsed(text, SPECS)], FACTS)
    return list(done.columns[name].values)


def test_a_shift_begins_and_ends_when_it_is_said_to() -> None:
    assert values("x:-2@2013-03-01T00:02..2013-03-01T00:04Z", "x")[:6] == [0, 1, 0, 1, 4, 5]


def test_standard_deviations_and_spread_are_those_of_the_input() -> None:
    assert values("x:+0.5sd@2013-03-01", "x")[:3] == [1, 2, 3]
    assert values("x:*2@2013-03-01", "x")[:3] == [-10, -8, -6]
    assert values("x:x2@2013-03-01", "x")[:3] == [-10, -8, -6]


def test_categories_and_booleans_are_swapped() -> None:
    assert values("x:y:a>b>c@2013-03-01", "x:y")[:4] == [None, "b>c", None, "b>c"]
    assert set(values("ok:true>false@2013-03-01", "ok")) == {0.0}
    assert 210 < values("x:y:a>z 50%@2013-03-01", "x:y").count("a") < 290


def test_lost_values_are_missing_or_unreadable_and_absent_ones_stay_absent() -> None:
    lost = injected(batch(), 0, [parsed("x:y:missing 100%@2013-03-01", SPECS)], FACTS).columns["x:y"]
    assert (set(lost.values), lost.invalid, lost.absent) == ({None}, {"nested": []}, [4])
    broken = injected(batch(), 0, [parsed("x:y:invalid 100%@2013-03-01", SPECS)], FACTS).columns["x:y"]
    assert broken.invalid["text"] == [row for row in range(1000) if row != 4]
    assert np.isnan(np.array(values("x:missing 3%@2013-03-01", "x"), dtype=np.float64)).mean() == pytest.approx(
        0.03, abs=0.02
    )


@given(cuts=st.lists(st.integers(1, 99), max_size=5, unique=True).map(sorted), share=st.integers(1, 99))
def test_blocks_change_nothing(cuts: list[int], share: int) -> None:
    whole, changes = batch(100), [parsed(f"x:missing {share}%@2013-03-01T00:10", SPECS)]
    wanted = injected(whole, 7, changes, FACTS).columns["x"].values
    bounds = [0, *cuts, 100]
    pieces = [
        np.asarray(injected(part(whole, low, high), 7 + low, changes, FACTS).columns["x"].values, dtype=np.float64)
        for low, high in pairwise(bounds)
    ]
    np.testing.assert_array_equal(np.concatenate(pieces), wanted)


def test_the_recorded_batch_is_left_as_it_was() -> None:
    recorded = batch()
    values("x:+1@2013-03-01", "x", recorded)
    assert list(recorded.columns["x"].values) == list(range(1000))


MISTAKES = {
    "x:+1": "does not say since when; end it with @2013-08-01",
    "z:+1@2013-03-01": "no feature 'z'; begin it with one of these and a colon: x, x:y, ok",
    "x:up@2013-03-01": "'up' is no change; there are, for example, +0.5sd",
    "x:a>b@2013-03-01": "a>b does not go with x, which is numeric; say +0.5sd",
    "ok:+1@2013-03-01": "+1 does not go with ok, which is boolean; say UA>AA, true>false or missing 3%",
    "ok:yes>no@2013-03-01": "a boolean is true or false; say true>false or false>true",
    "x:missing 0%@2013-03-01": "0% is no share; say a number above 0",
    "x:missing 101%@2013-03-01": "101% is no share",
    "x:+1@yesterday": "'yesterday' is no date; write it as 2013-08-01",
    "x:+1@2013-03-02..2013-03-01": "2013-03-01 is not after 2013-03-02; swap the two",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_has_its_place_fault_and_cure(text: str) -> None:
    with pytest.raises(Fault, match=re.escape(MISTAKES[text])) as fault:
        parsed(text, SPECS)
    assert fault.value.message.startswith(f'--inject "{text}": ')


USELESS = {
    "x:+1@2013-05-01": "there are no records then; the input goes from 2013-03-01T00:00 to 2013-03-31T00:00, UTC",
    "x:+1@2012-01-01..2013-01-01": "there are no records then",
    "x:y:q>a@2013-03-02": "'q' never occurs; the most frequent are a, b>c",
}


@pytest.mark.parametrize("text", USELESS)
def test_an_injection_that_would_do_nothing_is_a_mistake(text: str) -> None:
    with pytest.raises(Fault, match=re.escape(USELESS[text])):
        checked([parsed(text, SPECS)], FACTS, (MARCH, MARCH + 30 * DAY))


def test_a_constant_has_no_standard_deviation() -> None:
    asked = [parsed("x:+1sd@2013-03-01", SPECS)]
    with pytest.raises(Fault, match="no spread"):
        checked(asked, {"x": Facts(mean=1.0, sd=0.0)}, (MARCH, MARCH + DAY))


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=20), max_size=6))
def test_moments_batch_by_batch_are_those_of_all_values(blocks: list[list[float]]) -> None:
    batches = [Batch(len(block), {"x": Column(np.array(block))}) for block in blocks]
    everything = np.array([value for block in blocks for value in block])
    found = survey(batches, {"x": "numeric"}, Watermark(0, 60_000)).facts["x"]
    if len(everything):
        assert found.mean == pytest.approx(everything.mean(), abs=1e-6)
        assert found.sd == pytest.approx(everything.std(), rel=1e-6, abs=1e-3)
    else:
        assert found == Facts()


def test_categories_come_most_frequent_first() -> None:
    column = Column(["b", "a", "a", None, "c", "b"])
    found = survey([Batch(6, {"c": column})], {"c": "categorical"}, Watermark(0, 60_000))
    assert found.facts["c"].commonest() == ["a", "b", "c"]


def test_an_injection_says_how_it_was_asked_for() -> None:
    asked = parsed("x:+1@2013-03-01", SPECS)
    assert isinstance(asked, Injection)
    assert (asked.feature, asked.from_ms, asked.to_ms, asked.text) == ("x", MARCH, None, "x:+1@2013-03-01")
