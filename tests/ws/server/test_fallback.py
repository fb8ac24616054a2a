"""Who cannot be sent a frame that is made for many is sent one by the library's own broadcast."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from publishing import latest, put_statistics
from raw import CONTINUATION, TEXT, raw, text
from servers import auth_message, connection_of, logged_in, receive, serving
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from passivbot_hooks import Position
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.prepared import Prepared
from passivbot_ws_plugin.server import server as server_module

HELD = tuple(Position(f"COIN{number}/USDT:USDT", "long", 1.0 + number, 2.0 * number) for number in range(40))


async def test_a_compressor_that_keeps_its_context_is_the_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_DEFLATE", ServerPerMessageDeflateFactory())
    cache = Cache()
    async with serving(cache) as (server, address):
        put_statistics(server, cache, positions=HELD)
        async with raw(address) as client:
            offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
            assert await client.upgrade(extra=offer) == 101
            await client.send(text(auth_message()))
            await client.frame()
            sizes = []
            for number in range(3):
                put_statistics(server, cache, positions=HELD, balance=float(number))
                sizes.append(len((await client.frame()).payload))
            # Those after the first say little but where the context has it: no frame for many could.
            alone = len(cache.bots["main"].statistics.snapshot.frame(15))
            assert sizes[0] > alone / 2
            assert max(sizes[1:]) < alone / 4
        async with logged_in(address, compression="deflate") as reader:
            for number in range(3, 6):
                assert (await receive(reader))["data"] == latest(cache)
                put_statistics(server, cache, positions=HELD, balance=float(number))
            assert (await receive(reader))["data"] == latest(cache)
            assert connection_of(server).descriptor is None


async def test_nothing_comes_between_the_fragments_of_a_message() -> None:
    cache = Cache()
    async with serving(cache) as (server, address), raw(address) as client:
        put_statistics(server, cache, balance=0.5)
        assert (await client.log_in(auth_message()))["success"]
        await client.message()
        connection, has_begun, may_end = connection_of(server), asyncio.Event(), asyncio.Event()
        assert connection.descriptor is not None

        async def fragments() -> AsyncIterator[str]:
            yield '{"type":'
            has_begun.set()
            await may_end.wait()
            yield '"pong"}'

        sending = asyncio.create_task(connection.send(fragments()))
        await has_begun.wait()
        put_statistics(server, cache, balance=1.5)  # which the library's broadcast passes over
        connection.push(Prepared(b"no more than that"))
        may_end.set()
        await sending
        received = [await client.frame() for _ in range(3)]
        assert [(each.opcode, each.payload, each.fin) for each in received] == [
            (TEXT, b'{"type":', False),
            (CONTINUATION, b'"pong"}', False),
            (CONTINUATION, b"", True),
        ]
        put_statistics(server, cache, balance=2.5)
        assert (await client.message())["data"] == latest(cache)
