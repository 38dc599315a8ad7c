"""Trials: what each threshold costs in alerts on this data, and how fast it sees shifts put into it.

Law: every number comes from the engine itself, run over the recorded data with and without shifts. A shift
goes into all features it suits at once, because rules judge each feature by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from driftmon.cli.support.replay_engine import Replay
from driftmon.cli.support.replay_injection import Injection, Lost, Moved, Swapped, injected
from driftmon.cli.support.replay_survey import Facts, Survey
from driftmon.daemon.streams import Stream
from driftmon.monitor.batch import Batch
from driftmon.monitor.calibration import evidence_pane_ms
from driftmon.monitor.check import DEFAULT_RULES
from driftmon.monitor.panes import PANES, Window, finest_pane_ms
from driftmon.monitor.rules import Calibrated, Rule
from driftmon.monitor.snapshot import Snapshot
from driftmon.monitor.warmup import part
from driftmon.render.replay_words import Episodes, caught
from driftmon.stats.edges import FeatureSpec
from driftmon.stats.evidence import PANES as LONGEST_LAG

Build: TypeAlias = Callable[[Sequence[Rule], Snapshot], Stream]

THRESHOLDS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
EFFECTS: Final = (0.02, 0.1)
BUDGET_MS: Final = 30 * 86_400_000
ONSETS: Final = (0.25, 0.75)  # one moment alone may be a quiet or a stormy one


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule to try; `configured`: the configuration has it, up to its name."""

    rule: Rule
    configured: bool = False

    @property
    def label(self) -> str:
        return self.rule.name


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of shift: its name and what it does to a feature; None where it does not suit."""

    name: str
    change: Callable[[FeatureSpec, Facts], Moved | Lost | Swapped | None]


@dataclass(frozen=True, slots=True)
class Cell:
    """How a candidate did on one sort of shift: median delay, caught, tried (not counting where it fired already)."""

    delay_ms: float | None
    caught: int
    tried: int


def candidates(rules: Sequence[Rule]) -> list[Candidate]:
    """Thresholds on the debiased KL, those configured among them, then calibrated rules.

    >>> [one.label for one in candidates([])][:2], [one.label for one in candidates([])][-1]
    (['above 0.01', 'above 0.02'], 'effect 0.1')
    """
    fixed = [rule for rule in rules if _is_threshold(rule)]
    pattern = next(iter(fixed), next(rule for rule in DEFAULT_RULES if _is_threshold(rule)))
    there = {rule.above for rule in fixed}
    weighed = [rule for rule in rules if rule.calibrated is not None and not rule.mean]
    budget = next((rule.calibrated for rule in weighed), None) or Calibrated(EFFECTS[0], BUDGET_MS)
    effects = {rule.calibrated.effect for rule in weighed if rule.calibrated is not None}
    weighing = sorted({EFFECTS[0], *effects} if effects else EFFECTS)  # each costs as much as all thresholds together
    return [
        *(Candidate(_threshold(pattern, above), above in there) for above in sorted({*THRESHOLDS, *there})),
        *(Candidate(_calibrated(budget, effect), effect in effects) for effect in weighing),
    ]


def _is_threshold(rule: Rule) -> bool:
    return rule.calibrated is None and rule.metric == "kl_divergence_debiased" and rule.above > 0


def _threshold(pattern: Rule, above: float) -> Rule:
    ratio = None if pattern.resolve_below is None else pattern.resolve_below / pattern.above
    below = None if ratio is None else float(f"{above * ratio:.6g}")
    name = f"above {above:g}"
    return replace(pattern, name=name, above=above, resolve_below=below, streams="*", features="*", per="feature")


def _calibrated(budget: Calibrated, effect: float) -> Rule:
    return Rule(f"effect {effect:g}", "kl_divergence_debiased", above=effect, calibrated=replace(budget, effect=effect))


def _next_category(spec: FeatureSpec, facts: Facts) -> Swapped | None:
    known = facts.commonest()
    return Swapped(known[0], known[1], 0.5) if spec.kind in ("categorical", "boolean") and len(known) > 1 else None


KINDS: Final = (
    Kind("mean + 0.5 sd", lambda spec, facts: Moved(by_sd=0.5) if spec.kind == "numeric" and facts.sd else None),
    Kind("spread x 1.5", lambda spec, facts: Moved(times=1.5) if spec.kind == "numeric" and facts.sd else None),
    Kind("half of the commonest category", _next_category),
    Kind("5 % missing", lambda spec, facts: Lost(0.05)),
)
TOGETHER: Final = ((0, 2), (1,), (3,))  # sorts of shift that no feature takes both of share a run


class Run:
    """One run of the engine over a stretch of the input, with shifts or without."""

    def __init__(self, rules: Sequence[Rule], build: Build, injections: Sequence[Injection] = ()) -> None:
        self.injections = injections
        self.from_ms: float = -np.inf
        self.to_ms: float = np.inf
        self.episodes = Episodes()
        self._rules, self._build = rules, build
        self._replay: Replay | None = None

    def between(self, from_ms: int, to_ms: int) -> Run:
        self.from_ms, self.to_ms = from_ms, to_ms
        return self

    def observe(self, batch: Batch, first_row: int, reference: Snapshot | None, facts: Mapping[str, Facts]) -> None:
        """Count what of the batch lies in the stretch; nothing while the reference is being gathered."""
        if reference is None or batch.times_ms is None:
            return
        within = np.flatnonzero((batch.times_ms >= self.from_ms) & (batch.times_ms < self.to_ms))
        if not len(within):
            return
        if self._replay is None:
            self._replay = Replay(self._build(self._rules, reference))
        low, high = int(within[0]), int(within[-1]) + 1
        piece = injected(part(batch, low, high), first_row + low, self.injections, facts)
        self.episodes.add(self._replay.observe(piece).changes)

    def finish(self) -> None:
        if self._replay is not None:
            self.episodes.add(self._replay.finish().changes)


class Trials:
    """All runs of a table. Feed it what the main run is fed, before the shifts asked for are put in."""

    def __init__(
        self,
        tried: Sequence[Candidate],
        build: Build,
        survey: Survey,
        specs: Sequence[FeatureSpec],
        windows: Sequence[Window],
        asked: Sequence[Injection],
    ) -> None:
        self.candidates, self._facts = tried, survey.facts
        rules = [candidate.rule for candidate in tried]
        self.budget_ms = next(rule.calibrated.budget_ms for rule in rules if rule.calibrated is not None)
        self.plain = Run(rules, build)
        self.asked = Run(rules, build, asked) if asked else None
        longest_ms = PANES * max(window.pane_ms for window in windows)
        self.reach_ms, onsets = _onsets(survey.span_ms or (0, 0), _reach_ms(windows, rules))
        self.onsets_ms = onsets
        self.kinds: dict[str, list[Run]] = {}
        self._shifted: list[Run] = []
        for together in TOGETHER:
            for onset_ms in onsets:
                shifts = [injection for kind in together for injection in self._shifts(KINDS[kind], specs, onset_ms)]
                if shifts:
                    run = Run(rules, build, shifts).between(
                        onset_ms - min(longest_ms, self.reach_ms), onset_ms + self.reach_ms
                    )
                    self._shifted.append(run)

    def _shifts(self, kind: Kind, specs: Sequence[FeatureSpec], onset_ms: int) -> Iterator[Injection]:
        for spec in specs:
            change = kind.change(spec, self._facts[spec.name])
            if change is not None:
                yield Injection(spec.name, change, onset_ms, None, kind.name)

    def observe(self, batch: Batch, first_row: int, reference: Snapshot | None) -> None:
        for run in self._runs():
            run.observe(batch, first_row, reference, self._facts)

    def finish(self) -> None:
        for run in self._runs():
            run.finish()

    def _runs(self) -> list[Run]:
        return [self.plain, *([] if self.asked is None else [self.asked]), *self._shifted]

    def per_day(self, days: float) -> Mapping[str, float]:
        """Alerts a day of each candidate over all features, on the data as recorded."""
        return self.plain.episodes.per_day([candidate.label for candidate in self.candidates], days)

    def columns(self) -> dict[str, list[Cell]]:
        """By sort of shift, the shifts asked for first, one cell a candidate."""
        found: dict[str, list[Cell]] = {}
        for injection in [] if self.asked is None else self.asked.injections:
            found[injection.text] = self._cells([(self.asked, injection)] if self.asked else [])
        for kind in KINDS:
            shifts = [(run, one) for run in self._shifted for one in run.injections if one.text == kind.name]
            if shifts:
                found[kind.name] = self._cells(shifts)
        return found

    def _cells(self, shifts: Sequence[tuple[Run, Injection]]) -> list[Cell]:
        cells = []
        for candidate in self.candidates:
            told = [caught(one.text, one.from_ms, one.feature, run.episodes.of(candidate.label)) for run, one in shifts]
            tried = [one for one in told if "already_firing" not in one]
            delays = [one["delay_ms"] for one in tried if "delay_ms" in one]
            cells.append(Cell(float(np.median(delays)) if delays else None, len(delays), len(tried)))
        return cells


def _reach_ms(windows: Sequence[Window], rules: Sequence[Rule]) -> int:
    """How long a shift can stay in view: when windows and evidence hold nothing else, what has not fired never will."""
    pane_ms = next((rule.calibrated.pane_ms for rule in rules if rule.calibrated is not None), None)
    evidence_ms = evidence_pane_ms(finest_pane_ms(tuple(windows)), pane_ms) * (LONGEST_LAG + 1)
    return max(evidence_ms, *(PANES * window.pane_ms for window in windows))


def _onsets(span_ms: tuple[int, int], reach_ms: int) -> tuple[int, tuple[int, ...]]:
    """How long a shift is watched, at most a third of the data, and when it sets in, as long after the first record.

    >>> _onsets((0, 1200), 300)
    (300, (450, 750))
    """
    first, last = span_ms
    reach_ms = min(reach_ms, (last - first) // 3)
    room = last - first - 2 * reach_ms
    return reach_ms, tuple(first + reach_ms + round(room * part) for part in ONSETS)
