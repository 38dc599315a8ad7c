"""Inputs: files of records, and stdin, as blocks of whole lines.

Law: the blocks of an input, one after the other, are the input; a CSV block repeats the header line, so
that each can be read by itself, in any order and by another process.
"""

from __future__ import annotations

import gzip
import shutil
import sys
import tempfile
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal, TypeAlias, cast

from driftmon.cli.support.faults import Fault
from driftmon.formats.layout import LINE_BYTES
from driftmon.formats.lines import count_of
from driftmon.sources.base import BLOCK_BYTES, Block, Lines, with_header

Form: TypeAlias = Literal["ndjson", "csv", "parquet"]
Progress: TypeAlias = Callable[[int], object]  # told the bytes of the file, as it lies on disk, that were read

STDIN: Final = "-"
FORMS: Final[dict[str, Form]] = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".parquet": "parquet"}


@dataclass(frozen=True, slots=True)
class Input:
    """A file to read; `name` is what messages and provenance call it."""

    path: Path
    name: str
    form: Form

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size


@contextmanager
def opened(arguments: Sequence[str]) -> Iterator[list[Input]]:
    """The inputs of a command line; stdin is kept in a temporary file, because some read twice."""
    if list(arguments).count(STDIN) > 1:
        raise Fault("stdin can be read once only: give - once")
    with tempfile.TemporaryDirectory(prefix="driftmon-") as folder:
        yield [_stdin(Path(folder)) if argument == STDIN else input_of(argument) for argument in arguments]


def input_of(argument: str) -> Input:
    """The input that a file name stands for; the format is told by how the name ends.

    >>> input_of("no-such-file.csv")
    Traceback (most recent call last):
    driftmon.cli.support.faults.Fault: no-such-file.csv: there is no such file
    """
    path = Path(argument)
    suffixes = path.suffixes[:-1] if path.suffix == ".gz" else path.suffixes
    form = FORMS.get(suffixes[-1].lower() if suffixes else "")
    if form is None or (form == "parquet" and path.suffix == ".gz"):
        known = ", ".join(FORMS)
        raise Fault(f"{argument}: the name must tell the format; there are {known}, and .gz after the first three")
    if not path.is_file():
        raise Fault(f"{argument}: {'is no file' if path.exists() else 'there is no such file'}")
    return Input(path, path.name, form)


def untold(read_bytes: int) -> None:
    """Progress that nobody is told of: little is read, or somebody else tells."""


def _stdin(folder: Path) -> Input:
    path = folder / "stdin.ndjson"
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return Input(path, "stdin", "ndjson")


def blocks(source: Input, progress: Progress) -> Iterator[Block]:
    """An NDJSON or CSV input in blocks of whole records; Fault where its compression is broken."""
    assert source.form != "parquet"
    lines = Lines(LINE_BYTES, quotes=b'"' if source.form == "csv" else b"")
    header, line = b"", 1
    for read in _data(source, progress):
        whole = lines.feed(read) if read else lines.rest()
        if whole:
            first_line = line - header.count(b"\n")
            data, header = with_header(source.form, header, whole)
            yield Block("", "file", source.form, data, origin=source.name, first_line=first_line)
            line += count_of(b"\n", whole)


def blocks_between(source: Input, first: int, end: int) -> Iterator[Block]:
    """Of a plain NDJSON file the blocks that its reads `first` to before `end` complete, and at its end what is left:
    those of `blocks`, but for line numbers, which begin at 1."""
    line = 1
    for whole in _wholes(source, first, end):
        if whole:
            yield Block("", "file", "ndjson", whole, origin=source.name, first_line=line)
            line += count_of(b"\n", whole)


def _wholes(source: Input, first: int, end: int) -> Iterator[bytes]:
    lines = Lines(LINE_BYTES)
    with source.path.open("rb") as file:
        lines.feed(_torn(file, first * BLOCK_BYTES))
        file.seek(first * BLOCK_BYTES)
        for number in range(first, end):
            read = file.read(BLOCK_BYTES)
            yield lines.feed(read if number else read.removeprefix(BOM_UTF8))
        if not file.read(1):
            yield lines.rest()


def _torn(file: BinaryIO, before: int) -> bytes:
    """Of the line that a place in a file is in, what comes before, as far as it matters."""
    start = before
    while start:
        low = max(0, start - LINE_BYTES)
        file.seek(low)
        if cut := file.read(start - low).rfind(b"\n") + 1:
            start = low + cut
            break
        start = low
    file.seek(start)
    found = file.read(min(before - start, LINE_BYTES + 1 + len(BOM_UTF8)))
    return (found.removeprefix(BOM_UTF8) if not start else found)[: LINE_BYTES + 1]


def _data(source: Input, progress: Progress) -> Iterator[bytes]:
    """The bytes of a file, decompressed, and nothing (b"") at its end. Editors on Windows begin files with a mark."""
    read, mark = 0, BOM_UTF8
    with source.path.open("rb") as raw:
        file = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if source.path.suffix == ".gz" else raw
        data = b"x"
        while data:
            try:
                data = file.read(BLOCK_BYTES)
            except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
                raise Fault(f"{source.name}: is no whole gzip file ({fault}); compress it again") from fault
            progress(raw.tell() - read)
            read = raw.tell()
            yield data.removeprefix(mark)
            mark = b""
