"""Pages: what `replay --report` gathers on the way, and the page it makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from driftmon.cli.support.replay_engine import Tally, stream_for
from driftmon.cli.support.replay_injection import Injection
from driftmon.cli.support.replay_proposal import best, snippet
from driftmon.cli.support.replay_survey import Survey
from driftmon.cli.support.replay_trials import Trials, candidates
from driftmon.daemon.settings import Config, StreamSettings
from driftmon.render.replay_page import FeatureView, Page, Row, Trial, html
from driftmon.render.replay_timeline import POINTS, Timeline
from driftmon.render.replay_words import Episode, lasting

ALL_POINTS: Final = 48_000  # of all lines on the page together: about 2 MB
FEWEST_POINTS: Final = 120


class Pages:
    """`timeline` is given every report, `trials` every batch as recorded."""

    def __init__(
        self,
        config: Config,
        settings: StreamSettings,
        survey: Survey,
        asked: Sequence[Injection],
        inputs: Sequence[str],
    ) -> None:
        self._config, self._settings, self._inputs = config, settings, inputs
        lines = max(1, len(settings.features) * len(settings.windows))
        self.timeline = Timeline(min(POINTS, max(FEWEST_POINTS, ALL_POINTS // lines)))
        self.trials = Trials(
            candidates([rule for rule in config.rules if fnmatchcase(settings.name, rule.streams)]),
            lambda rules, reference: stream_for(config, settings.name, rules, reference, instead=True),
            survey,
            settings.features,
            settings.windows,
            asked,
        )

    def page(self, episodes: Sequence[Episode], tally: Tally, outcomes: Sequence[Mapping[str, Any]]) -> bytes:
        """The whole page."""
        self.trials.finish()
        facts = {
            "records counted": f"{tally.counted:,}",
            "days of data": f"{tally.days:,.1f}",
            "alerts": f"{len(episodes):,}",
            "alerts a day": f"{len(episodes) / tally.days:.3g}",
            "late or rejected": f"{tally.late + tally.rejected:,}",
        }
        rules = [rule for rule in self._config.rules if rule.metric == "kl_divergence_debiased"]
        thresholds = list({(rule.name, rule.above): None for rule in rules})
        views = [
            FeatureView(name, self.timeline.kinds[name], self.timeline.lines(at), self.timeline.bars(at))
            for at, name in enumerate(self.timeline.names)
        ]
        made = Page(
            self._settings.name, self._inputs, facts, thresholds, views, episodes, outcomes, self._trial(tally.days)
        )
        return html(made).encode()

    def _trial(self, days: float) -> Trial:
        trials = self.trials
        per_day, columns = trials.per_day(days), trials.columns()
        chosen, reason = best(trials.candidates, per_day, columns, trials.reach_ms, trials.budget_ms)
        rows = [
            Row(
                one.label,
                per_day[one.label],
                [(cell.delay_ms, cell.caught, cell.tried) for cell in (column[at] for column in columns.values())],
                one.configured,
                at == chosen,
            )
            for at, one in enumerate(trials.candidates)
        ]
        method = (
            "Alerts a day over all features, on the data as recorded, real drifts included. Then shifts put into every "
            f"feature they suit, at {len(trials.onsets_ms)} moments: the median time until an alert, and how many were "
            f"caught within {lasting(trials.reach_ms)}, of those where none fired already."
        )
        return Trial(list(columns), rows, method, reason, snippet(trials.candidates[chosen].rule))
