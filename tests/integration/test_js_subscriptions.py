"""The JavaScript client module in Node against real servers: what it hands on is what the server has."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest
from js_watcher import needs_node, watching
from publishing import latest, put_event, put_statistics
from servers import logged_in, make_config, receive, serving

from passivbot_hooks import Position, Side
from passivbot_ws_plugin.history.cache import Cache

pytestmark = needs_node

#: Symbols whose order differs by code points and by UTF-16 code units.
SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "\uff5e/USDT:USDT", "\U0001f600/USDT:USDT", "a|b", "__proto__")


def random_life(source: random.Random) -> Iterator[dict[str, Any]]:
    """A bot's changes: figures that come, change and are unknown; positions that open, change and close."""
    held: dict[tuple[str, Side], Position] = {}
    sides: tuple[Side, Side] = ("long", "short")
    for number in itertools.count():
        symbol, side = source.choice(SYMBOLS), source.choice(sides)
        if held.pop((symbol, side), None) is None or source.random() < 0.5:
            upnl = source.choice([None, 1.0, -1.0])
            held[symbol, side] = Position(symbol, side, source.choice([0.1, 2.0]), 1.0, upnl=upnl)
        yield {
            "timestamp": 1_678_886_400_000 + number,
            "balance": float(number),  # each state is another one
            "upnl": None if source.random() < 0.1 else -0.5,
            "status": source.choice(["running", "running", "stale", None]),
            "positions": tuple(held.values()),
        }


@pytest.mark.parametrize("method", ["scram", "token"])
async def test_states_after_deltas_are_what_a_published_client_gets(method: str) -> None:
    cache = Cache()
    async with serving(cache) as (server, address):
        async with logged_in(address) as published, watching(address, method=method) as watcher:
            assert (await receive(published))["code"] == "unavailable"
            await watcher.wait_for("subscribed", channel="statistics", epoch=cache.epoch)
            deltas = 0
            for changes in itertools.islice(random_life(random.Random(7396)), 200):
                put_statistics(server, cache, **changes)
                sent = cache.bots["main"].statistics.update(cache.bots["main"].statistics.seq - 1)
                deltas += sent is not None and b'"statistics_delta"' in sent.payload
                theirs = await receive(published)
                kind, ours, origin = await watcher.next()
                assert kind == "statistics"
                assert origin == {"bot": "main", "epoch": cache.epoch, "seq": theirs["seq"]}
                assert ours == theirs["data"]
                assert list(ours) == list(theirs["data"])
            assert 50 < deltas < 190  # both ways were taken


async def test_a_rate_that_it_asks_for_skips_states_and_not_the_last() -> None:
    cache = Cache()
    async with serving(cache) as (server, address), watching(address, maxRate=20) as watcher:
        await watcher.wait_for("subscribed")
        for number in range(50):
            put_statistics(server, cache, balance=float(number))
            await asyncio.sleep(0)
        while (await watcher.wait_for("statistics"))[2]["seq"] != 50:
            pass
        assert watcher.heard[-1][1] == latest(cache)
        assert len(watcher.heard) < 20


async def test_it_hears_of_events_and_of_changes_of_the_config() -> None:
    cache = Cache()
    cache.put_config("main", make_config())
    async with serving(cache) as (server, address):
        async with watching(address, "statistics", "events", "config") as watcher:
            await watcher.wait_for("subscribed", channel="config")
            [_, changed] = await watcher.wait_for("config_changed", paths=None)
            [_, method, answer] = await watcher.call("getConfig", {"bot": "main"})
            assert (method, answer["config"]) == ("getConfig", make_config())
            assert answer["hash"] == changed["hash"]
            put_event(server, cache, 1)
            [_, event, origin] = await watcher.wait_for("event")
            assert event["details"] == {"number": 1}
            assert origin == {"bot": "main", "epoch": cache.epoch, "seq": 1}
            config = make_config()
            config["bot"]["long"]["n_positions"] = 4
            cache.put_config("main", config)
            server.publish("config", "main")
            told = await watcher.wait_for("config_changed", paths=["/bot/long/n_positions"])
            assert told[1]["values"] == {"/bot/long/n_positions": 4}
            [bot] = (await watcher.call("listBots"))[2]
            assert (bot["bot"], bot["has_config"], bot["event_seq"]) == ("main", True, 1)
            assert await watcher.call("ping") == ["answer", "ping", None]
            assert (await watcher.call("getConfig", {"bot": "none"}))[2:] == [
                "no such bot is known", "unavailable",
            ]  # fmt: skip


async def test_a_call_that_nothing_can_come_of_is_refused() -> None:
    async with (
        serving() as (server, address),
        watching(address, retry={"baseMs": 10**9, "maxMs": 10**9}, timeoutMs=2_000) as watcher,
    ):
        await watcher.wait_for("state", state="live")
        await server.stop(5.0)
        await watcher.wait_for("state", state="waiting")
        refusal = "no config in 2000 ms; not connected"
        assert await watcher.call("getConfig") == ["refused", "getConfig", refusal, None]
        watcher.begin_call("close")
        assert [
            "state",
            {"state": "ended", "code": 1000, "reason": "closed by this client"},
        ] in await watcher.rest()


async def test_a_key_without_a_scope_is_told_which_channel_it_may_not_have() -> None:
    password = "another password of some length"
    key = {"password": password, "scopes": ["events"]}
    async with serving(Cache(), keys={"guest": key}) as (_, address):
        async with watching(
            address, "statistics", "events", password=password, publicKeyPart="guest"
        ) as watcher:
            [_, error] = await watcher.wait_for("error")
            message = "this key may not see the statistics"
            assert error == {"message": message, "code": "forbidden", "channel": "statistics"}
            await watcher.wait_for("subscribed", channel="events")


async def test_more_bots_than_fit_into_a_login_are_asked_for_after_it() -> None:
    cache = Cache()
    bots = [f"bot {number} {'x' * 100}" for number in range(120)]
    async with serving(cache) as (server, address), watching(address, bots=bots) as watcher:
        await watcher.wait_for("subscribed", channel="statistics")
        put_statistics(server, cache, bots[-1])
        assert (await watcher.wait_for("statistics"))[2]["bot"] == bots[-1]
