"""The server's defences, over real sockets: places, locks, rates, origins."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from raw import CONTINUATION, PING, PONG, TEXT, frame, raw
from records import recording
from servers import auth_message, closed, connect, logged_in, receive, serving
from websockets.exceptions import InvalidStatus

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import statistics_data


async def test_too_many_strangers_are_turned_away_before_the_handshake(cache: Cache) -> None:
    async with serving(cache, limits={"unauthenticated_per_address": 2}) as (_, address):
        async with connect(address), connect(address), raw(address) as third:
            assert await third.upgrade() == 429
        async with logged_in(address) as client:
            assert (await receive(client))["type"] == "statistics"


async def test_who_logged_in_makes_room_for_strangers(cache: Cache) -> None:
    limits = {"unauthenticated_per_address": 1, "connections_per_address": 3}
    async with serving(cache, limits=limits) as (_, address):
        async with logged_in(address), logged_in(address), logged_in(address):
            with pytest.raises(InvalidStatus) as caught:
                async with connect(address):
                    pass
            assert caught.value.response.status_code == 429
            assert int(caught.value.response.headers["Retry-After"]) >= 1


async def test_too_many_in_all_is_503(cache: Cache) -> None:
    async with serving(cache, limits={"connections": 3}) as (_, address), AsyncExitStack() as exits:
        for _ in range(3):
            await exits.enter_async_context(logged_in(address))
        async with raw(address) as fourth:
            assert await fourth.upgrade() == 503


async def test_strangers_do_not_take_every_place_however_few_there_are(cache: Cache) -> None:
    async with serving(cache, limits={"connections": 8}) as (_, address), AsyncExitStack() as exits:
        for number in range(8):
            stranger = await exits.enter_async_context(raw(address, source=f"127.0.0.{66 + number // 4}"))
            await stranger.upgrade()
        async with logged_in(address):
            pass


async def test_failures_lock_the_address_and_a_success_from_it_has_to_wait(cache: Cache) -> None:
    async with serving(cache, limits={"auth_failures": 2}) as (server, address):
        async with connect(address) as waiting:
            for _ in range(2):
                async with connect(address) as client:
                    await client.send(auth_message("wrong"))
                    assert not (await receive(client))["success"]
            async with raw(address) as third:
                assert await third.upgrade() == 429
            # Connected before the lock: told to wait, and not even looked at.
            await waiting.send(auth_message())
            answer = await receive(waiting)
            assert f"too many failed attempts; try again in {answer['retry_after_s']} s" in answer["message"]
            assert answer["retry_after_s"] in {1, 2}
            assert (await closed(waiting))[0] == 4429
        server._admission.throttle._entries.clear()  # what time does, without the time
        async with logged_in(address):
            pass


async def test_the_owner_logs_in_from_elsewhere_while_an_attacker_is_locked(cache: Cache) -> None:
    async with serving(cache, limits={"auth_failures": 1}) as (_, address):
        async with connect(address, local_addr=("127.0.0.66", 0)) as client:
            await client.send(auth_message("wrong"))
            assert not (await receive(client))["success"]
        with pytest.raises(InvalidStatus):
            async with connect(address, local_addr=("127.0.0.66", 0)):
                pass
        async with logged_in(address) as client:
            assert (await receive(client))["type"] == "statistics"


async def test_messages_beyond_the_rate_are_refused_and_then_end_it(cache: Cache) -> None:
    limits = {"messages_burst": 3, "messages_per_s": 0.01, "bad_messages": 2}
    async with serving(cache, limits=limits) as (_, address), logged_in(address) as client:
        await receive(client)
        for _ in range(5):
            await client.send('{"type":"ping"}')
        answers = [await receive(client) for _ in range(5)]
        assert [answer.get("code", answer["type"]) for answer in answers] == [
            *["pong"] * 3,
            *["rate_limited"] * 2,
        ]
        assert (await closed(client))[0] == 4400


FLOODS = {
    "pings": frame(PING, b"x") * 5_000,
    "pongs": frame(PONG) * 5_000,
    "empty fragments": frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 5_000,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_a_flood_of_frames_that_are_no_messages_is_cut_off(flood: bytes, cache: Cache) -> None:
    async with serving(cache) as (server, address), logged_in(address) as good, raw(address) as client:
        await receive(good)
        await client.log_in(auth_message())
        await client.send(flood)
        _, code = await client.closing()
        assert code == 4429
        await client.ended()
        assert cache.put_statistics("main", statistics_data(make_statistics(balance=2.0)))
        server.publish("statistics", "main")
        assert (await receive(good))["seq"] == 2


async def test_who_never_closes_after_a_protocol_error_is_cut_off(cache: Cache) -> None:
    async with serving(cache) as (server, address), raw(address) as client:
        await client.log_in(auth_message())
        [connection] = server._door.connections
        await client.send(frame(0x3))
        _, code = await client.closing()
        assert code == 1002
        async with asyncio.timeout(10):
            await connection.wait_closed()  # although this side never closes


async def test_only_the_named_origins_may_connect(cache: Cache) -> None:
    async with serving(cache, origins=["https://my.page"]) as (_, address):
        for origin, status in (
            ("https://my.page", 101),
            ("https://my.page.evil", 403),
            ("http://my.page", 403),
            ("null", 403),
        ):
            async with raw(address) as client:
                assert await client.upgrade(extra=f"Origin: {origin}\r\n") == status
        async with raw(address) as client:
            assert await client.upgrade() == 101  # no browser
        async with raw(address) as client:
            assert await client.upgrade(extra="Origin: https://my.page\r\nOrigin: null\r\n") in (400, 403)


async def test_a_flood_that_stops_is_on_record_soon_after(cache: Cache) -> None:
    with recording() as log:
        async with serving(cache) as (_, address):
            for _ in range(2):
                async with connect(address) as client:
                    await client.send(auth_message("wrong"))
                    assert not (await receive(client))["success"]
            events = [(await log.next())["event"] for _ in range(2)]  # the second one is counted first
    assert events == ["auth.failure", "auth.failure"]
