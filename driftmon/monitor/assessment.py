"""Assessment: rules held against the numbers of each evaluation; alerts are stepped here and nowhere else.

Law: verdicts are arrays over all features (0.02 ms for 3,000 pairs); Python steps only the few
(rule, feature, window) that are in breach, pending or firing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.panes import Window
from driftmon.monitor.quantities import RATIOS, index_of, special_share
from driftmon.monitor.report import Status
from driftmon.monitor.rules import Alert, Change, Rule, State, TopBin, Verdict, change_of, step
from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair, kl_qp
from driftmon.stats.schema import Schema

Key = tuple[int, int, int]  # rule, window, feature

TOP_BINS = 3


class Assessment:
    """The alerts of one stream. `look` once per evaluation, `take_changes` once per report."""

    def __init__(
        self, stream: str, schema: Schema, windows: Sequence[Window], rules: Sequence[Rule], pane_ms: int
    ) -> None:
        self._stream, self._schema, self._windows, self._rules = stream, schema, windows, rules
        self._longest_step_ms = pane_ms
        self._active: dict[Key, Alert] = {}
        self._changes: list[Change] = []
        self._at_ms: int | None = None
        self.drift_ms = np.zeros(len(schema.features), dtype=np.int64)
        self.evaluated_ms = np.zeros(len(schema.features), dtype=np.int64)
        watched = [[[r.watches(stream, name, w.name) for name in schema.names] for w in windows] for r in rules]
        self._watched = np.array(watched, dtype=np.bool_).reshape(len(rules), len(windows), len(schema.names))

    @property
    def alerts(self) -> tuple[Alert, ...]:
        return tuple(self._active[key] for key in sorted(self._active))

    def restore(self, alerts: Sequence[Alert]) -> None:
        """Take over alerts of an earlier run by name; those of rules, windows or features that are gone are dropped."""
        rules = {rule.name: index for index, rule in enumerate(self._rules)}
        windows = {window.name: index for index, window in enumerate(self._windows)}
        features = {name: index for index, name in enumerate(self._schema.names)}
        for alert in alerts:
            key = (rules.get(alert.rule.name), windows.get(alert.window), features.get(alert.feature))
            if key[0] is not None and key[1] is not None and key[2] is not None and self._watched[key]:
                self._active[key[0], key[1], key[2]] = replace(alert, rule=self._rules[key[0]])

    def take_changes(self) -> tuple[Change, ...]:
        taken, self._changes = tuple(self._changes), []
        return taken

    def look(self, at_ms: int, values: Floats, pairs: Sequence[Pair]) -> None:
        """Judge values float64[W, D, F] as of `at_ms` and step every alert concerned."""
        for rule_index, rule in enumerate(self._rules):
            for window_index, pair in enumerate(pairs):
                seen = rule_values(rule, values[window_index], pair)
                verdicts = verdicts_of(rule, seen, pair.live_total)
                self._step((rule_index, window_index), rule, seen, verdicts, values[window_index], pair, at_ms)
        self._clock(at_ms, pairs)

    def _step(
        self,
        at: tuple[int, int],
        rule: Rule,
        seen: Floats,
        verdicts: NDArray[np.int8],
        values: Floats,
        pair: Pair,
        at_ms: int,
    ) -> None:
        watched = self._watched[at]
        breaching = np.flatnonzero((verdicts == Verdict.BREACH) & watched).tolist()
        active = [feature for rule_index, window, feature in self._active if (rule_index, window) == at]
        for feature in sorted({*breaching, *active}):
            name = self._schema.names[feature]
            before = self._active.get((*at, feature), Alert(rule, self._stream, name, self._windows[at[1]].name))
            after = step(before, Verdict(int(verdicts[feature])), at_ms)
            if verdicts[feature] != Verdict.UNKNOWN:
                floor = float(values[index_of("kl_noise_floor"), feature])
                after = replace(after, value=float(seen[feature]), noise_floor=floor, top_bins=top_bins(pair, feature))
            if (change := change_of(before, after)) is not None:
                self._changes.append(change)
            if after.state is State.INACTIVE:
                self._active.pop((*at, feature), None)
            else:
                self._active[(*at, feature)] = after

    def _clock(self, at_ms: int, pairs: Sequence[Pair]) -> None:
        """Add the time since the last look, at most a pane, to what was judged and to what was in drift."""
        passed_ms = 0 if self._at_ms is None else min(max(at_ms - self._at_ms, 0), self._longest_step_ms)
        self._at_ms = at_ms
        self.evaluated_ms = self.evaluated_ms + np.where(self.insufficient(pairs), 0, passed_ms)
        self.drift_ms = self.drift_ms + np.where(self.firing(), passed_ms, 0)

    def firing(self) -> NDArray[np.bool_]:
        """bool[features]: some alert of the feature fires."""
        found = np.zeros(len(self._schema.names), dtype=np.bool_)
        found[[key[2] for key, alert in self._active.items() if alert.state is State.FIRING]] = True
        return found

    def insufficient(self, pairs: Sequence[Pair]) -> NDArray[np.bool_]:
        """bool[features]: some rule has too few observations in every window it watches; without rules, none at all."""
        observed = np.array([pair.live_total for pair in pairs]).reshape(len(pairs), len(self._schema.names))
        found: NDArray[np.bool_] = observed.max(axis=0, initial=0) <= 0
        for index, rule in enumerate(self._rules):
            most = np.where(self._watched[index], observed, -1).max(axis=0, initial=-1)
            found |= (most >= 0) & (most < rule.min_observations)
        return found


def rule_values(rule: Rule, values: Floats, pair: Pair) -> Floats:
    """float64[features]: what a rule compares; for the ratios the live share less the reference's."""
    seen: Floats = values[index_of(rule.metric, rule.metric_labels)]
    return seen - special_share(pair.p_raw, pair, rule.metric) if rule.metric in RATIOS else seen


def verdicts_of(rule: Rule, values: Floats, observations: Floats) -> NDArray[np.int8]:
    """int8[features]: Rule.verdict for all features at once."""
    clear_below = rule.above if rule.resolve_below is None else rule.resolve_below
    found = np.full(len(values), Verdict.BETWEEN, dtype=np.int8)
    found[values > rule.above] = Verdict.BREACH
    found[(values < clear_below) & ~(values > rule.above)] = Verdict.CLEAR
    found[(observations < rule.min_observations) | np.isnan(values)] = Verdict.UNKNOWN
    return found


def top_bins(pair: Pair, feature: int) -> tuple[TopBin, ...]:
    """The bins that contribute most to KL(Q||P), either way, largest first."""
    bins = pair.schema.bins(feature)
    terms = kl_qp(pair)[bins]
    labels, name = pair.schema.features[feature].binning.labels(), pair.schema.names[feature]
    order = np.argsort(-np.abs(terms), kind="stable")[:TOP_BINS]
    p, q = pair.p_raw[bins], pair.q_raw[bins]
    return tuple(TopBin(name, labels[k], float(p[k]), float(q[k]), float(terms[k])) for k in order)


def statuses(
    assessment: Assessment, pairs: Sequence[Pair], quiet: NDArray[np.bool_], names: Sequence[str]
) -> Mapping[str, Status]:
    """A status per feature: stale before drift before insufficient data before ok."""
    chosen = np.select(
        [quiet, assessment.firing(), assessment.insufficient(pairs)],
        [Status.STALE, Status.DRIFT, Status.INSUFFICIENT_DATA],
        Status.OK,
    )
    return {name: Status(int(code)) for name, code in zip(names, chosen, strict=True)}
