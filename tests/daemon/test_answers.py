"""Answers: in order, one wake-up for all of a turn, and one that breaks is nobody else's trouble."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from driftmon.daemon.answers import Answers
from driftmon.sources.base import Settled, unanswered


def test_the_loop_is_woken_once_and_everybody_is_told_in_order(caplog: pytest.LogCaptureFixture) -> None:
    woken: list[Callable[[], None]] = []
    told: list[Settled | Exception] = []
    answers, outcomes = Answers(woken.append), [Settled(at) for at in range(3)]

    def broken(outcome: Settled | Exception) -> None:
        raise RuntimeError("a bug")

    answers.give(unanswered, outcomes[0])
    answers.send()
    assert not woken
    for outcome, ack in zip(outcomes, (told.append, broken, told.append), strict=True):
        answers.give(ack, outcome)
    answers.send()
    assert (len(woken), told) == (1, [])
    woken[0]()
    assert told == [outcomes[0], outcomes[2]]
    assert "could not be told" in caplog.text


def test_what_is_given_while_others_are_told_is_told_too() -> None:
    woken: list[Callable[[], None]] = []
    told: list[Settled | Exception] = []
    answers = Answers(woken.append)
    answers.give(lambda outcome: answers.give(told.append, outcome), Settled(1))
    answers.send()
    answers.send()
    for one in woken:
        one()
    assert told == [Settled(1)]
