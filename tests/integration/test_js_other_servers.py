"""The JavaScript client module in Node against servers that are older, broken, or not who they say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import schemas
from js_watcher import needs_node, watching
from servers import make_settings
from websockets.asyncio.server import ServerConnection, serve

from passivbot_ws_plugin.access.auth import Authenticator

pytestmark = needs_node

Talk = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def other_server(talk: Talk) -> AsyncIterator[str]:
    """A WebSocket server that says what a test wants."""
    async with serve(talk, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def say(connection: ServerConnection, **message: Any) -> None:
    await connection.send(json.dumps(message))


async def hear(connection: ServerConnection) -> dict[str, Any]:
    message: dict[str, Any] = schemas.check_request(json.loads(await connection.recv()))
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
            match schemas.check_request(json.loads(frame))["type"]:
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


async def test_a_second_challenge_is_not_answered() -> None:
    # Each answer may be a million rounds of a hash: some hundred would keep a client busy for minutes.
    heard: list[dict[str, Any]] = []

    async def talk(connection: ServerConnection) -> None:
        nonce = (await hear(connection))["data"].rpartition("r=")[2]
        for _ in range(2):
            await say(connection, type="challenge", data=f"r={nonce}more,s=QUFB,i=1000000")
        heard.extend([json.loads(frame) async for frame in connection])

    async with other_server(talk) as address, watching(address) as watcher:
        told = await watcher.rest()
    assert told[-1][1]["state"] == "ended"
    assert told[-1][1]["reason"].startswith("the server sent a second challenge")
    assert not heard


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


async def test_what_a_later_server_says_beside_is_passed_over() -> None:
    async def talk(connection: ServerConnection) -> None:
        await say(connection, type="later")
        await hear(connection)
        await say(connection, type="later")
        await say(connection, type="auth_result", success=True, message="")
        await say(connection, type="later")
        request = await hear(connection)
        await say(connection, type="pong", id=request["id"])
        await connection.wait_closed()

    async with other_server(talk) as address, watching(address, method="token") as watcher:
        await watcher.wait_for("state", state="live")
        assert await watcher.call("ping") == ["answer", "ping", None]
        watcher.begin_call("close")
        await watcher.rest()


@pytest.mark.parametrize("text", ["[", "null", "7", "[]", '"x"', "{}", '{"type":7}', '{"type":"statistics"}'])
async def test_what_does_not_hold_is_a_loss_and_not_passed_over(text: str) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(text)  # before the login nothing that is said counts
        await hear(connection)
        await say(connection, type="auth_result", success=True, message="")
        await connection.send(text)
        await connection.wait_closed()

    async with other_server(talk) as address, watching(address, method="token") as watcher:
        for _ in range(2):
            [_, state] = await watcher.wait_for("state", state="waiting")
            assert state["reason"].startswith("the server sent ")


async def test_another_program_on_that_address_is_not_tried_again() -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send("hello")
        await connection.wait_closed()

    async with other_server(talk) as address, watching(address) as watcher:
        told = await watcher.rest()
    assert told[-1][1]["state"] == "ended"
    assert "is another program on that address?" in told[-1][1]["reason"]


async def test_a_locked_address_is_told_how_long_to_wait_and_does() -> None:
    async def talk(connection: ServerConnection) -> None:
        await hear(connection)
        await say(connection, type="auth_result", success=False, message="try again", retry_after_s=900)
        await connection.close(4429)

    async with other_server(talk) as address, watching(address) as watcher:
        [_, state] = await watcher.wait_for("state", state="waiting")
    assert (state["code"], state["reason"]) == (4429, "try again")
    assert 900_000 <= state["retryInMs"] <= 900_002
