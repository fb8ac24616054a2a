"""Frames that are written past the transport come whole, in order, and to nobody else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
from publishing import latest, put_statistics
from raw import CLOSE, RawClient, frame, raw, text
from servers import auth_message, connection_of, serving

from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.server.server import Server
from passivbot_ws_plugin.streaming.broadcast import BroadcastGroup
from passivbot_ws_plugin.streaming.subscriber import Subscriber

#: What the kernel keeps for a client that does not read, and a text that soon fills it.
SMALL = 4_096
LARGE = "x" * 100_000

#: So much that no client is behind, let alone dropped.
PATIENT = {"buffer_soft_bytes": 2**26, "buffer_hard_bytes": 2**26}


def group_of(server: Server) -> BroadcastGroup[Subscriber]:
    return server._hub._in_step["full"]


async def until(holds: Callable[[], bool], turn: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await turn()


async def log_in(client: RawClient, cache: Cache) -> None:
    assert (await client.log_in(auth_message()))["success"]
    assert (await client.message())["data"] == latest(cache)


async def test_what_the_network_takes_in_part_comes_whole_and_in_order() -> None:
    cache = Cache()
    async with (
        serving(cache, limits=PATIENT) as (server, address),
        raw(address, receive_buffer=SMALL) as client,
    ):
        put_statistics(server, cache, balance=0.5)
        await log_in(client, cache)
        connection, statistics = connection_of(server), cache.bots["main"].statistics
        received = 1
        for _ in range(3):
            while connection.descriptor is not None and statistics.seq < 1_000:
                put_statistics(server, cache, balance=float(statistics.seq), exchange=LARGE)
            assert connection.unsent_bytes(), "the network took it all"
            for _ in range(5):  # to come after what is buffered, not before it
                put_statistics(server, cache, balance=float(statistics.seq), exchange=LARGE)
            while received < statistics.seq:
                received += 1
                assert (await client.message())["seq"] == received
            await until(lambda: connection.descriptor is not None, lambda: asyncio.sleep(0))
            assert not connection.unsent_bytes()


async def test_after_a_close_frame_nothing_is_sent() -> None:
    cache = Cache()
    async with serving(cache) as (server, address), raw(address) as client:
        put_statistics(server, cache, balance=0.5)
        await log_in(client, cache)
        connection = connection_of(server)
        await client.send(frame(CLOSE, b"\x03\xe8"))

        async def publish() -> None:
            put_statistics(server, cache, balance=float(cache.bots["main"].statistics.seq))
            await asyncio.sleep(0)

        await until(lambda: connection.descriptor is None, publish)
        assert server._hub._clients, "it is still a client, whose handler did not hear of it yet"
        await publish()
        frames, code = await client.closing()
        assert code == 1000
        assert [received.json()["seq"] for received in frames] == [*range(2, len(frames) + 2)]
        assert await client.rest() == b""


async def test_the_end_that_the_server_makes_is_one_at_once() -> None:
    cache = Cache()
    async with serving(cache) as (server, address), raw(address) as client:
        put_statistics(server, cache, balance=0.5)
        await log_in(client, cache)
        connection_of(server).cut(4429, "too much")
        assert connection_of(server).descriptor is None
        put_statistics(server, cache, balance=1.5)
        assert await client.closing() == ([], 4429)
        assert await client.rest() == b""


async def test_a_descriptor_is_let_go_before_another_connection_can_have_it() -> None:
    cache = Cache()
    async with serving(cache) as (server, address), raw(address) as first:
        put_statistics(server, cache, balance=0.5)
        await log_in(first, cache)
        connection = connection_of(server)
        lost, told = asyncio.Event(), connection.connection_lost

        def connection_lost(exc: Exception | None) -> None:
            told(exc)
            assert connection.descriptor is None  # and the loop closes the socket only after this
            assert not any(group_of(server)._direct.values())
            lost.set()

        connection.connection_lost = connection_lost  # type: ignore[method-assign]
        first.reset()
        async with asyncio.timeout(10):
            await lost.wait()


@pytest.mark.parametrize("is_reset", [True, False], ids=["reset", "gone"])
async def test_one_that_is_gone_before_anybody_was_told_holds_nothing_up(
    is_reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache()
    async with serving(cache) as (server, address), raw(address) as gone, raw(address) as other:
        put_statistics(server, cache, balance=0.5)
        await log_in(gone, cache)
        await log_in(other, cache)
        (gone.reset if is_reset else gone.abort)()
        for number in range(2, 60):  # without a turn of the loop, in which it would be told
            put_statistics(server, cache, balance=float(number))
        assert [(await other.message())["seq"] for _ in range(2, 60)] == [*range(2, 60)]
        await until(lambda: len(server._hub) == 1, lambda: asyncio.sleep(0))
    assert not [record for record in caplog.records if record.name == "asyncio"]  # a line for each message


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no TCP_USER_TIMEOUT")
async def test_the_kernel_keeps_nothing_for_long_for_who_does_not_read() -> None:
    cache = Cache()
    limits = {"ping_interval_s": 7.0, "ping_timeout_s": 4.0}
    async with serving(cache, limits=limits) as (server, address), raw(address) as client:
        assert await client.upgrade() == 101
        accepted = connection_of(server)._socket.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5_000
        await client.send(text(auth_message()))
        assert (await client.message())["success"]
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 11_000
