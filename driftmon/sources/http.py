"""`type: http`: the stream takes `POST /api/v1/ingest/{stream}`; the blocks come from the daemon's routes.

Law: a stream without this source answers 404 to a post, so only what is configured can be fed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from driftmon.sources.base import Block, Limits, Positions, Progress


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to set: addresses and authentication belong to the process, not to a stream."""


class Source:
    """Never ends and yields nothing: whoever posts is the input."""

    def __init__(self, stream: str, options: Options, limits: Limits) -> None:
        self.origin = "http"
        self.progress = Progress()

    async def blocks(self, resume: Positions) -> AsyncGenerator[Block, None]:
        while True:
            yield await asyncio.get_running_loop().create_future()
