"""A client whose updates are not taken: bounded, still answered, and no event is lost without a word."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
from publishing import put_event, put_statistics
from py_watcher import WAIT_S, Taker, watching
from tcp_proxy import TcpProxy

from passivbot_ws_plugin.client import Client, GapUpdate, StatisticsUpdate, Timing
from passivbot_ws_plugin.history import events as event_history
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.server.server import Server


def impatient(
    events_max: int,
) -> AbstractAsyncContextManager[tuple[Server, Cache, TcpProxy, Client, Taker]]:
    """A client of the events that soon does without them where they are not taken."""
    timing = Timing(retry_first_s=0.01, retry_max_s=0.05, patience_s=0.05)
    return watching(subscriptions=["events"], events_max=events_max, timing=timing)


async def test_one_that_does_not_take_the_statistics_gets_the_latest_of_each_bot() -> None:
    async with watching() as (server, cache, _, client, taker):
        await taker.a(StatisticsUpdate)
        for balance in range(1, 200):
            put_statistics(server, cache, balance=float(balance))
        put_statistics(server, cache, bot="another", balance=1.0)
        await client.ping()  # its answer comes after all of them
        assert client.bots["main"].data.balance == 199
        assert len(client._inbox._pending) == 2
        assert (await taker.a(StatisticsUpdate)).data.balance == 199
        assert (await taker.a(StatisticsUpdate)).bot == "another"


async def test_one_that_does_not_take_the_events_is_bounded_and_still_answered_and_loses_none() -> None:
    async with impatient(events_max=8) as (server, cache, proxy, client, taker):
        for seq in range(1, 301):
            put_event(server, cache, seq)
        await client.ping()
        assert client._inbox._events == 8
        await client.ping()
        await taker.event(300)
        assert taker.seqs() == list(range(1, 301))
        assert proxy.connections == 1


async def test_events_that_the_server_did_not_keep_for_a_slow_one_show_as_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_history, "EVENTS_MAX", 10)
    async with impatient(events_max=4) as (server, cache, _, client, taker):
        for seq in range(1, 5):
            put_event(server, cache, seq)
        await client.ping()  # by now it does without
        for seq in range(5, 31):
            put_event(server, cache, seq)
        await taker.event(30)
        assert GapUpdate("main", cache.epoch, 5, 20) in taker.taken
        assert taker.seqs() == [1, 2, 3, 4, None, *range(21, 31)]


async def test_a_connection_that_is_lost_while_there_is_no_room_loses_no_event() -> None:
    async with impatient(events_max=4) as (server, cache, proxy, client, taker):
        for seq in range(1, 21):
            put_event(server, cache, seq)
        await client.ping()
        proxy.cut()
        async with asyncio.timeout(WAIT_S):
            while proxy.connections < 2 or not client.is_live:  # noqa: ASYNC110  it has no event of it
                await asyncio.sleep(0.01)
        await client.ping()
        assert client._inbox._events == 4
        await taker.event(20)
        assert taker.seqs() == list(range(1, 21))
