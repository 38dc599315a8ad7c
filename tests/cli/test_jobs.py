"""--jobs: as many processes as one likes, the very same bytes; and what becomes of them when something goes wrong."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from codecs import BOM_UTF8
from concurrent.futures import Future
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon.cli.main import JOBS
from driftmon.cli.support import inputs, parts, sampled_parts, workers
from driftmon.cli.support.inputs import blocks, blocks_between, input_of
from driftmon.cli.support.parts import Part
from driftmon.cli.support.records import sampled
from driftmon.cli.support.sampled_parts import sample_by_processes
from driftmon.cli.support.sampling import Systematic
from driftmon.cli.support.snapshots import configured, stream_of
from driftmon.daemon.decoders import some_rows
from driftmon.daemon.streams import layout_of
from driftmon.monitor.warmup import joined
from driftmon.sources.base import BLOCK_BYTES
from tests.cli.payments import CONFIG, Run, payments, write_csv, write_ndjson
from tests.servers.helpers import until


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """NDJSON of several parts, with lines that are none in the first and the last; CSV; NDJSON in gzip."""
    monkeypatch.setattr(parts, "READS", 1)
    (tmp_path / "driftmon.yaml").write_text(CONFIG)
    big = write_ndjson(tmp_path / "big.ndjson", payments(8000))
    big.write_text("no json\n" + big.read_text() + "neither\n")
    small = write_csv(tmp_path / "small.csv", payments(200, seed=2))
    packed = tmp_path / "packed.ndjson.gz"
    packed.write_bytes(gzip.compress(write_ndjson(tmp_path / "x.ndjson", payments(300, seed=3)).read_bytes()))
    assert big.stat().st_size > 3 * BLOCK_BYTES
    return [big, small, packed]


def test_a_reference_and_a_check_are_the_same_with_any_number_of_processes(
    files: list[Path], tmp_path: Path, run: Run
) -> None:
    config, told = ("--config.file", tmp_path / "driftmon.yaml"), []
    for jobs in (1, 2, 3):
        built = tmp_path / f"{jobs}.reference.json"
        told.append(run("reference", "build", *files, *config, "-o", built, "--jobs", jobs))
        assert told[-1].exit_code == 0
        assert built.read_bytes() == (tmp_path / "1.reference.json").read_bytes()
    assert "big.ndjson:8002  " in told[0].stderr
    assert len({one.stderr.partition("wrote")[0] for one in told}) == 1
    checks = [run("check", tmp_path / "1.reference.json", files[0], *config, "--json", "--jobs", n) for n in (1, 2)]
    assert len({(one.exit_code, one.stdout, one.stderr) for one in checks}) == 1


def test_processes_begin_before_the_verb_is_looked_at(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they import beforehand is there; their server would pass over a name that is wrong."""
    begun: list[str] = []
    monkeypatch.setattr(workers, "begin", begun.append)
    for jobs in (("--jobs", "2"), ("--jobs=3",), ("--jobs", "1"), ()):
        run("check", "no.json", "no.ndjson", *jobs)
        run("reference", "build", "no.ndjson", "-o", "x", *jobs)
        run("merge", "no.json", "-o", "x", *jobs)
    assert begun == [*JOBS.values()] * 2
    for module in (workers.PARTS, *JOBS.values()):
        assert import_module(module)


@pytest.mark.parametrize("most", [700, 2500])
def test_the_sample_is_the_same_where_lines_are_no_records(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Blank lines and lines that are no JSON shift what comes after them, in other parts and in their own."""
    lines = files[0].read_text().splitlines(keepends=True)
    for at in range(0, 7000, 997):
        lines[at] += "\n\n" if at % 2 else "no json\n"
    files[0].write_text("".join(lines))
    settings = stream_of(configured(tmp_path / "driftmon.yaml"), None)
    layout, sources = layout_of(settings), [input_of(str(path)) for path in (*files, files[0])]
    alone, together = (Systematic(some_rows, most) for _ in range(2))
    for batch, rows in sampled(sources, layout, "", lambda: alone.wanted):
        alone.add(batch, rows)
    read: list[Part] = []

    def result(part: Part, found: Future[Any]) -> Any:
        read.append(part)
        return found.result()

    monkeypatch.setattr(sampled_parts, "result", result)
    sample_by_processes(sources, layout, together, 2, "")
    assert (alone.offered, alone.stride) == (together.offered, together.stride)
    one, other = (joined(sample.blocks, settings.features) for sample in (alone, together))
    for name, column in one.columns.items():
        assert str(list(column.values)) == str(list(other.columns[name].values))
    assert len(read) > len({id(part) for part in read}), "no part was looked for in the wrong place"


LINES = st.lists(st.sampled_from([b"", b"{}", b"x" * 7, b"y" * 30, b"z" * 90]), max_size=40)


@settings(max_examples=30)
@given(LINES, st.sampled_from([b"", b"\n", b"torn"]), st.integers(1, 4), st.booleans())
def test_the_blocks_of_parts_are_the_blocks_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], end: bytes, reads: int, marked: bool
) -> None:
    """Lines longer than a block and than what is kept of a line; a mark at the beginning, a torn line at the end."""
    path = tmp_path_factory.getbasetemp() / "some.ndjson"
    path.write_bytes((BOM_UTF8 if marked else b"") + b"\n".join(lines) + end)
    with pytest.MonkeyPatch.context() as patch:
        for module in (inputs, parts):
            patch.setattr(module, "BLOCK_BYTES", 16)
        patch.setattr(inputs, "LINE_BYTES", 40)
        patch.setattr(parts, "READS", reads)
        source, found, before = input_of(str(path)), [], 0
        for part in parts.parts_of(source, inputs.untold):
            assert part.reads is not None
            some = list(blocks_between(source, *part.reads))
            found += [(block.data, block.first_line + before) for block in some]
            before += sum(block.data.count(b"\n") for block in some)
        assert found == [(block.data, block.first_line) for block in blocks(source, inputs.untold)]


def test_a_process_that_fails_names_its_file(files: list[Path], tmp_path: Path, run: Run) -> None:
    packed = files[2]
    packed.write_bytes(packed.read_bytes()[:-9])
    flags = ("--config.file", tmp_path / "driftmon.yaml", "-o", tmp_path / "r.json", "--jobs", 2)
    done = run("reference", "build", files[1], packed, *flags)
    assert done.exit_code == 2
    assert "packed.ndjson.gz: is no whole gzip file" in done.stderr


def test_ctrl_c_ends_all_processes(tmp_path: Path) -> None:
    """The whole group is signalled, as a terminal does; nobody is left and nobody shows a traceback."""
    features = "{amount: {type: numeric, edges: [1, 2]}}"
    reference = "{type: file, path: r.json}"
    (tmp_path / "driftmon.yaml").write_text(
        f"version: 1\nstreams: {{pay: {{reference: {reference}, features: {features}}}}}\n"
    )
    (tmp_path / "big.ndjson").write_bytes(b'{"amount": 1.5}\n' * 4_000_000)
    verb = ["reference", "build", "big.ndjson", "--config.file", "driftmon.yaml", "-o", "r.json", "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "driftmon", *verb], cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and not children.read_text():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"Traceback" not in told
    until("the group, gone", lambda: not alive(process.pid))


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
