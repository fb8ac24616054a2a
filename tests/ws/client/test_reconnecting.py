"""The client comes back after every loss, and goes on where it stood."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from impostor import impostor
from publishing import put_event, put_statistics
from py_watcher import Taker, connect, watching
from servers import free_port, make_config, serving
from tcp_proxy import tcp_proxy

from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.audit import Audit
from passivbot_ws_plugin.client import (
    Connecting,
    EventUpdate,
    GapUpdate,
    Live,
    Lost,
    StatisticsUpdate,
    Timing,
)
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import event_data, statistics_data
from passivbot_ws_plugin.server.server import Server
from passivbot_ws_plugin.settings.parsing import parse_settings


async def test_a_restart_of_the_server_is_told_and_survived() -> None:
    port = free_port()
    async with connect(f"ws://127.0.0.1:{port}", subscriptions=["statistics", "events"]) as client:
        taker = Taker(client)
        for balance in (1.0, 2.0):
            cache = Cache()
            cache.put_statistics("main", statistics_data(make_statistics(balance=balance)))
            async with serving_on(port, cache) as server:
                update = await taker.balance(balance)
                assert update.epoch == cache.epoch
                await client.ping()
                put_event(server, cache, 1)
                await taker.event(1)
                assert client.is_live
                # Taken at once: the next attempt's loss would take its place.
                losing = asyncio.create_task(taker.a(Lost))
            assert (await losing).code == 1012
            assert not client.is_current("main")
        first, gap, second = taker.events()
        assert isinstance(first, EventUpdate)
        assert gap == GapUpdate("main", first.epoch, 2, None)
        assert isinstance(second, EventUpdate)
        assert second.epoch != first.epoch


async def test_a_bot_that_a_restarted_server_does_not_know_of_again_is_not_current() -> None:
    port, cache = free_port(), Cache()
    cache.put_statistics("main", statistics_data(make_statistics()))
    async with connect(f"ws://127.0.0.1:{port}") as client:
        taker = Taker(client)
        async with serving_on(port, cache):
            await taker.a(StatisticsUpdate)
            assert client.is_current("main")
        async with serving_on(port, Cache()):
            await taker.a(Live)
            await client.ping()  # by now its subscription has begun
            assert client.is_live
            assert "main" in client.bots
            assert not client.is_current("main")


@asynccontextmanager
async def serving_on(port: int, cache: Cache) -> AsyncIterator[Server]:
    server = Server(parse_settings(make_config(websocket_port=port)), cache, Audit())
    await server.start()
    try:
        yield server
    finally:
        await server.stop(5.0)


async def test_no_event_is_lost_with_a_connection() -> None:
    async with watching(subscriptions=["events"]) as (server, cache, proxy, _, taker):
        put_event(server, cache, 1)
        await taker.event(1)
        for first in range(2, 30, 4):
            proxy.cut()
            put_event(server, cache, first)
            await taker.a(Lost)
            put_event(server, cache, first + 1)
            await taker.a(Live)
            put_event(server, cache, first + 2)
            put_event(server, cache, first + 3)
            await taker.event(first + 3)
        assert taker.seqs() == list(range(1, 30))


async def test_events_of_a_bot_that_said_nothing_before_the_loss_are_not_lost() -> None:
    async with watching(subscriptions=["events"]) as (server, cache, proxy, _, taker):
        proxy.cut()
        put_event(server, cache, 1)
        put_event(server, cache, 1, bot="new")
        await taker.a(Lost)
        await taker.until(lambda _: len(taker.events()) == 2)
        assert {(update.bot, update.seq) for update in taker.events()} == {("main", 1), ("new", 1)}  # type: ignore[union-attr]


async def test_a_client_that_comes_back_is_not_sent_what_it_has() -> None:
    cache = Cache()
    async with watching(cache) as (server, _, proxy, client, taker):
        put_statistics(server, cache, balance=2.0)
        await taker.balance(2.0)
        proxy.cut()
        await taker.a(Lost)
        before = proxy.passed["server"]
        await taker.a(Live)
        await client.ping()
        assert proxy.passed["server"] - before < len(cache.bots["main"].statistics.snapshot) + 900
        put_statistics(server, cache, balance=3.0)
        await taker.balance(3.0)
        assert not [update for update in taker.taken[-2:-1] if isinstance(update, StatisticsUpdate)]


async def test_a_proxy_that_stalls_is_found_out() -> None:
    timing = Timing(ping_interval_s=0.1, ping_timeout_s=0.2, retry_first_s=0.01, retry_max_s=0.05)
    async with watching(timing=timing) as (_, _, proxy, client, taker):
        proxy.is_stalled = True
        lost = await taker.a(Lost)
        assert lost.reason == "the server does not answer pings"
        assert not client.is_live
        proxy.is_stalled = False
        await taker.a(Live)


@pytest.mark.parametrize(("stable_s", "bound_s"), [(0.0, 0.02), (1000.0, 0.05)])
async def test_the_pauses_begin_anew_only_after_a_connection_that_held(
    stable_s: float, bound_s: float
) -> None:
    timing = Timing(retry_first_s=0.01, retry_max_s=0.05, stable_s=stable_s)
    async with watching(timing=timing) as (_, _, proxy, client, taker):
        for _ in range(4):
            proxy.cut()
            await taker.a(Lost)
            assert client._backoff._bound_s <= bound_s
            await taker.a(Live)
        assert client._backoff._bound_s == bound_s


async def test_a_handshake_that_hangs_is_tried_again() -> None:
    timing = Timing(open_s=0.2, retry_first_s=0.01)
    async with serving() as (_, address), tcp_proxy(address) as proxy:
        proxy.is_stalled = True
        async with connect(proxy.url, timing=timing) as client:
            taker = Taker(client)
            lost = await taker.a(Lost)
            assert lost.reason == "timed out during opening handshake"
            proxy.is_stalled = False
            await taker.a(Live)
        assert proxy.connections >= 2


async def test_a_login_that_is_not_answered_is_tried_again() -> None:
    async with impostor() as (address, told):
        async with connect(address, timing=Timing(login_s=0.2, retry_first_s=0.01)) as client:
            taker = Taker(client)
            assert (await taker.a(Lost)).reason == "no answer to the login within 0.2 s"
            await taker.a(Lost)
    assert len(told) >= 2


@pytest.mark.parametrize("status", [429, 503])
async def test_the_server_s_wish_to_wait_is_kept(status: int) -> None:
    async with impostor(status=status, headers={"Retry-After": "900"}) as (address, _):
        async with connect(address) as client:
            lost = await Taker(client).a(Lost)
            assert lost.code == status
            assert 900 <= lost.retry_in_s <= 900.05


async def test_it_does_not_come_before_the_pause_is_over() -> None:
    came: list[float] = []
    async with (
        impostor(status=503, headers={"Retry-After": "1"}) as (address, _),
        tcp_proxy(address) as proxy,
    ):
        proxy.cut_after = lambda: came.append(asyncio.get_running_loop().time())
        async with connect(proxy.url) as client:
            taker = Taker(client)
            for _ in range(2):
                await taker.a(Lost)
            assert [update for update in taker.taken if isinstance(update, Connecting)] == [
                Connecting(1), Connecting(2)
            ]  # fmt: skip
    assert came[1] - came[0] >= 1.0


async def test_a_locked_address_is_told_how_long_to_wait_and_does() -> None:
    locked = {"type": "auth_result", "success": False, "message": "try again", "retry_after_s": 900}
    async with impostor(locked, closes=4429) as (address, told):
        async with connect(address) as client:
            lost = await Taker(client).a(Lost)
    assert (lost.reason, lost.code) == ("try again", 4429)
    assert 900 <= lost.retry_in_s <= 900.05
    assert len(told) == 1


async def test_many_bots_come_back_though_they_do_not_fit_the_login() -> None:
    cache = Cache()
    names = [f"a bot with a rather long name {number}" for number in range(150)]
    for name in names:
        cache.put_statistics(name, statistics_data(make_statistics(positions=())))
        cache.put_event(name, 1, event_data(make_event()))
    async with watching(cache, subscriptions=["statistics", "events"]) as (server, _, proxy, client, taker):
        await taker.until(lambda _: len(client.bots) == 151)
        proxy.cut()
        put_event(server, cache, 2, names[0])
        assert (await taker.a(Lost)).code is None
        await taker.event(2)
        put_statistics(server, cache, bot=names[-1], balance=5.0)
        await taker.balance(5.0)
        assert proxy.connections == 2
