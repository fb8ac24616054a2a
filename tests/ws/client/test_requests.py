"""What is asked of a client, while it is connected and while it is not."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest
from impostor import WELCOME, impostor
from py_watcher import connect, watching
from servers import free_port
from websockets.asyncio.server import ServerConnection, serve

from passivbot_ws_plugin.client import Client, ClosedError, Config, Lost, RequestError
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import Channel, ConfigChanged, Subscribe


async def test_requests_beside_the_updates_and_without_them() -> None:
    cache = Cache()
    cache.put_config("main", {"live": {"user": "main"}})
    async with watching(cache) as (_, _, _, client, _):
        config = await client.get_config()
        assert (config.bot, config.data) == ("main", {"live": {"user": "main"}})
        assert (await client.get_config("main")).hash == config.hash
        assert [bot.bot for bot in await client.list_bots()] == ["main"]
        await client.ping()
        with pytest.raises(RequestError, match="no such bot") as caught:
            await client.get_config("nobody")
        assert caught.value.code == "unavailable"


async def test_more_requests_than_the_server_takes_at_once_wait_their_turn() -> None:
    async with watching() as (_, _, proxy, client, _):
        await asyncio.gather(*(client.ping() for _ in range(24)))
        assert proxy.connections == 1


async def test_subscriptions_to_a_thousand_bots_wait_their_turn_too() -> None:
    names = ["main", *(f"{number:060}" for number in range(999))]
    channels: tuple[Channel, ...] = ("statistics", "events", "config")
    subscriptions = [Subscribe(channel, bots=names) for channel in channels]
    async with watching(subscriptions=subscriptions) as (server, cache, proxy, _, taker):
        cache.put_config("main", {"live": {"user": "main"}})
        server.publish("config", "main")
        await taker.a(ConfigChanged)
        assert proxy.connections == 1


async def test_a_request_of_a_client_that_is_not_open_says_how() -> None:
    with pytest.raises(ClosedError, match="async with"):
        await connect("ws://127.0.0.1:1").ping()


async def test_a_request_while_nobody_answers_ends_in_time() -> None:
    async with connect(f"ws://127.0.0.1:{free_port()}") as client:
        with pytest.raises(
            TimeoutError, match=r"no answer to ping within 0\.2 s; the client is not connected"
        ):
            await client.ping(timeout_s=0.2)


async def test_a_request_whose_answer_is_lost_is_asked_again() -> None:
    async with watching() as (_, _, proxy, client, taker):
        proxy.is_stalled = True
        asking = asyncio.create_task(client.list_bots())
        await asyncio.sleep(0)
        proxy.is_stalled = False
        proxy.cut()
        await taker.a(Lost)
        assert [bot.bot for bot in await asking] == ["main"]


async def test_a_server_that_closes_with_its_welcome_leaves_the_requests_waiting() -> None:
    async with impostor(WELCOME, closes=1000) as (address, _):
        async with connect(address, method="token", subscriptions=["events"]) as client:
            with pytest.raises(TimeoutError, match=r"not connected|no answer"):
                await client.ping(timeout_s=0.3)


async def asked_from_deep_in_the_stack(client: Client, depth: int) -> Config:
    """Where the caller has used some of the stack, there is less left than the connection's task had."""
    return await (asked_from_deep_in_the_stack(client, depth - 1) if depth else client.get_config())


@pytest.mark.parametrize(
    ("data", "depth"), [("[]", 0), ('{"a":' * 850 + "1" + "}" * 850, 200)], ids=["a list", "deep"]
)
async def test_a_config_that_cannot_be_read_is_a_refusal(data: str, depth: int) -> None:
    async def answer(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(json.dumps(WELCOME))
        async for frame in connection:
            request = json.loads(frame)
            rest = "" if request["type"] == "ping" else f',"bot":"main","hash":"{"0" * 64}","data":{data}'
            kind = "pong" if request["type"] == "ping" else "config"
            await connection.send(f'{{"type":"{kind}","id":{request["id"]}{rest}}}')

    async with serve(answer, "127.0.0.1", 0, compression=None) as server:
        address = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with connect(address, method="token", subscriptions=[]) as client:
            if depth and sys.version_info >= (3, 12):  # where C code has a bound of its own
                await asked_from_deep_in_the_stack(client, depth)
            else:
                with pytest.raises(RequestError, match="a config that is none, or nests too deep"):
                    await asked_from_deep_in_the_stack(client, depth)
            await client.ping()
            assert client.is_live
