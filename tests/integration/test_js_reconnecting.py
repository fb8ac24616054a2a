"""The JavaScript client module when the network, a proxy or the server fails it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from cutting_proxy import Cut, cutting_proxy
from js_watcher import needs_node, watching
from publishing import latest, put_event, put_statistics
from servers import make_config, make_settings, serving

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.audit import Audit
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import statistics_data
from passivbot_ws_plugin.server.server import Server
from passivbot_ws_plugin.settings.parsing import parse_settings

pytestmark = needs_node


#: Of the WebSocket handshake, which is not ours, some are left to be cut at.
HANDSHAKE_BYTES = 100


def port_of(address: str) -> int:
    port = urlsplit(address).port
    assert port is not None
    return port


@asynccontextmanager
async def serving_at(port: int, cache: Cache) -> AsyncIterator[None]:
    """A server where another one was."""
    server = Server(parse_settings(make_config(websocket_port=port)), cache, Audit())
    await server.start()
    try:
        yield
    finally:
        await server.stop(5.0)


# --- a real server ----------------------------------------------------------------------


@pytest.mark.timeout(180)  # some 700 connections, on a machine that may have other things to do
@pytest.mark.parametrize(("method", "step"), [("token", 1), ("scram", 7)])
@pytest.mark.parametrize("way", ["from_server", "from_client"])
async def test_whatever_byte_a_connection_is_cut_at_it_gets_there_in_the_end(
    way: str, method: str, step: int
) -> None:
    cache = Cache()
    async with serving(cache) as (server, address):
        put_statistics(server, cache, positions=())

        def plan(number: int) -> Cut:
            return Cut(**{way: HANDSHAKE_BYTES + number * step})

        async with cutting_proxy(address, plan) as proxy, watching(proxy.address, method=method) as watcher:
            [_, data, _] = await watcher.wait_for("statistics")
            assert data == latest(cache)
            # Until then each byte of the login, the subscription and the state was the last one once.
            assert proxy.connections > 200 // step
            # From now on each connection carries some changes, and one of them in part only.
            for number in range(100):
                put_statistics(server, cache, balance=float(number))
                [_, data, _] = await watcher.wait_for("statistics")
                assert data == latest(cache)
            assert proxy.connections > 220 // step


async def test_it_goes_on_where_it_stood_and_misses_no_event() -> None:
    cache = Cache()
    async with serving(cache) as (server, address), cutting_proxy(address) as proxy:
        put_statistics(server, cache)
        put_event(server, cache, 1)
        put_statistics(server, cache, "quiet")
        async with watching(proxy.address, "statistics", "events", retry={"baseMs": 200}) as watcher:
            await watcher.wait_for("subscribed", channel="events")
            await watcher.call("ping")  # the list of the bots was answered before it
            proxy.cut()
            put_event(server, cache, 2)
            put_statistics(server, cache, balance=1.0)
            put_event(server, cache, 1, "quiet")
            await watcher.wait_for("state", state="live")
            mark = len(watcher.heard)
            await watcher.call("ping")
            told = [line for line in watcher.heard[mark:] if line[0] in {"statistics", "event", "gap"}]
            # Of "quiet" no statistics: it has the latest. But its first event, which came while it was away.
            assert sorted((kind, origin["bot"], origin["seq"]) for kind, _, origin in told) == [
                ("event", "main", 2), ("event", "quiet", 1), ("statistics", "main", 2),
            ]  # fmt: skip


async def test_after_a_restart_of_the_server_everything_is_new_and_lost_events_show() -> None:
    before, after = Cache(), Cache()
    async with serving(before) as (server, address):
        put_statistics(server, before)
        async with watching(address, "statistics", "events") as watcher:
            await watcher.wait_for("subscribed", channel="events")
            put_event(server, before, 1)
            await watcher.wait_for("event")
            after.put_statistics("main", statistics_data(make_statistics(balance=7.0)))
            await server.stop(5.0)
            [_, state] = await watcher.wait_for("state", state="waiting")
            assert (state["code"], state["reason"]) == (1012, "the server is going away")
            async with serving_at(port_of(address), after):
                await watcher.wait_for("subscribed", channel="statistics", epoch=after.epoch)
                [_, data, origin] = await watcher.wait_for("statistics")
                assert (data, origin["epoch"], origin["seq"]) == (latest(after), after.epoch, 1)
                [_, gap] = await watcher.wait_for("gap")
                assert gap == {"bot": "main", "epoch": before.epoch, "first": 2, "last": None}


@pytest.mark.parametrize("method", ["scram", "token"])
async def test_a_wrong_password_is_tried_once(method: str) -> None:
    async with serving() as (_, address), cutting_proxy(address) as proxy:
        async with watching(proxy.address, password="a wrong one", method=method) as watcher:
            told = await watcher.rest()
        assert proxy.connections == 1
    assert told[-1] == ["state", {
        "state": "ended", "code": 4401, "reason": "Authentication failed: wrong token or public_key_part",
    }]  # fmt: skip


async def test_a_revoked_key_does_not_come_back() -> None:
    async with serving() as (server, address), cutting_proxy(address) as proxy:
        async with watching(proxy.address) as watcher:
            await watcher.wait_for("state", state="live")
            server.use(make_settings("another password of some length"))
            told = await watcher.rest()
        assert proxy.connections == 1
    assert [line[1]["code"] for line in told if line[0] == "state"] == [4403]


@pytest.mark.bad_requests
async def test_a_client_gone_mad_does_not_come_back() -> None:
    async with serving() as (_, address), cutting_proxy(address) as proxy:
        async with watching(proxy.address) as watcher:
            await watcher.wait_for("state", state="live")
            for _ in range(10):
                watcher.begin_call("getConfig", {"bot": 7})
            told = await watcher.rest()
        assert proxy.connections == 1
    assert [line[3] for line in told if line[0] == "refused"] == ["invalid_message"] * 10
    assert [line[1]["code"] for line in told if line[0] == "state"] == [4400]


async def test_a_locked_address_waits_longer_and_comes_back() -> None:
    limits = {"auth_failures": 1, "auth_window_s": 1.0}
    async with serving(limits=limits) as (_, address), cutting_proxy(address) as proxy:
        async with watching(address, password="a wrong one") as wrong:
            await wrong.rest()
        # Its handshakes are answered with 429 while the lock lasts, some two seconds.
        async with watching(proxy.address, retry={"baseMs": 100, "maxMs": 400}) as watcher:
            [_, state] = await watcher.wait_for("state", state="waiting")
            why = "the server answered HTTP 429: too many failed logins or connections from this address"
            assert (state["code"], state["reason"]) == (429, why)
            assert state["retryInMs"] >= 1_000
            await watcher.wait_for("state", state="live")
        assert proxy.connections == 2


async def test_the_pauses_grow_while_nobody_answers_however_long_it_was_live_before() -> None:
    retry = {"baseMs": 1, "maxMs": 200, "stableMs": 0}
    async with serving() as (server, address), watching(address, retry=retry) as watcher:
        await watcher.wait_for("state", state="live")
        await server.stop(5.0)
        states = [(await watcher.wait_for("state", state="waiting"))[1] for _ in range(14)]
    assert max(state["retryInMs"] for state in states) > 10


async def test_a_proxy_that_stalls_is_noticed() -> None:
    cache = Cache()
    async with serving(cache) as (server, address), cutting_proxy(address) as proxy:
        put_statistics(server, cache)
        async with watching(proxy.address, keepaliveMs=50, timeoutMs=300) as watcher:
            await watcher.wait_for("statistics")
            proxy.stall()
            put_statistics(server, cache, balance=1.0)
            [_, state] = await watcher.wait_for("state", state="waiting")
            assert state["reason"] == "the server stopped answering"
            proxy.resume()
            assert (await watcher.wait_for("statistics"))[1]["balance"] == 1.0


async def test_who_never_answers_is_left_for_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, nobody speaks
        address = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        async with watching(address, timeoutMs=100) as watcher:
            for _ in range(2):
                [_, state] = await watcher.wait_for("state", state="waiting")
                assert state["reason"] == f"no answer from {address}"


async def test_the_places_of_an_earlier_run_of_the_program_count() -> None:
    cache = Cache()
    async with serving(cache) as (server, address):
        for seq in (1, 2, 3):
            put_event(server, cache, seq)
        since = {"main": {"epoch": cache.epoch, "seq": 1}}
        async with watching(address, "events", since=since) as watcher:
            await watcher.wait_for("event", seq=3)
            assert [line[2]["seq"] for line in watcher.heard if line[0] == "event"] == [2, 3]


async def test_what_is_asked_while_the_connection_is_lost_is_answered_by_the_next() -> None:
    async with serving() as (_, address), cutting_proxy(address) as proxy:
        async with watching(proxy.address, retry={"baseMs": 100, "maxMs": 100}) as watcher:
            await watcher.wait_for("state", state="live")
            proxy.stall()
            watcher.begin_call("ping")  # under way
            proxy.cut()
            proxy.resume()
            await watcher.wait_for("state", state="waiting")
            watcher.begin_call("listBots")  # while nobody is there
            for method in ("ping", "listBots"):
                await watcher.wait_for("answer")
                assert watcher.heard[-1][1] == method


async def test_more_requests_than_the_server_takes_at_once_wait_their_turn() -> None:
    async with serving() as (_, address), cutting_proxy(address) as proxy:
        async with watching(proxy.address) as watcher:
            await watcher.wait_for("state", state="live")
            for _ in range(24):
                watcher.begin_call("ping")
            for _ in range(24):
                await watcher.wait_for("answer")
        assert proxy.connections == 1


async def test_a_config_is_told_again_only_if_it_is_another() -> None:
    cache = Cache()
    cache.put_config("main", make_config())
    async with serving(cache) as (_, address), cutting_proxy(address) as proxy:
        async with watching(proxy.address, "config") as watcher:
            await watcher.wait_for("config_changed")
            proxy.cut()
            await watcher.wait_for("state", state="waiting")
            await watcher.wait_for("subscribed")
            await watcher.call("ping")
            assert [line[0] for line in watcher.heard].count("config_changed") == 1
            cache.put_config("main", make_config(user="other"))
            proxy.cut()
            await watcher.wait_for("config_changed", paths=None)
