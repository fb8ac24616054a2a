"""The JavaScript client module when the network, a proxy or the server fails it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from cutting_proxy import Cut, cutting_proxy
from js_watcher import needs_node, watching
from publishing import latest, put_event, put_statistics
from servers import make_config, make_settings, serving
from websockets.asyncio.server import ServerConnection, serve

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.audit import Audit
from passivbot_ws_plugin.auth import Authenticator
from passivbot_ws_plugin.cache import Cache
from passivbot_ws_plugin.messages import statistics_data
from passivbot_ws_plugin.server import Server
from passivbot_ws_plugin.settings import parse_settings

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


@pytest.mark.parametrize("way", ["from_server", "from_client"])
async def test_whatever_byte_a_connection_is_cut_at_it_gets_there_in_the_end(way: str) -> None:
    cache = Cache()
    async with serving(cache) as (server, address):
        put_statistics(server, cache, positions=())

        def plan(number: int) -> Cut:
            return Cut(**{way: HANDSHAKE_BYTES + number})

        async with cutting_proxy(address, plan) as proxy, watching(proxy.address, method="token") as watcher:
            [_, data, _] = await watcher.wait_for("statistics")
            assert data == latest(cache)
            # Until then each byte of the login, the subscription and the state was the last one once.
            assert proxy.connections > 200
            # From now on each connection carries some changes, and one of them in part only.
            for number in range(100):
                put_statistics(server, cache, balance=float(number))
                [_, data, _] = await watcher.wait_for("statistics")
                assert data == latest(cache)
            assert proxy.connections > 220


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
    async with serving(limits=limits) as (_, address):
        async with watching(address, password="a wrong one") as wrong:
            await wrong.rest()
        # Its handshakes are answered with 429 while the lock lasts, some two seconds.
        async with watching(address, retry={"baseMs": 100, "maxMs": 400}) as watcher:
            [_, state] = await watcher.wait_for("state", state="waiting")
            assert "429" in state["reason"]
            await watcher.wait_for("state", state="live")


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


# --- servers that are not ours ----------------------------------------------------------

Talk = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def other_server(talk: Talk) -> AsyncIterator[str]:
    """A WebSocket server that says what a test wants."""
    async with serve(talk, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def say(connection: ServerConnection, **message: Any) -> None:
    await connection.send(json.dumps(message))


async def hear(connection: ServerConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await connection.recv())
    return message


async def test_a_server_of_the_published_interface_alone_is_enough() -> None:
    state = {
        "timestamp": 1,
        "balance": 1.0,
        "upnl": 0.0,
        "open_orders_count": 0,
        "active_symbols_count": 0,
        "positions": [],
    }

    async def talk(connection: ServerConnection) -> None:
        assert (await hear(connection))["type"] == "auth"
        await say(connection, type="auth_result", success=True, message="Authentication successful")
        await say(connection, type="statistics", data=state)
        async for frame in connection:
            match json.loads(frame)["type"]:
                case "ping":
                    await say(connection, type="pong")
                case "get_config":
                    await say(connection, type="config", data={"live": {}})
                case other:
                    await say(connection, type="error", message=f"unknown type {other}")

    async with other_server(talk) as address:
        async with watching(
            address, "statistics", "events", "config", method="token", timeoutMs=500
        ) as watcher:
            assert await watcher.wait_for("statistics") == ["statistics", state, {}]
            assert await watcher.call("ping") == ["answer", "ping", None]
            assert (await watcher.call("getConfig"))[2]["config"] == {"live": {}}
            assert (await watcher.call("listBots"))[0] == "refused"
            assert [told for told in watcher.heard if told[0] == "state"][1:] == [
                ["state", {"state": "live"}]
            ]


async def test_a_silence_is_no_stall() -> None:
    pings: asyncio.Queue[str] = asyncio.Queue()

    async def talk(connection: ServerConnection) -> None:
        await hear(connection)
        await say(connection, type="auth_result", success=True, message="")
        async for _ in connection:
            await say(connection, type="pong")
            pings.put_nowait("ping")

    async with other_server(talk) as address:
        async with watching(address, method="token", keepaliveMs=20, timeoutMs=5_000) as watcher:
            async with asyncio.timeout(10):
                for _ in range(5):
                    await pings.get()
            watcher.begin_call("close")
            told = await watcher.rest()
    assert [line[1]["state"] for line in told if line[0] == "state"] == ["connecting", "live", "ended"]


async def test_an_impostor_is_not_believed_and_not_tried_again() -> None:
    connections = 0

    async def talk(connection: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        exchange = Authenticator(make_settings("not the password").credentials).scram()
        await say(connection, type="challenge", data=exchange.challenge((await hear(connection))["data"]))
        await hear(connection)
        await say(connection, type="statistics", data={"positions": []}, bot="main", epoch="e", seq=1)
        await say(connection, type="auth_result", success=True, message="", data="v=" + "A" * 43 + "=")
        await say(connection, type="statistics", data={"positions": []}, bot="main", epoch="e", seq=1)
        await connection.wait_closed()

    async with other_server(talk) as address, watching(address) as watcher:
        told = await watcher.rest()
    assert connections == 1
    assert [line[0] for line in told] == ["state", "state"]
    assert told[-1][1]["state"] == "ended"
    assert told[-1][1]["reason"].startswith("the server did not prove that it knows the password")


async def test_a_success_before_the_proof_is_not_believed() -> None:
    async def talk(connection: ServerConnection) -> None:
        await hear(connection)
        await say(connection, type="auth_result", success=True, message="Authentication successful")
        await connection.wait_closed()

    async with other_server(talk) as address, watching(address) as watcher:
        told = await watcher.rest()
    assert told[-1][1]["state"] == "ended"


async def test_a_delta_that_fits_nothing_is_not_applied_and_begins_anew() -> None:
    """Twice: after the second the server is asked for whole states."""
    asked: list[dict[str, Any]] = []

    async def state(connection: ServerConnection, bot: str, seq: int) -> None:
        data = {"balance": float(seq), "positions": []}
        await say(connection, type="statistics", data=data, bot=bot, epoch="e", seq=seq)

    async def delta(connection: ServerConnection, bot: str, base: int) -> None:
        patch = {"balance": float(base + 1)}
        await say(
            connection, type="statistics_delta", bot=bot, epoch="e", base=base, seq=base + 1, patch=patch
        )  # fmt: skip

    async def talk(connection: ServerConnection) -> None:
        await hear(connection)
        await say(connection, type="auth_result", success=True, message="")
        await say(connection, type="subscribed", channel="statistics", epoch="e", id="statistics")
        await state(connection, "main", 1)
        await state(connection, "other", 5)
        for other in (5, 6):
            await delta(connection, "main", 77)
            await delta(connection, "main", 1)  # would fit what was there before
            await delta(connection, "other", other)  # is on its way while the client subscribes anew
            asked.append(await hear(connection))
            await say(connection, type="subscribed", channel="statistics", epoch="e", id=asked[-1]["id"])
            await state(connection, "main", 9)
            await delta(connection, "other", other)  # and comes again, as the new subscription's
        await connection.wait_closed()

    async with other_server(talk) as address, watching(address, method="token") as watcher:
        await watcher.wait_for("statistics", bot="other", seq=7)
    told = [(line[2]["bot"], line[1]["balance"]) for line in watcher.heard if line[0] == "statistics"]
    assert told == [("main", 1), ("other", 5), ("main", 9), ("other", 6), ("main", 9), ("other", 7)]
    assert [request["mode"] for request in asked] == ["delta", "full"]
    assert [request["since"] for request in asked] == [
        {"other": {"epoch": "e", "seq": 5}}, {"other": {"epoch": "e", "seq": 6}},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["[", "null", "7", "[]", '"x"', "{}", '{"type":"statistics"}', '{"type":"later"}']
)
async def test_whatever_a_server_says_the_connection_stays(text: str) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(text)
        await hear(connection)
        await connection.send(text)
        await say(connection, type="auth_result", success=True, message="")
        await connection.send(text)
        request = await hear(connection)
        await say(connection, type="pong", id=request["id"])
        await connection.wait_closed()

    async with other_server(talk) as address, watching(address, method="token") as watcher:
        await watcher.wait_for("state", state="live")
        assert await watcher.call("ping") == ["answer", "ping", None]
        watcher.begin_call("close")
        await watcher.rest()
