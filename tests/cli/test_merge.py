"""merge: counts add, in any order; other bins do not, and it says where they differ."""

from __future__ import annotations

import os
import threading
from itertools import permutations
from pathlib import Path

from driftmon.library import load
from tests.cli.payments import Run, payments, write_ndjson


def fixed(config: Path) -> None:
    """Bins that do not depend on the shard."""
    text = config.read_text().replace("amount: {type: numeric}", "amount: {type: numeric, edges: [5, 20, 80]}")
    config.write_text(
        text.replace("country: {type: categorical}", "country: {type: categorical, categories: [DE, FR, US, JP]}")
    )


def test_shards_merged_in_any_order_are_one_monitor_byte_for_byte(tmp_path: Path, config: Path, run: Run) -> None:
    fixed(config)
    records = payments(900)
    shards = []
    for at in range(3):
        data = write_ndjson(tmp_path / f"s{at}.ndjson", records[at::3])
        run("reference", "build", data, "--config.file", config, "-o", tmp_path / f"s{at}.json")
        shards.append(tmp_path / f"s{at}.json")
    run(
        "reference",
        "build",
        write_ndjson(tmp_path / "all.ndjson", records),
        "--config.file",
        config,
        "-o",
        tmp_path / "all.json",
    )
    sums = set()
    for order in permutations(shards):
        assert run("merge", *order, "-o", tmp_path / "sum.json").exit_code == 0
        sums.add((tmp_path / "sum.json").read_bytes())
    assert len(sums) == 1
    assert load(tmp_path / "sum.json").counts.tolist() == load(tmp_path / "all.json").counts.tolist()
    assert load(tmp_path / "sum.json").provenance["records"] == 900


def test_other_bins_are_refused_by_name(tmp_path: Path, config: Path, reference: Path, run: Run) -> None:
    fixed(config)
    data = write_ndjson(tmp_path / "s.ndjson", payments(50))
    run("reference", "build", data, "--config.file", config, "-o", tmp_path / "s.json")
    done = run("merge", reference, tmp_path / "s.json", "-o", tmp_path / "sum.json")
    assert done.exit_code == 2
    assert "s.json does not add to" in done.stderr
    assert "amount differs in edges" in done.stderr
    assert not (tmp_path / "sum.json").exists()


def test_the_target_may_be_one_of_the_sources(tmp_path: Path, reference: Path, run: Run) -> None:
    before = load(reference).counts
    assert run("merge", reference, reference, "-o", reference).exit_code == 0
    assert load(reference).counts.tolist() == (2 * before).tolist()


def test_standard_output_a_pipe_and_a_link_stay_what_they_are(tmp_path: Path, reference: Path, run: Run) -> None:
    """`-o /dev/stdout` as root once made a file of it, for the whole machine."""
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target.json"
    os.mkfifo(pipe)
    link.symlink_to(target)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert run("merge", reference, "-o", pipe).exit_code == 0
    reader.join(10)
    assert run("merge", reference, "-o", link).exit_code == 0
    assert run("merge", reference, "-o", "-").stdout_bytes == target.read_bytes() == read[0]
    assert (pipe.is_fifo(), link.is_symlink(), Path("-").exists()) == (True, True, False)
