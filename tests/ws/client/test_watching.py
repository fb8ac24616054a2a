"""The client over real sockets against the real server, while all is well."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from publishing import put_event, put_statistics
from py_watcher import Taker, connect, watching
from servers import free_port, serving

from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.client import (
    ClosedError,
    ConfigChanged,
    Connecting,
    EventUpdate,
    Live,
    Lost,
    StatisticsUpdate,
    Subscribe,
)
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import event_data, statistics_data


@pytest.mark.parametrize("method", ["scram", "token"])
async def test_the_state_is_whole_after_each_delta(method: str) -> None:
    async with watching(method=method) as (server, cache, _, client, taker):
        first = await taker.a(StatisticsUpdate)
        assert first.data == statistics_data(make_statistics())
        for balance in (1.0, 2.0, 3.0):
            put_statistics(server, cache, balance=balance)
            update = await taker.balance(balance)
            assert update.data == cache.bots["main"].statistics.data
            assert client.bots["main"] == update
        assert client.is_live
        assert client.is_current("main")
        assert not client.is_current("nobody")
        assert client.age_s is not None


async def test_the_config_and_what_changes_in_it() -> None:
    cache = Cache()
    cache.put_config("main", {"live": {"user": "main"}})
    async with watching(cache, subscriptions=["config"]) as (server, _, proxy, client, taker):
        first = await taker.a(ConfigChanged)
        assert first.hash == (await client.get_config()).hash
        cache.put_config("main", {"live": {"user": "main", "x": 1}})
        server.publish("config", "main")
        assert (await taker.a(ConfigChanged)).paths == ["/live/x"]
        proxy.cut()
        await taker.a(Lost)
        await taker.a(Live)
        cache.put_config("main", {"live": {}})
        server.publish("config", "main")
        changed = await taker.a(ConfigChanged)
        assert changed.hash == (await client.get_config()).hash


async def test_only_what_was_asked_for() -> None:
    wish = Subscribe("events", kinds=["bot.stopped"])
    async with watching(subscriptions=[wish]) as (server, cache, _, client, taker):
        put_event(server, cache, 1)
        cache.put_event("main", 2, event_data(make_event(kind="bot.stopped")))
        server.publish("events", "main")
        await taker.event(2)
        assert [type(update) for update in taker.taken if not isinstance(update, Connecting)] == [
            Live,
            EventUpdate,
        ]
        assert not client.bots


async def test_a_client_by_itself_opens_and_closes_with_its_iteration() -> None:
    async with serving() as (server, address):
        client = connect(address)
        async with aclosing(aiter(client)) as updates:  # type: ignore[type-var]
            async for update in updates:
                if isinstance(update, Live):
                    break
        assert not client.is_live
        with pytest.raises(ClosedError):
            await client.ping()
        with pytest.raises(ClosedError, match="opened once"):
            await client.__aenter__()
        assert not server._admitted


async def test_closing_ends_the_iteration_while_nobody_answers() -> None:
    async with connect(f"ws://127.0.0.1:{free_port()}") as client:
        taker = Taker(client)
        await taker.a(Lost)
        await client.close()
        with pytest.raises(StopAsyncIteration):
            await taker.a(Live)
