"""The replay page: well-formed whatever the names hold, readable with 1 feature and with 100; points are real looks."""

from __future__ import annotations

import math
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.references import reference_of
from driftmon.monitor.rules import Alert, Change, Rule, State, TopBin
from driftmon.render.replay_page import FeatureView, Page, Row, Trial, html
from driftmon.render.replay_timeline import Bars, Line, Timeline
from driftmon.render.replay_words import Episode, Episodes, caught, change_json, sentence

HOSTILE = "</title><script>alert(1)</script>&\"'\u202e\x1b[31m" + "x" * 300
RULE = Rule("R", "kl_divergence_debiased", above=0.1)
VOID = {"meta", "br"}


class Balance(HTMLParser):
    """Collects tags; fails where one is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(names: list[str], points: int = 30) -> Page:
    values = [0.05 * (1 + math.sin(at)) if at % 7 else math.nan for at in range(points)]
    line = Line("w", 60_000, [60_000 * at for at in range(points)], values, [0.02] * points, values, [0.3] * points)
    bars = Bars("w", 60_000, True, 500, 0.2, (names[0], "b"), (0.5, 0.5), (0.9, 0.1), (0.5, -0.2))
    alert = Alert(RULE, names[0], names[0], "w", State.FIRING, value=0.2, noise_floor=0.01)
    alert = replace(alert, top_bins=(TopBin(names[0], names[0], 0.5, 0.9, 0.5),), rule=replace(RULE, name=names[0]))
    views = [FeatureView(name, "numeric", [line], bars) for name in names]
    trial = Trial([names[0]], [Row(names[0], 0.5, [(None, 0, 3)], True, True)], "method", "reason", "rules:\n")
    told = [{"injection": names[0], "feature": names[0], "from_ms": 600_000}]
    episodes = [Episode(alert, 120_000), Episode(alert, 120_000, 900_000)]
    return Page(names[0], [names[0]], {"records": "1"}, [(names[0], 0.1)], views, episodes, told, trial)


@pytest.mark.parametrize("names", [["x"], [f"feature_{n}" for n in range(100)], [HOSTILE]], ids=["1", "100", "hostile"])
def test_the_page_is_well_formed_and_runs_nothing(names: list[str]) -> None:
    text = html(page_of(names))
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert not parser.seen & {"script", "img", "link", "iframe", "object", "image", "use", "style" * 2}
    assert "default-src 'none'" in text
    assert "nan" not in text.partition("</style>")[2].lower().replace("jan", "")
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert text.count('<details class="card"') == len(names)
    assert all(f'id="f{at}"' in text and f'href="#f{at}"' in text for at in range(len(names)))


def test_without_alerts_shifts_and_points_the_page_says_so() -> None:
    bare = replace(
        page_of(["x"]), episodes=(), outcomes=(), trial=None, features=[FeatureView("x", "numeric", [], None)]
    )
    text = html(bare)
    assert "None. Nothing in this data would have raised an alert." in text
    assert "there are too few records" in text


def reports(steps: int = 500) -> Timeline:
    """A stream with a peak at step 300, drawn with at most 40 points."""
    chance = np.random.default_rng(3)
    reference = reference_of({"x": chance.normal(size=5000)})
    monitor = Monitor(reference, (Window.sliding("w", 600_000),), (RULE,), event_time=True)
    drawn, peaks = Timeline(points=40), []
    for step in range(steps):
        shift = 2.5 if 300 <= step < 330 else 0.0
        monitor.observe_columns({"x": chance.normal(shift, size=50)}, [10_000 * step] * 50)
        report = monitor.tick(10_000 * step)
        drawn.add(report)
        peaks.append(report.value(0, 0, "kl_divergence_debiased"))
    (line,) = drawn.lines(0)
    assert max(v for v in line.debiased if math.isfinite(v)) == max(v for v in peaks if math.isfinite(v))
    assert {v for v in line.debiased if math.isfinite(v)} <= set(peaks)
    return drawn


def test_points_are_looks_as_they_were_the_worst_among_them_and_bounded_in_number() -> None:
    (line,) = reports().lines(0)
    assert 20 <= len(line.times_ms) <= 40
    assert sorted(line.times_ms) == list(line.times_ms)
    worst = line.times_ms[int(np.nanargmax(line.debiased))]
    assert 3_000_000 < worst < 3_900_000


def test_bars_show_the_worst_moment_of_an_alert() -> None:
    bars = reports().bars(0)
    assert bars is not None
    assert bars.firing
    assert sum(bars.live) == pytest.approx(1)
    assert bars.debiased > 0.1


def alert(state: State, **more: object) -> Alert:
    return replace(Alert(RULE, "s", "x", "w", state, active_ms=60_000, value=0.25), **more)  # type: ignore[arg-type]


def test_an_episode_is_told_as_it_stood_when_it_fired() -> None:
    episodes = Episodes()
    episodes.add([Change("pending", alert(State.PENDING), 60_000), Change("firing", alert(State.FIRING), 120_000)])
    assert "still firing at the end" in sentence(episodes.all[0])
    episodes.add([Change("resolved", alert(State.INACTIVE, value=0.01), 7_260_000)])
    (episode,) = episodes.all
    assert (
        sentence(episode) == "1970-01-01 00:01 to 1970-01-01 02:01 (2h)  R  x (w): debiased KL 0.25 nats, threshold 0.1"
    )
    assert episodes.per_day(["R", "Other"], 2.0) == {"R": 0.5, "Other": 0.0}


def test_an_alert_per_stream_has_features_instead_of_a_feature() -> None:
    per_stream = replace(RULE, per="stream")
    told = change_json(Change("firing", alert(State.FIRING, rule=per_stream, feature="", features=("x", "y")), 5))
    assert (told["features"], "feature" in told, "evidence_log10" in told) == (["x", "y"], False, False)


def test_a_shift_that_comes_while_an_alert_fires_is_not_claimed() -> None:
    before = Episode(alert(State.FIRING), 100, 1000)
    after = Episode(alert(State.FIRING), 700)
    assert caught("i", 500, "x", [before]) == {"injection": "i", "feature": "x", "from_ms": 500, "already_firing": True}
    assert caught("i", 500, "x", [after])["delay_ms"] == 200
    assert "delay_ms" not in caught("i", 500, "y", [after])
