"""Labels: the join against a plain dict that takes one record after the other, and its laws."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon.monitor.id_ring import IdRing, digests
from driftmon.monitor.labels import LABEL, MATCHED, PREDICTION, Join, Pairs, Records

Row = tuple[int, int, int, int]  # id, kind, own time, step of the clock


@dataclass
class Naive:
    """The law in words: ids in the order they came, the oldest goes first."""

    wait_ms: int
    entries: int
    held: dict[int, list[float]] = field(default_factory=dict)  # kind, since, time, value
    outcomes: Counter[str] = field(default_factory=Counter)
    pairs: list[tuple[int, float, float, int, int]] = field(default_factory=list)
    seen: int = 0

    def take(self, one: int, kind: int, time: int, clock: int, value: float) -> None:
        while self.held and next(iter(self.held.values()))[1] + self.wait_ms < clock:
            self.drop()
        if one not in self.held:
            if len(self.held) == self.entries:
                self.drop()
            self.held[one] = [kind, clock, time, value]
        elif self.held[one][0] in (MATCHED, kind):
            self.outcomes["duplicate"] += 1
        else:
            _, _, other_time, other = self.held[one]
            self.held[one][0] = MATCHED
            self.outcomes["matched"] += 1
            mine, theirs = (value, time), (other, int(other_time))
            (p, p_ms), (y, y_ms) = (theirs, mine) if kind == LABEL else (mine, theirs)
            self.pairs.append((self.seen, p, y, p_ms, y_ms))
        self.seen += 1

    def drop(self) -> None:
        oldest = next(iter(self.held))
        self.outcomes[{PREDICTION: "expired", LABEL: "orphan"}.get(int(self.held.pop(oldest)[0]), "")] += 1


def records(rows: list[Row], first: int = 0, clock: int = 0) -> Records:
    """Rows as arrays; the value says which row it was."""
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    values = np.arange(first, first + len(rows), dtype=np.float64)[:, None]
    ids = digests(map(str, table[:, 0]))
    return Records(ids, table[:, 1].astype(np.uint8), table[:, 2], clock + np.cumsum(table[:, 3]), values)


def listed(pairs: Pairs, first: int) -> list[tuple[int, float, float, int, int]]:
    columns = (pairs.rows + first, pairs.predictions[:, 0], pairs.labels[:, 0], pairs.predicted_ms, pairs.labelled_ms)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 1), st.integers(0, 50), st.sampled_from([0, 0, 0, 1, 2, 5, 30])),
        max_size=60,
    ),
    st.integers(0, 10),
    st.integers(1, 12),
    st.lists(st.integers(1, 25)),
)
@settings(max_examples=80, deadline=None)
def test_the_join_is_that_of_one_record_after_the_other(
    rows: list[Row], wait_ms: int, entries: int, cuts: list[int]
) -> None:
    naive, join = Naive(wait_ms, entries), Join(wait_ms, entries)
    clock, found, low = 0, [], 0
    for at, (one, kind, time, step) in enumerate(rows):
        clock += step
        naive.take(one, kind, time, clock, float(at))
    clock = 0
    for cut in [*cuts, len(rows)]:
        part = rows[low : low + cut]
        found += listed(join.take(records(part, low, clock)), low)
        clock += sum(step for *_, step in part)
        low += len(part)
    assert found == naive.pairs
    assert {name: times for name, times in join.tally.outcomes.items() if times} == {
        name: times for name, times in naive.outcomes.items() if name and times
    }
    kinds = Counter(int(kind) for kind, *_ in naive.held.values())
    assert join.waiting == [kinds[PREDICTION], kinds[LABEL]]
    assert sum(join.tally.ages) == join.tally.outcomes["matched"]


def test_what_waits_too_long_is_counted_when_the_clock_says_so() -> None:
    join = Join(10, 100)
    join.take(records([(1, PREDICTION, 0, 0), (2, LABEL, 0, 0)]))
    join.expire(10)
    assert join.waiting == [1, 1]
    join.expire(11)
    assert join.waiting == [0, 0]
    assert join.tally.outcomes == {"matched": 0, "late": 0, "expired": 1, "orphan": 1, "duplicate": 0}


def test_ages_are_the_labels_time_less_the_predictions() -> None:
    join = Join(100_000, 100)
    join.take(records([(1, PREDICTION, 5000, 0), (2, LABEL, 0, 0), (1, LABEL, 65_000, 0), (2, PREDICTION, 9, 0)]))
    assert join.tally.ages[:4] == [1, 0, 1, 0]
    assert join.tally.ages_ms == 60_000


def test_a_ring_finds_its_ids_after_many_came_and_went() -> None:
    ring = IdRing(3000)
    for low in range(0, 60_000, 500):
        ring.drop(low - 2500)
        ring.add(digests(map(str, range(low, low + 500))))
    places = ring.find(digests(map(str, range(60_000))))
    assert (places[:57_000] == -1).all()
    assert (places[57_000:] == np.arange(57_000, 60_000)).all()
