"""Assessment: every rule judged at every look; alerts are stepped here and nowhere else.

Law: an alert moves only as TRANSITIONS says. Python steps the few (rule, feature, window) that are in
breach, pending or firing; a rule `per: stream` shows one alert for all its features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.calibration import Calibration
from driftmon.monitor.clearing import CLEAR_PANES
from driftmon.monitor.flags import Flags
from driftmon.monitor.judgement import Judgement, by_bound, by_evidence, by_flags, by_threshold
from driftmon.monitor.panes import Ring, Window
from driftmon.monitor.rules import Alert, Change, Rule, State, Verdict, change_of, step
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.divergences import Pair
from driftmon.stats.schema import Schema
from driftmon.stats.sizing import reference_needed

Key = tuple[int, int, int]  # rule, window, feature

STREAM: Final = -1  # the feature number of an alert that is about the whole stream
NAMED_FEATURES: Final = 5


class Assessment:
    """The alerts of one stream. `look` once per evaluation, `take_changes` once per report."""

    def __init__(
        self,
        stream: str,
        schema: Schema,
        windows: Sequence[Window],
        rules: Sequence[Rule],
        calibrations: Mapping[int, Calibration],
        flags: Flags,
    ) -> None:
        self._stream, self._schema, self._windows = stream, schema, windows
        self.calibrations = calibrations
        self._flags = flags
        self._rules = [self._patient(rule, calibrations.get(index)) for index, rule in enumerate(rules)]
        self._active: dict[Key, Alert] = {}
        self._changes: list[Change] = []
        self._needed: tuple[Dispersion, Floats] | None = None
        names = [(feature.name, feature.kind) for feature in schema.features]
        watched = [[[r.watches(stream, n, w.name) and r.judges(k) for n, k in names] for w in windows] for r in rules]
        self._watched = np.array(watched, dtype=np.bool_).reshape(len(rules), len(windows), len(schema.names))
        detecting = [index for index, rule in enumerate(rules) if rule.detector is not None]
        for index in (*calibrations, *detecting):  # judged once, not per window: its alert is the shortest window's
            watching = np.flatnonzero(self._watched[index].any(axis=1)).tolist()
            shortest = min(watching, key=lambda at: windows[at].pane_ms, default=0)
            self._watched[index, np.arange(len(windows)) != shortest] = False

    @staticmethod
    def _patient(rule: Rule, calibration: Calibration | None) -> Rule:
        if calibration is None:
            return rule
        return replace(rule, keep_firing_for_ms=max(rule.keep_firing_for_ms, CLEAR_PANES * calibration.pane_ms))

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Those to show: of a rule per stream its one alert, of others each feature's."""
        return tuple(alert for key, alert in sorted(self._active.items()) if self._shown(key))

    @property
    def held(self) -> tuple[Alert, ...]:
        """All alerts, those behind a stream's alert included: what a restart needs."""
        return tuple(alert for _, alert in sorted(self._active.items()))

    def _shown(self, key: Key) -> bool:
        return (key[2] == STREAM) == (self._rules[key[0]].per == "stream")

    def restore(self, alerts: Sequence[Alert]) -> None:
        """Take over alerts of an earlier run by name; those of rules, windows or features that are gone are dropped."""
        rules = {rule.name: index for index, rule in enumerate(self._rules)}
        windows = {window.name: index for index, window in enumerate(self._windows)}
        features = {"": STREAM} | {name: index for index, name in enumerate(self._schema.names)}
        for alert in alerts:
            rule, window, feature = rules.get(alert.rule.name), windows.get(alert.window), features.get(alert.feature)
            if rule is None or window is None or feature is None:
                continue
            watched = self._watched[rule, window]
            if watched.any() if feature == STREAM else watched[feature]:
                self._active[rule, window, feature] = replace(alert, rule=self._rules[rule])

    def take_changes(self) -> tuple[Change, ...]:
        taken, self._changes = tuple(self._changes), []
        return taken

    def look(
        self, at_ms: int, values: Floats, pairs: Sequence[Pair], seen: Floats, evidence: Ring | None, first_ms: int
    ) -> None:
        """Judge values float64[W, D, F] as of `at_ms`, and the evidence of panes closed since the last look.

        `seen` float64[W, F]: the observations that `min_observations` is about; thinned rows count once.
        """
        for rule_index, rule in enumerate(self._rules):
            for window in np.flatnonzero(self._watched[rule_index].any(axis=1)).tolist():
                at = (rule_index, window)
                judgement = self._judge(at, values[window], pairs[window], seen[window], evidence, at_ms)
                if judgement is not None:
                    self._step_all(at, judgement, at_ms, first_ms + rule.notify_after_ms)
                    if rule.per == "stream":
                        self._step_stream(at, at_ms, first_ms + rule.notify_after_ms)

    def watched(self, rule: int, window: int) -> NDArray[np.bool_]:
        """bool[features]: those the rule judges in this window."""
        found: NDArray[np.bool_] = self._watched[rule, window]
        return found

    def _judge(
        self, at: tuple[int, int], values: Floats, pair: Pair, seen: Floats, evidence: Ring | None, at_ms: int
    ) -> Judgement | None:
        """By evidence where panes close, by a bound where a calibrated rule has no panes, else by threshold."""
        rule, calibration = self._rules[at[0]], self.calibrations.get(at[0])
        if rule.detector is not None:
            return by_flags(self._flags.look(at[0], at_ms), pair)
        if calibration is None:
            return (by_threshold if rule.calibrated is None else by_bound)(rule, values, pair, seen)
        return None if evidence is None else self._weigh(at, calibration, evidence, at_ms, values)

    def _weigh(
        self, at: tuple[int, int], calibration: Calibration, evidence: Ring, at_ms: int, values: Floats
    ) -> Judgement | None:
        """By evidence, once per closed pane; None in between."""
        if (closed_pane := calibration.next_pane(at_ms)) is None:
            return None
        firing = self.firing(at[0])
        finding = calibration.look(evidence, closed_pane, firing)
        return None if finding is None else by_evidence(calibration, finding, values, firing)

    def _step_all(self, at: tuple[int, int], judgement: Judgement, at_ms: int, notify_from_ms: int) -> None:
        rule, window = self._rules[at[0]], self._windows[at[1]].name
        breaching = np.flatnonzero((judgement.verdicts == Verdict.BREACH) & self._watched[at]).tolist()
        active = [feature for *where, feature in self._active if tuple(where) == at and feature != STREAM]
        for feature in sorted({*breaching, *active}):
            new = Alert(rule, self._stream, self._schema.names[feature], window, notify_from_ms=notify_from_ms)
            before = self._active.get((*at, feature), new)
            after = step(before, Verdict(int(judgement.verdicts[feature])), at_ms)
            if judgement.verdicts[feature] != Verdict.UNKNOWN:
                after = replace(after, **judgement.describe(feature))
            self._settle((*at, feature), before, after)
            if before.state is State.FIRING and after.state is State.INACTIVE and at[0] in self.calibrations:
                self._spend(at[0], feature, at_ms)

    def _spend(self, rule: int, feature: int, at_ms: int) -> None:
        calibration = self.calibrations[rule]
        calibration.spent_pane[feature] = at_ms // calibration.pane_ms - 1

    def _step_stream(self, at: tuple[int, int], at_ms: int, notify_from_ms: int) -> None:
        """One alert for all features of the rule: it fires while any of them does, and names the strongest."""
        firing = [alert for key, alert in self._active.items() if key[:2] == at and key[2] != STREAM]
        firing = [alert for alert in firing if alert.state is State.FIRING]
        rule = replace(self._rules[at[0]], pending_for_ms=0, keep_firing_for_ms=0)
        new = Alert(rule, self._stream, "", self._windows[at[1]].name, notify_from_ms=notify_from_ms)
        before = replace(self._active.get((*at, STREAM), new), rule=rule)
        if not firing and before.state is State.INACTIVE:
            return
        after = step(before, Verdict.BREACH if firing else Verdict.CLEAR, at_ms)
        if firing:
            strongest = sorted(firing, key=lambda alert: (-_strength(alert), alert.feature))[:NAMED_FEATURES]
            first, began = strongest[0], [alert.drift_since_ms for alert in firing if alert.drift_since_ms is not None]
            after = replace(
                after,
                features=tuple(alert.feature for alert in strongest),
                more_features=len(firing) - len(strongest),
                drift_since_ms=min(began, default=None),
                **{name: getattr(first, name) for name in TOLD_OF_THE_STRONGEST},
            )
        self._settle((*at, STREAM), before, after)

    def _settle(self, key: Key, before: Alert, after: Alert) -> None:
        if (change := change_of(before, after)) is not None and self._shown(key):
            self._changes.append(change)
        if after.state is State.INACTIVE:
            self._active.pop(key, None)
        else:
            self._active[key] = after

    def firing(self, rule: int | None = None) -> NDArray[np.bool_]:
        """bool[features]: some alert of the feature fires, of one rule or of any."""
        found = np.zeros(len(self._schema.names), dtype=np.bool_)
        keys = [key for key, alert in self._active.items() if alert.state is State.FIRING and key[2] != STREAM]
        found[[key[2] for key in keys if rule is None or key[0] == rule]] = True
        return found

    def firing_fixed(self) -> NDArray[np.bool_]:
        """bool[features]: an alert by a fixed threshold fires."""
        found = np.zeros(len(self._schema.names), dtype=np.bool_)
        for rule in set(range(len(self._rules))) - set(self.calibrations):
            found |= self.firing(rule)
        return found

    def evidence_log10(self) -> Floats:
        """float64[F]: of the first calibrated rule on the divergence that watches the feature; NaN before a pane has
        closed. That of a rule on a mean stands in its alert only: it would need a label of its own."""
        found = np.full(len(self._schema.names), np.nan)
        for calibration in reversed([*self.calibrations.values()]):
            if calibration.finding is not None and not calibration.mean:
                found = np.where(calibration.watched, calibration.finding.log10, found)
        return found

    def reference_needed(self, dispersion: Dispersion) -> Floats:
        """float64[F]: n that the smallest effect of a calibrated rule on the divergence wants; nothing without one."""
        effects = [one.effect for one in self.calibrations.values() if not one.mean]
        if not effects:
            return np.zeros(0)
        if self._needed is None or self._needed[0] is not dispersion:  # it moves with the reference, else never
            sizes = self._schema.sizes.astype(np.float64)
            self._needed = dispersion, reference_needed(sizes, min(effects), dispersion.ratio)
        return self._needed[1]

    def insufficient(self, seen: Floats, floors: Floats) -> NDArray[np.bool_]:
        """bool[..., F]: some rule cannot judge: by a threshold, in every window it watches there are too few
        observations; by evidence, in every window noise alone (`floors` float64[..., W, F]) may reach the effect."""
        found: NDArray[np.bool_] = seen.max(axis=-2, initial=0) <= 0
        for index, rule in enumerate(self._rules):
            calibration = self.calibrations.get(index)
            if calibration is not None:
                floor = calibration.floor(floors, seen)
                quiet = np.where(np.isnan(floor), np.inf, floor).min(axis=-2, initial=np.inf)
                found |= self._watched[index].any(axis=0) & (quiet > calibration.effect)
                continue
            if rule.detector is not None:
                continue
            most = np.where(self._watched[index], seen, -1).max(axis=-2, initial=-1)
            found |= (most >= 0) & (most < rule.min_observations)
        return found


TOLD_OF_THE_STRONGEST: Final = (
    "value",
    "noise_floor",
    "top_bins",
    "lower_bound",
    "evidence_log10",
    "once_in_ms",
    "reference_value",
)


def _strength(alert: Alert) -> float:
    return alert.value if np.isnan(alert.evidence_log10) else alert.evidence_log10
