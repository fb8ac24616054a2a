"""The network cuts the connection, anywhere in a login, a state, a delta and an event; nothing is lost by it.

Every so many bytes, and each run begins at another one. ``CUT_STEP=1`` cuts at every single byte.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest
from servers import KEY, PASSWORD, serving
from tcp_proxy import Side, tcp_proxy

from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.client import EventUpdate, StatisticsUpdate, Timing, connect
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import event_data, statistics_data
from passivbot_ws_plugin.server.server import Server

#: 1 takes some minutes.
STEP = int(os.environ.get("CUT_STEP", "23"))

TIMING = Timing(retry_first_s=0.001, retry_max_s=0.001)


async def exchange(server: Server, cache: Cache, url: str, method: Any) -> None:
    """Get the state, then a change of it and an event."""
    history = cache.bots["main"]
    seq, events = history.events.seq + 1, []
    client = connect(
        url, key=KEY, password=PASSWORD, method=method, subscriptions=["statistics", "events"], timing=TIMING
    )
    async with asyncio.timeout(20), client:
        async for update in client:
            match update:
                case StatisticsUpdate() if history.events.seq < seq:
                    await client.ping()  # from then on its events are news
                    assert cache.put_statistics("main", statistics_data(make_statistics(balance=float(seq))))
                    server.publish("statistics", "main")
                    assert cache.put_event("main", seq, event_data(make_event()))
                    server.publish("events", "main")
                case EventUpdate():
                    events.append(update.seq)
            if events and client.bots["main"].data.balance == seq:
                assert client.bots["main"].data == history.statistics.data
                assert events == [seq]
                return
    raise AssertionError("the client ended")


@pytest.mark.timeout(60 if STEP > 1 else 900)
@pytest.mark.parametrize("method", ["token", "scram"])
@pytest.mark.parametrize("side", ["client", "server"])
async def test_a_cut_anywhere(side: Side, method: str) -> None:
    cache = Cache()
    cache.put_statistics("main", statistics_data(make_statistics()))
    cache.put_event("main", 1, event_data(make_event()))
    limits = {"connections_per_address": 1000, "unauthenticated_per_address": 1000, "unauthenticated": 1000}
    async with serving(cache, limits=limits) as (server, address), tcp_proxy(address) as proxy:
        await exchange(server, cache, proxy.url, method)
        positions = range(random.randrange(STEP), proxy.passed[side], STEP)
        print(f"cut at {positions}")  # noqa: T201  shown where the test fails
        proxy.connections = 0
        for position in positions:
            cuts = iter([(side, position)])
            proxy.cut_after = lambda cuts=cuts: next(cuts, None)  # type: ignore[misc]
            await exchange(server, cache, proxy.url, method)
        # The last bytes are those of the goodbye: nobody comes back for them.
        assert proxy.connections > len(positions) * 1.8
