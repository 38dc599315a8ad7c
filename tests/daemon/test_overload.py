"""`overload: sample`: chance alone decides what is left out, so estimates stay, and say what they are worth."""

from __future__ import annotations

import itertools
import json
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon.daemon.config import load
from driftmon.daemon.mailbox import Busy, Mailbox
from driftmon.daemon.overload import Thinning
from driftmon.daemon.pump import Pump
from driftmon.daemon.settings import Config, Overload
from driftmon.daemon.store import Store
from driftmon.daemon.streams import Saved, Stream, build_streams
from driftmon.daemon.telemetry import Telemetry
from driftmon.monitor.batch import Batch, LineError
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.promotion import promoted
from driftmon.monitor.references import reference_of
from driftmon.monitor.report import Status
from driftmon.monitor.rules import Calibrated, Rule
from driftmon.monitor.snapshot import Snapshot, SnapshotError
from driftmon.sources.base import Block, Settled
from driftmon.stats.columns import Column
from tests.daemon.kit import write_config

MINUTE = 60_000
WINDOWS = (Window.sliding("fast", 60 * MINUTE), Window.decayed("slow", 60 * MINUTE))
REFERENCE = reference_of({"c": list("aaaabbbccd") * 100})
PADDED = {letter: b'{"c": "%s", "pad": "%s"}\n' % (letter.encode(), b"x" * 400) for letter in "abcd"}


def monitor(rules: tuple[Rule, ...] = ()) -> Monitor:
    return Monitor(REFERENCE, WINDOWS, rules, stream="s")


def batch(text: str, weight: int = 1) -> Batch:
    return Batch(len(text), {"c": Column(list(text))}, weight=weight)


def block(data: bytes, source: str = "http") -> Block:
    return Block("s", source, "ndjson", data, origin=source)


def configured(folder: Path, overload: Overload = "sample") -> tuple[Config, Stream]:
    one = {"reference": {"type": "file", "path": "p.json"}, "features": {"c": {"type": "categorical"}}}
    config = load(write_config(folder, {"s": {**one, "overload": overload}}), {})
    return config, build_streams(config, {"s": REFERENCE})["s"]


LINES = st.lists(st.sampled_from([b'{"c": "a"}', b'{"c": 3}', b"", b" ", b"nonsense", b'{"c": "b"} ']), max_size=40)


@given(LINES, st.integers(0, 6), st.integers(0, 1000), st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_every_record_is_kept_or_left_out_and_errors_name_the_senders_lines(
    lines: list[bytes], octave: int, seed: int, first: int
) -> None:
    class Echo:
        """Says every kept line's number back as an error."""

        def observe(self, thin: Block, now_ms: int) -> Settled:
            held = list(enumerate(thin.data.split(b"\n"), thin.first_line))
            told = tuple(LineError(at, "r", line.decode()) for at, line in held if line.strip())
            return Settled(len(told), errors=told)

    sent = Block("s", "http", "ndjson", b"\n".join(lines), first_line=first)
    echo: Any = Echo()
    found = Thinning(seed).observe(echo, sent, octave, 0)
    arrived = {at: line.decode() for at, line in enumerate(lines, first) if line.strip()}
    assert found.accepted + found.sampled_out == len(arrived)
    assert {error.line: error.message for error in found.errors}.items() <= arrived.items()


def test_expected_counts_are_those_of_all_records() -> None:
    """Over seeds: each line is kept as often as the share says, each on its own."""
    data = b"".join(b'{"c": "%d"}\n' % at for at in range(8))
    for octave in (1, 3):
        kept = np.zeros((2000, 8))
        for seed in range(len(kept)):
            kept[seed, Thinning(seed).thinned(block(data), octave)[1]] = 2**octave
        error = np.sqrt((2**octave - 1) / len(kept))  # of the mean of 2^k Bernoulli(2^-k)
        np.testing.assert_allclose(kept.mean(axis=0), 1.0, atol=5 * error)
        together = np.corrcoef(kept.T) - np.eye(8)
        assert abs(together).max() < 5 / np.sqrt(len(kept))


@pytest.mark.parametrize("data", [b'[{"c": "a"}, {"c": "b"}]', b'{"c":\n "a"}\n', b'{"c": "a"}\n [{"c": "b"}]\n'])
def test_what_may_not_be_a_record_a_line_stays_whole(data: bytes) -> None:
    for seed in range(20):
        thin, _ = Thinning(seed).thinned(block(data), 6)
        assert (thin.data, thin.weight) == (data, 1)


def test_thinned_counts_are_worth_the_rows_they_came_from() -> None:
    """KL as of all records, noise floor and effective N as of those that were read."""
    rows = "aabbbccd" * 25
    plain, thinned = monitor(), monitor()
    plain.observe_batch(batch(rows), MINUTE)
    thinned.observe_batch(batch(rows, weight=8), MINUTE)
    one, other = plain.tick(MINUTE), thinned.tick(MINUTE)
    for window in range(2):
        assert other.value(window, 0, "window_observations") == 8 * len(rows)
        for name in ("effective_observations", "kl_noise_floor", "kl_divergence_debiased", "kl_divergence_lower_bound"):
            assert other.value(window, 0, name) == pytest.approx(one.value(window, 0, name), rel=1e-3), name
    thinned.observe_batch(batch(rows), MINUTE)
    seen = thinned.tick(MINUTE).value(0, 0, "effective_observations")
    assert seen == pytest.approx((9 * 200) ** 2 / (200 * 64 + 200))


def test_too_few_rows_leave_a_rule_unknown_however_many_records_they_stand_for() -> None:
    watching = monitor((Rule("R", "kl_divergence_debiased", 0.1, min_observations=100),))
    watching.observe_batch(batch("d" * 60, weight=64), MINUTE)
    report = watching.tick(MINUTE)
    assert (report.alerts, report.statuses["c"]) == ((), Status.INSUFFICIENT_DATA)
    watching.observe_batch(batch("d" * 60, weight=64), MINUTE)
    assert {alert.feature for alert in watching.tick(MINUTE).alerts} == {"c"}


def test_evidence_is_weighed_from_rows_not_from_the_records_they_stand_for() -> None:
    rules = (Rule("R", "kl_divergence_debiased", 0.02, calibrated=Calibrated(0.02, 86_400_000, None)),)
    plain, thinned = monitor(rules), monitor(rules)
    for at in range(1, 9):
        plain.observe_batch(batch("aabbbccd" * 5), at * MINUTE)
        thinned.observe_batch(batch("aabbbccd" * 5, weight=32), at * MINUTE)
        reports = plain.tick(at * MINUTE), thinned.tick(at * MINUTE)
        np.testing.assert_array_equal(reports[0].evidence_log10, reports[1].evidence_log10)


PARTS = st.lists(
    st.tuples(st.integers(0, 130), st.text("abcd?", min_size=1, max_size=5), st.sampled_from([1, 2, 64])), max_size=12
)


@given(PARTS, st.integers(0, 12))
@settings(max_examples=10, deadline=None)
def test_shards_with_thinned_rows_add_to_the_very_bytes_of_one(parts: list[tuple[int, str, int]], cut: int) -> None:
    whole, shards = monitor(), (monitor(), monitor())
    for at, (minute, text, weight) in enumerate(sorted(parts)):
        for one in (whole, shards[at >= cut]):
            one.observe_batch(batch(text, weight), minute * MINUTE)
            one.tick(minute * MINUTE)
    both = shards[0].snapshot().merge(shards[1].snapshot())
    restarted = monitor()
    restarted.merge(Snapshot.from_bytes(both.to_bytes()))
    last = sorted(parts)[-1][0] * MINUTE if parts else 0
    assert restarted.tick(last).values.tobytes() == whole.tick(last).values.tobytes()
    assert restarted.snapshot().to_bytes() == whole.snapshot().to_bytes()
    assert ('"excess"' in whole.snapshot().to_bytes().decode()) == any(weight > 1 for *_, weight in parts)


def test_a_thinned_window_becomes_no_reference() -> None:
    thinned = monitor()
    thinned.observe_batch(batch("abcd" * 20, weight=2), MINUTE)
    with pytest.raises(SnapshotError, match="window fast has records that were thinned"):
        promoted([thinned.snapshot()])


def test_weights_outlive_a_crash_and_a_checkpoint(tmp_path: Path) -> None:
    config, stream = configured(tmp_path)
    (tmp_path / "state").mkdir()
    expected: list[bytes] = []
    for checkpoint, weight in itertools.product((False, True), (1, 16)):
        store = Store(tmp_path / "state")
        stream = build_streams(config, {"s": REFERENCE})["s"]
        if (saved := store.load("s")) is not None:
            stream.restore(saved)
        for at in range(3):
            sent = Block("s", "http", "ndjson", b'{"c": "a"}\n{"c": "d"}\n', weight=weight)
            stream.observe(sent, MINUTE * len(expected))
            if checkpoint and at == 1:
                store.ticking({"s": stream})
                stream.tick(MINUTE * len(expected))
                store.closed_panes({"s": stream})
                store.checkpoint({"s": stream}, {}, 0, fold=True)
            else:
                store.commit({"s": stream}, {}, 0)
        assert stream.monitor is not None
        expected.append(stream.monitor.snapshot().to_bytes())
        found = store.load("s")
        assert isinstance(found, Saved)
        assert found.snapshot.to_bytes() == expected[-1]
        store.close()
    assert b'"excess"' in expected[-1]


class Sender:
    """Sends at its rate of records a second; what is refused is sent again, or by a mutant forgotten."""

    def __init__(self, mailbox: Mailbox, patient: bool) -> None:
        self.mailbox, self.patient = mailbox, patient
        self.sent = dict.fromkeys("abcd", 0)
        self.waiting: deque[bytes] = deque()
        self._chance = np.random.default_rng(1)
        self._at_s = 0.0

    def until(self, at_s: float) -> None:
        while self._at_s < min(at_s, 20.0):
            burst = 5 <= self._at_s < 6 or 12 <= self._at_s < 13
            p = (0.1, 0.2, 0.3, 0.4) if burst else (0.4, 0.3, 0.2, 0.1)
            drawn = self._chance.choice(list("abcd"), 3000 if burst else 200, p=p).tolist()
            for letter in "abcd":
                self.sent[letter] += drawn.count(letter)
            lines = [PADDED[letter] for letter in drawn]
            self.waiting += [b"".join(lines[at : at + 200]) for at in range(0, len(lines), 200)]
            self._at_s += 0.05
        while self.waiting:
            try:
                self.mailbox.offer([block(self.waiting[0])])
            except Busy:
                if self.patient:
                    return
            self.waiting.popleft()


CAPACITY = 6000.0  # records read a second: a tenth of the bursts
SKIMMED = 200_000.0  # lines left out a second


def driven(folder: Path, overload: Overload, patient: bool, seed: int = 1) -> tuple[float, Telemetry, Stream, Sender]:
    """The relative error of KL over bursts of another distribution, on a virtual clock."""
    _, stream = configured(folder, overload)
    mailbox, telemetry, told = Mailbox(1024 * 1024), Telemetry(), list[Settled | Exception]()
    pump = Pump(mailbox, telemetry, lambda _, outcome: told.append(outcome), lambda _: None)
    pump._thinning = Thinning(seed)
    pump.swap({"s": stream})
    sender, at_s = Sender(mailbox, patient), 0.0
    while at_s < 20 or mailbox.bytes or sender.waiting:
        sender.until(at_s)
        items = mailbox.take(0.0) or []
        pump.turn(items, 1_000_000 + int(1000 * at_s), at_s)
        outcomes = [one for one in told if isinstance(one, Settled)]
        assert len(outcomes) == len(told)
        told.clear()
        at_s += max(0.05, sum(one.accepted / CAPACITY + one.sampled_out / SKIMMED for one in outcomes))
    assert stream.monitor is not None
    counts = stream.monitor.snapshot().counts[: len("abcd")]
    truth, p = np.array([*sender.sent.values()]), REFERENCE.counts[: len("abcd")] / REFERENCE.counts.sum()

    def kl(q: Any) -> float:
        return float((q / q.sum() * np.log(q / q.sum() / p)).sum())

    return kl(counts) / kl(truth) - 1, telemetry, stream, sender


def exported(telemetry: Telemetry, name: str) -> float:
    (family,) = (family for family in telemetry.families() if family.metric.name == f"driftmon_{name}")
    value = dict(family.samples)["s", "http"]
    assert isinstance(value, float)
    return value


def test_bursts_of_another_distribution_are_seen_at_a_tenth_of_their_rate(tmp_path: Path) -> None:
    """reliability.md 0.4: 10 x capacity; |error of KL| <= 5 %, and dropping what does not fit hides it."""
    error, telemetry, stream, sender = driven(tmp_path, "sample", patient=True)
    assert abs(error) <= 0.05
    arrived = sum(sender.sent.values())
    assert exported(telemetry, "ingest_records_total") == arrived
    left_out = exported(telemetry, "ingest_sampled_out_records_total")
    assert left_out > 0.6 * arrived
    assert exported(telemetry, "sampling_ratio") == 1.0  # over, so all are read again
    report = stream.tick(1_000_000 + 60_000)
    assert 5000 < report.value(0, 0, "effective_observations") <= arrived - left_out
    dropped, *_ = driven(tmp_path, "block", patient=False)
    assert dropped < -0.85


def test_block_is_the_default_and_only_pushed_records_of_a_watched_stream_are_thinned(tmp_path: Path) -> None:
    _, stream = configured(tmp_path)
    pump = Pump(Mailbox(1024 * 1024), Telemetry(), lambda *_: None, lambda _: None)
    pump.swap({"s": stream})
    pump._octaves.now = 6
    line = json.dumps({"c": "a"}).encode() + b"\n"
    pump.turn([block(line * 1000, "file"), block(line * 1000, "stdin")], MINUTE, 0.0)
    assert stream.monitor is not None
    assert stream.monitor.snapshot().excess is None
    pump.turn([block(line * 1000, "unix")], MINUTE, 0.1)
    assert stream.monitor.snapshot().excess is not None
    assert load(write_config(tmp_path), {}).streams["s"].overload == "block"
