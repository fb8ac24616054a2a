from __future__ import annotations

import asyncio
import threading
from functools import partial

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.messages import statistics_data
from passivbot_ws_plugin.server.worker import Worker

BOTS = 2_000


def test_the_loop_serves_others_while_very_much_is_published() -> None:
    worker = Worker()
    worker.start()
    try:
        gate, is_over = threading.Event(), threading.Event()
        known: set[int] = set()  # how many bots were published at each turn of the loop

        def look(loop: asyncio.AbstractEventLoop) -> None:
            known.add(len(worker._cache.bots))
            if len(worker._cache.bots) < BOTS:
                loop.call_soon(look, loop)
            else:
                is_over.set()

        loop = worker._ready.result(5)
        loop.call_soon_threadsafe(gate.wait, 5)
        for bot in range(BOTS):
            worker.put_statistics(f"bot{bot}", statistics_data(make_statistics()))
        loop.call_soon_threadsafe(partial(look, loop))
        gate.set()
        assert is_over.wait(10)
        assert known > {0, BOTS}
    finally:
        assert worker.stop(5)
