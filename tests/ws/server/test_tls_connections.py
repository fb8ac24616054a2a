"""Real TLS clients, and those that are none."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from certificates import Authority, TlsByHand
from raw import raw
from records import recording
from servers import auth_message, connect, receive, scram, serving

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import statistics_data


@pytest.fixture
async def tls(tmp_path: Path, cache: Cache) -> AsyncIterator[tuple[Authority, str]]:
    authority = Authority(tmp_path)
    async with serving(cache, tls=authority.files) as (_, address):
        assert address.startswith("wss://")
        yield authority, address


async def test_a_real_tls_client_logs_in(tls: tuple[Authority, str]) -> None:
    authority, address = tls
    async with connect(address, ssl=authority.trust) as client:
        await client.send(auth_message())
        assert (await receive(client))["success"]
        assert (await receive(client))["type"] == "statistics"
    assert (await scram(address, ssl=authority.trust))["success"]


async def test_a_client_that_does_not_trust_it_is_not_talked_to(tls: tuple[Authority, str]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        async with connect(tls[1], ssl=ssl.create_default_context()):
            pass


async def test_plain_bytes_on_the_tls_port_are_cut_off(tls: tuple[Authority, str]) -> None:
    async with raw(tls[1]) as client:
        await client.send(b"GET / HTTP/1.1\r\n\r\n")
        await client.ended()


async def test_handshakes_that_are_under_way_do_not_hold_up_the_end(cache: Cache, tmp_path: Path) -> None:
    authority, tasks = Authority(tmp_path), asyncio.all_tasks()
    limits = {"handshake_s": 30.0, "auth_s": 30.0}
    with recording() as log:
        async with (
            serving(cache, tls=authority.files, limits=limits) as (server, address),
            raw(address) as client,
        ):
            await client.send(TlsByHand(authority.trust).hello())
            assert await client.reader.read(1)
            loop = asyncio.get_running_loop()
            started = loop.time()
            await server.stop(5.0)
            assert loop.time() - started < 1
            await client.ended()
        assert (await log.next())["reason"] == "no TLS handshake"
    assert asyncio.all_tasks() == tasks


async def test_a_client_that_never_reads_does_not_hold_up_the_end_of_tls(
    cache: Cache, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    limits = {"buffer_hard_bytes": 67_108_864, "buffer_soft_bytes": 67_108_864}
    async with serving(cache, tls=authority.files, limits=limits) as (server, address):
        async with raw(address, tls=authority.trust) as client:
            await client.log_in(auth_message())
            client.pause_reading()
            [connection] = server._admitted
            numbers = itertools.count()
            while connection.unsent_bytes() < 8_000_000:
                statistics = make_statistics(exchange="x" * 1_000_000, balance=float(next(numbers)))
                assert cache.put_statistics("main", statistics_data(statistics))
                server.publish("statistics", "main")
            started = time.monotonic()
            await server.stop(1.0)
            assert time.monotonic() - started < 2
            assert not server._door.connections


async def test_a_changed_certificate_is_used_for_new_connections(tls: tuple[Authority, str]) -> None:
    authority, address = tls

    async def serial() -> str:
        async with raw(address, tls=authority.trust) as client:
            certificate = client.writer.get_extra_info("peercert")
            return str(certificate["serialNumber"])

    first = await serial()
    authority.issue()
    async with asyncio.timeout(10):
        while await serial() == first:
            pass
