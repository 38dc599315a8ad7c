"""A reload that is ended while it waits: at a drain the listener cancels requests, a reload over HTTP among them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.daemon.kit import ready_config, running


def test_a_reload_that_waited_for_the_sinks_took_its_own_cancel_for_theirs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            app, asked, may_end = daemon.app, asyncio.Event(), asyncio.Event()

            async def slow_sinks() -> None:
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    asked.set()
                    await may_end.wait()

            app._notifying.cancel()
            app._notifying = asyncio.create_task(slow_sinks())
            await asyncio.sleep(0)
            reload = asyncio.create_task(app.reload())
            await asyncio.wait_for(asked.wait(), 10)
            reload.cancel()
            await asyncio.wait({reload}, timeout=10)
            may_end.set()
            assert reload.cancelled()
            assert await asyncio.wait_for(app.reload(), 10) == ""  # and the next one finds all in order
            assert not app._notifying.done()

    asyncio.run(scenario())
