"""A progress bar on stderr, where a person looks at a terminal; silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from driftmon.cli.support.inputs import Progress


@contextmanager
def progress(what: str, size_bytes: int) -> Iterator[Progress]:
    """Tell it the bytes read; `rich` is loaded for a terminal only."""
    if not sys.stderr.isatty():
        yield lambda read_bytes: None
        return
    from rich.console import Console  # noqa: PLC0415  for a terminal only
    from rich.progress import Progress as Bars  # noqa: PLC0415

    with Bars(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=size_bytes)
        yield lambda read_bytes: bars.advance(task, read_bytes)
