"""`python -m tests.simulate [PART]...` prints the tables of the README and of the notes, Markdown, from fixed seeds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from tests.simulate import alarms, clearing, concept, dependence, families, fleet, looks, means, naming, placebo, words

PARTS: Final[Mapping[str, tuple[str, Callable[[], str]]]] = {
    "floor": ("KL above its 99 % noise floor without drift, 4,000 looks each", lambda: looks.floor_table(4000)),
    "coverage": (
        "Bounds at 95 % that miss the truth, n = 20,000, 4,000 looks each",
        lambda: looks.coverage_table(4000),
    ),
    "length": ("Run length without drift, by R alone, whatever the effect", lambda: alarms.run_length_table(100, 300)),
    "small": ("A drift that lasts and is below the effect", lambda: alarms.small_effect_text(40, 1000)),
    "delay": (
        "Delay in observations, median of 40 runs (8 of ADWIN and PageHinkley, 1 of KSWIN)",
        lambda: alarms.comparison_table(40, 200, 100),
    ),
    "dependence": ("AR(1) rows, 40 runs", lambda: dependence.ar_table(40, 300)),
    "season": ("Seasons that the reference knows", lambda: dependence.season_text(10, 40)),
    "families": ("Many features under one budget, A = 1,000 panes", lambda: families.family_table(5, 1)),
    "fleet": (
        "900 pods x 50 features, one reference, no drift, 100 panes",
        lambda: fleet.false_alarm_table(900, 50, 100, (20.0, 100.0, 1000.0), fleet.few_bins(7)),
    ),
    "fleet-delay": (
        "Panes of 100 observations to the alarm of one feature of 4, 200 pods, A = 43,200",
        lambda: fleet.delay_table(200, 4, 60, 43_200.0),
    ),
    "clearing": ("When an alert is resolved, panes of 100 observations", lambda: clearing.clearing_table(10, 600)),
    "means": (
        "A mean log loss that rises, panes of 100, n = 20,000, A = 10,000: rows to the alarm, median of 40 runs",
        lambda: means.table(40, 400, 20),
    ),
    "words": (
        "The mean surprisal of words by topics, no rise: alarms in 120 runs of 100 panes, n = 20,000 each",
        lambda: words.words_table(120, 100),
    ),
    "placebo": ("Flights with their days shuffled, A = 1,000 days", lambda: placebo.placebo_table(40)),
    "naming": ("Injected shifts, named by the first alert", lambda: naming.naming_table(16)),
    "concept": (
        "Predictions after labels change their meaning (median), at 0.2 false alarms in 8,000; 10 runs, 2 of KSWIN",
        lambda: concept.concept_table(10),
    ),
    "cost": ("Cost", families.cost_text),
}


def main(wanted: list[str]) -> None:
    """Print the parts wanted, all of them if none is named."""
    if unknown := sorted(set(wanted) - set(PARTS)):
        sys.exit(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    for part in wanted or PARTS:
        title, table = PARTS[part]
        began = time.monotonic()
        text = table()
        sys.stdout.write(f"## {title}\n\n{text}\n\n({part}: {time.monotonic() - began:.0f} s)\n\n")
        sys.stdout.flush()


main(sys.argv[1:])
