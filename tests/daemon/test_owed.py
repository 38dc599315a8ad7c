"""The ledger of owed notifications: laws over any history, and the timetable of resends and back-off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.daemon.owed import BATCH, RESOLVED_RETENTION_MS, Ledger
from driftmon.render.notice import Notice

MINUTE_MS = 60_000


def fired(name: str = "A", starts_ms: int = 1, value: str = "1") -> Notice:
    return Notice("firing", {"alertname": name}, {"value": value}, starts_ms)


def resolved(name: str = "A", starts_ms: int = 1) -> Notice:
    return Notice("resolved", {"alertname": name}, {}, starts_ms, ends_ms=starts_ms + 10)


def sent_until(ledger: Ledger, until_ms: int) -> list[tuple[int, str]]:
    """(time, status) of everything a healthy receiver is sent."""
    sent: list[tuple[int, str]] = []
    now_ms = 0
    while now_ms <= until_ms:
        while batch := ledger.due(now_ms):
            sent += [(now_ms, notice.status) for notice in batch]
            ledger.settle(batch, now_ms)
        next_ms = ledger.next_ms()
        if next_ms is None:
            break
        now_ms = max(next_ms, now_ms + 1)
    return sent


def test_a_receiver_that_remembers_is_told_each_transition_once() -> None:
    ledger = Ledger(resends=False)
    ledger.tell(fired(), 0)
    assert sent_until(ledger, 60 * MINUTE_MS) == [(0, "firing")]
    ledger.tell(resolved(), 0)
    assert sent_until(ledger, 60 * MINUTE_MS) == [(0, "resolved")]
    assert len(ledger) == 0


def test_a_receiver_that_forgets_is_told_each_minute() -> None:
    ledger = Ledger(resends=True)
    ledger.tell(fired(), 0)
    assert sent_until(ledger, 3 * MINUTE_MS) == [(minute * MINUTE_MS, "firing") for minute in range(4)]


def test_a_resolve_is_repeated_for_fifteen_minutes_and_then_over() -> None:
    ledger = Ledger(resends=True)
    ledger.tell(fired(), 0)
    ledger.settle(ledger.due(0), 0)
    ledger.tell(resolved(), 0)
    sent = sent_until(ledger, 60 * MINUTE_MS)
    assert sent == [(minute * MINUTE_MS, "resolved") for minute in range(RESOLVED_RETENTION_MS // MINUTE_MS)]
    assert len(ledger) == 0


def test_an_episode_within_one_tick_is_told_as_firing_then_resolved() -> None:
    ledger = Ledger(resends=False)
    ledger.tell(fired(), 0)
    ledger.tell(resolved(), 0)
    assert sent_until(ledger, 0) == [(0, "firing"), (0, "resolved")]


def test_a_new_firing_replaces_what_a_receiver_never_heard_of_the_old() -> None:
    ledger = Ledger(resends=False)
    for notice in (fired(), resolved(), fired(starts_ms=99)):
        ledger.tell(notice, 0)
    assert [notice.starts_ms for notice in ledger.due(0)] == [99]
    assert sent_until(ledger, 0) == [(0, "firing")]


def test_a_resend_carries_the_newest_value() -> None:
    ledger = Ledger(resends=True)
    ledger.tell(fired(value="1"), 0)
    ledger.settle(ledger.due(0), 0)
    ledger.refresh(fired(value="2"), 10_000)
    assert ledger.due(10_000) == []
    assert [notice.annotations["value"] for notice in ledger.due(MINUTE_MS)] == ["2"]


def test_an_alert_that_outlived_a_restart_is_news_only_to_those_who_forget() -> None:
    remembers, forgets = Ledger(resends=False), Ledger(resends=True)
    for ledger in (remembers, forgets):
        ledger.refresh(fired(), 0)
    assert (len(remembers.due(0)), len(forgets.due(0))) == (0, 1)


def test_back_off_doubles_from_a_second_to_five_minutes() -> None:
    ledger = Ledger(resends=True)
    ledger.tell(fired(), 0)
    waits = []
    for _ in range(11):
        now_ms = ledger.next_ms() or 0
        ledger.fail(now_ms, None, jitter=0.5)
        waits.append(((ledger.next_ms() or 0) - now_ms) / 500)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert ledger.due((ledger.next_ms() or 0) - 1) == []
    ledger.settle(ledger.due(ledger.next_ms() or 0), 0)
    ledger.fail(MINUTE_MS, None, jitter=0.5)
    assert ledger.next_ms() == MINUTE_MS + 500, "one success and the back-off starts anew"


@pytest.mark.parametrize(("after_s", "wait_ms"), [(30.0, 30_000), (0.0, 100), (1e9, 300_000)])
def test_retry_after_is_honoured_within_reason(after_s: float, wait_ms: int) -> None:
    ledger = Ledger(resends=False)
    ledger.tell(fired(), 0)
    ledger.fail(0, after_s, jitter=0.1)
    assert ledger.next_ms() == wait_ms


@pytest.mark.parametrize("resends", [True, False])
def test_a_refused_alert_is_not_tried_again_before_it_fires_anew(resends: bool) -> None:
    ledger = Ledger(resends)
    ledger.tell(fired(), 0)
    ledger.refuse(ledger.due(0))
    ledger.refresh(fired(), 0)
    assert ledger.next_ms() is None
    ledger.tell(fired(starts_ms=2), 0)
    assert len(ledger.due(0)) == 1


def test_a_refused_alert_has_no_resolve_either() -> None:
    ledger = Ledger(resends=True)
    ledger.tell(fired(), 0)
    ledger.refuse(ledger.due(0))
    ledger.tell(resolved(), 0)
    assert len(ledger) == 0


def test_what_changed_on_the_way_stays_owed() -> None:
    ledger = Ledger(resends=False)
    ledger.tell(fired(), 0)
    batch = ledger.due(0)
    ledger.tell(fired(starts_ms=50), 0)
    ledger.settle(batch, 0)
    assert [notice.starts_ms for notice in ledger.due(0)] == [50]


def test_batches_are_bounded() -> None:
    ledger = Ledger(resends=False)
    for number in range(BATCH + 1):
        ledger.tell(fired(str(number)), 0)
    assert len(ledger.due(0)) == BATCH
    assert len(sent_until(ledger, 0)) == BATCH + 1


def test_a_receiver_that_is_away_for_an_hour_hears_no_old_resolve() -> None:
    ledger = Ledger(resends=True)
    ledger.tell(fired(), 0)
    ledger.tell(resolved(), 0)
    ledger.fail(0, None, 0.0)
    ledger.settle(ledger.due(0), 0)
    assert ledger.due(60 * MINUTE_MS) == []
    assert ledger.next_ms() is None


steps = st.lists(
    st.tuples(st.sampled_from(["fire", "resolve", "send", "fail", "refuse"]), st.sampled_from("AB")), max_size=60
)


@given(steps, st.booleans())
def test_the_last_word_reaches_the_receiver(history: list[tuple[str, str]], resends: bool) -> None:
    """Whatever happened, once the receiver is well again it holds each alert as it was last told."""
    ledger, now_ms = Ledger(resends), 0
    told: dict[str, str] = {}
    heard: dict[str, str] = {}
    lost: set[str] = set()
    for at, (what, name) in enumerate(history):
        now_ms += 1000
        if what == "fire":
            ledger.tell(fired(name, at + 1), now_ms)
            told[name] = "firing"
            lost.discard(name)
        elif what == "resolve" and told.get(name) == "firing":
            ledger.tell(resolved(name, at + 1), now_ms)
            told[name] = "resolved"
        elif batch := ledger.due(now_ms):
            if what == "send":
                heard |= {notice.labels["alertname"]: notice.status for notice in batch}
                ledger.settle(batch, now_ms)
            elif what == "fail":
                ledger.fail(now_ms, None, 0.0)
            elif what == "refuse":
                lost |= {notice.labels["alertname"] for notice in batch}
                ledger.refuse(batch)
        assert len(ledger) <= 2
    for _ in range(2):
        batch = ledger.due(now_ms + 2 * MINUTE_MS)
        heard |= {notice.labels["alertname"]: notice.status for notice in batch}
        ledger.settle(batch, now_ms + 2 * MINUTE_MS)
    assert {name: heard.get(name) for name in told if name not in lost} == {n: told[n] for n in told if n not in lost}


def test_what_was_not_sent_yet_stays_as_it_fired() -> None:
    ledger = Ledger(resends=True)
    ledger.tell(fired(value="1"), 0)
    ledger.refresh(fired(value="2"), 10_000)
    assert [notice.annotations["value"] for notice in ledger.due(10_000)] == ["1"]


def test_a_refusal_of_what_was_replaced_on_the_way_refuses_nothing() -> None:
    ledger = Ledger(resends=True)
    ledger.tell(fired(), 0)
    batch = ledger.due(0)
    ledger.tell(fired(starts_ms=50), 0)
    ledger.refuse(batch)
    assert [notice.starts_ms for notice in ledger.due(0)] == [50]
