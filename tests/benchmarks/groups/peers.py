"""Peers: the tools that people use today, on the same records; each in its own environment by `make bench-peers`.

Law: what a peer computes is its own business (it must report a number of every column), but where its definition is
known the number must be that of our counts. The clock sees no import and no conversion into its own form. They need the
texts of a frame as Python strings, each text one object as their readers make it, so ours get the same.
"""

from __future__ import annotations

from typing import Final

from tests.benchmarks.checks import Agreeing, chi_square, chi_square_of_both, everything_reported, kl_pq
from tests.benchmarks.data import data_of
from tests.benchmarks.engine import Contender, Contest
from tests.benchmarks.sizes import Size

FRAMES: Final = (
    ("evidently 0.7, kl_div", "peers/evidently", "evidently", 80.0),
    ("whylogs 1.6, profiles and drift", "peers/whylogs", "whylogs", 60.0),
    ("popmon 1.4", "peers/popmon", "popmon", 35.0),
    ("alibi-detect 0.13, TabularDrift of codes", "peers/alibi_detect", "alibi_detect", 12.0),
    ("nannyml 0.13, Jensen-Shannon", "peers/nannyml", "nannyml", 12.0),
    ("frouros 0.9, KL of codes", "peers/frouros", "frouros", None),
)
DEFINITIONS: Final = {
    "evidently 0.7, kl_div": (kl_pq, 1e-9),
    "whylogs 1.6, profiles and drift": (
        chi_square,
        0.01,
    ),  # words are counted by a sketch, and what is expected is rounded
    "alibi-detect 0.13, TabularDrift of codes": (chi_square_of_both, 1e-5),  # in float32
}
ROUNDS: Final = 3  # of frames and batches: some peers need 10 s and more a round, for a ratio far from its goal
FEW: Final = 10  # times fewer events for who needs so many times longer
BATCHES: Final = (  # and how many of 1,000 rows, with what it costs in mind
    ("evidently 0.7, kl_div after each", "peers/evidently", "evidently", 1500.0, 3),
    ("whylogs 1.6, track only", "peers/whylogs", "whylogs", None, 20),
    ("alibi-detect 0.13, each", "peers/alibi_detect", "alibi_detect", None, 5),
    ("nannyml 0.13, each a chunk", "peers/nannyml", "nannyml", None, 20),
    ("frouros 0.9, PSI of codes after each", "peers/frouros", "frouros", None, 5),
)


def contests(size: Size) -> list[Contest]:
    return [_frames(size), _batches(size), _events(size, "events"), _events(size, "events_current")]


def _rounds(size: Size) -> int:
    return min(ROUNDS, size.rounds)


def _frames(size: Size) -> Contest:
    ours = Contender("driftmon", "contenders/ours_columns", "frames", arguments={"text": "object"})
    others = [(Contender(name, script, "frames", where), goal) for name, script, where, goal in FRAMES]
    work = "DataFrame of 10 columns with shared Python strings, 1 M rows against 100 k"
    data = data_of(size.live_rows, size.reference_rows)
    return Contest(work, ours, others, data, "ns a row", Agreeing(DEFINITIONS), _rounds(size), size.warm_ups)


def _batches(size: Size) -> Contest:
    ours = Contender(
        "driftmon", "contenders/ours_columns", "batches", arguments={"text": "object", "batches": size.batches}
    )
    others = [
        (Contender(name, script, "batches", where, {"batches": min(most, size.batches)}), goal)
        for name, script, where, goal, most in BATCHES
    ]
    work = "batches of 1,000 rows as DataFrames, every divergence after each, against 100 k"
    data = data_of(size.live_rows, size.reference_rows)
    return Contest(work, ours, others, data, "us a batch", everything_reported, _rounds(size), size.warm_ups)


def _events(size: Size, task: str) -> Contest:
    """One at a time: looked at in the end, or KL current after each; nobody else computes a divergence here."""
    arguments = {"events": size.events}
    few = {"events": max(size.events // FEW, 1)}
    ours, current = (
        Contender("driftmon", "contenders/ours_columns", task, arguments=arguments),
        task == "events_current",
    )
    others = [
        (
            Contender("river, Histogram(64) and Counter", "peers/river", "histograms", "river", few),
            5.0 if current else 25.0,
        ),
        (
            Contender("river, ADWIN of the 7 numbers", "peers/river", "adwin", "river", arguments),
            None if current else 1.0,
        ),
        (Contender("whylogs 1.6, track(row)", "peers/whylogs", "events", "whylogs", few), None if current else 200.0),
    ]
    how = "KL current after each" if current else "evaluated in the end"
    work = f"events of 10 fields one at a time, {how}"
    data = data_of(size.live_rows, size.reference_rows)
    return Contest(work, ours, others, data, "us an event", everything_reported, size.rounds, size.warm_ups)
