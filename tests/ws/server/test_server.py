from __future__ import annotations

import asyncio
import itertools
import json
import logging
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from records import AuditLog, recording
from servers import (
    KEY,
    PASSWORD,
    auth_message,
    closed,
    connect,
    logged_in,
    make_settings,
    receive,
    serving,
)
from websockets.exceptions import ConnectionClosed

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.access.auth import make_token
from passivbot_ws_plugin.audit import Audit
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import statistics_data
from passivbot_ws_plugin.server.server import Server


def put(cache: Cache, bot: str = "main", **changes: Any) -> bytes:
    assert cache.put_statistics(bot, statistics_data(make_statistics(**changes)))
    return cache.bots[bot].statistics.snapshot.payload


@pytest.fixture
def audit_log() -> Iterator[AuditLog]:
    with recording() as audit_log:
        yield audit_log


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def test_login_snapshot_changes_config_and_ping(audit_log: AuditLog) -> None:
    cache = Cache()
    cache.put_config("main", {"live": {"user": "main", "websocket_password": PASSWORD}})
    snapshot = put(cache)
    async with serving(cache) as (server, address), logged_in(address) as client:
        assert await receive(client) == json.loads(snapshot)
        update = put(cache, balance=1.0)
        server.publish("statistics", "main")
        assert await receive(client) == json.loads(update)
        await client.send('{"type":"get_config"}')
        config = await receive(client)
        assert config["data"]["live"] == {"user": "main", "websocket_password": PASSWORD}
        await client.send('{"type":"ping"}')
        assert await receive(client) == {"type": "pong"}
    record = await audit_log.next()
    assert record["event"] == "auth.success"
    assert (record["key"], record["peer"], record["bot"]) == (KEY, "127.0.0.1", "main")


async def test_without_statistics_an_error_says_so_and_the_first_follow() -> None:
    cache = Cache()
    async with serving(cache) as (server, address), logged_in(address) as client:
        error = await receive(client)
        assert (error["type"], error["code"]) == ("error", "unavailable")
        update = put(cache)
        server.publish("statistics", "main")
        assert await receive(client) == json.loads(update)


async def test_one_snapshot_for_each_bot() -> None:
    cache = Cache()
    payloads = [put(cache, "a"), put(cache, "b")]
    async with serving(cache) as (_, address), logged_in(address) as client:
        assert [await receive(client) for _ in payloads] == [json.loads(payload) for payload in payloads]


@pytest.mark.bad_requests
@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (auth_message("wrong"), "wrong token"),
        (auth_message(key="other"), "unknown public_key_part"),
        ('{"type":"auth","token":"x","public_key_part":"client_A_key"}', "token malformed"),
        ("nonsense", "not valid JSON"),
        ('{"type":"get_config"}', "a request before auth"),
        (b'{"type":"ping"}', "send JSON in text frames, not binary ones"),
    ],
)
async def test_a_failed_login_gets_one_answer_and_4401(
    frame: str | bytes, reason: str, caplog: pytest.LogCaptureFixture, audit_log: AuditLog
) -> None:
    cache = Cache()
    put(cache)
    async with serving(cache) as (_, address), connect(address) as client:
        await client.send(frame)
        answer = await receive(client)
        assert (answer["type"], answer["success"]) == ("auth_result", False)
        assert answer["message"].startswith("Authentication failed: ")
        assert await closed(client) == (4401, "authentication failed")
        record = await audit_log.next()
    assert (record["event"], record["reason"]) == ("auth.failure", reason)
    assert PASSWORD not in caplog.text
    assert make_token(PASSWORD, KEY) not in caplog.text


async def test_a_stranger_gets_nothing_however_long_it_listens() -> None:
    cache = Cache()
    put(cache)
    async with serving(cache, limits={"auth_s": 0.3}) as (server, address), connect(address) as client:
        for number in range(20):
            put(cache, balance=float(number))
            server.publish("statistics", "main")
        with pytest.raises(ConnectionClosed):
            await receive(client)


async def test_silence_is_closed_at_the_deadline(audit_log: AuditLog) -> None:
    async with serving(limits={"auth_s": 0.2}) as (_, address), connect(address) as client:
        assert await closed(client) == (4408, "authentication timed out")
        assert (await audit_log.next())["event"] == "auth.timeout"


async def test_leaving_before_the_login_is_on_record(audit_log: AuditLog) -> None:
    async with serving() as (_, address):
        async with connect(address):
            pass
        record = await audit_log.next()
    assert (record["event"], record["reason"]) == ("auth.disconnect", "left without an auth message")


async def test_a_message_beyond_the_limit_before_the_login(audit_log: AuditLog) -> None:
    async with serving() as (_, address), connect(address) as client:
        await client.send("x" * 8_193)
        assert (await closed(client))[0] == 1009
        record = await audit_log.next()
    assert (record["event"], record["reason"]) == ("auth.failure", "message too large")


@pytest.mark.bad_requests
async def test_the_limit_is_higher_after_the_login() -> None:
    async with serving() as (_, address), logged_in(address) as client:
        await receive(client)
        await client.send("x" * 65_536)
        assert (await receive(client))["code"] == "invalid_json"
        await client.send("x" * 65_537)
        assert (await closed(client))[0] == 1009


@pytest.mark.bad_requests
async def test_bad_messages_are_answered_and_the_tenth_closes() -> None:
    async with serving() as (_, address), logged_in(address) as client:
        await receive(client)
        for _ in range(10):
            await client.send('{"type":"nonsense","id":3}')
            answer = await receive(client)
            assert (answer["type"], answer["code"], answer["id"]) == ("error", "unknown_type", 3)
        assert await closed(client) == (4400, "too many bad messages")


async def test_auth_and_get_config_in_one_segment() -> None:
    cache = Cache()
    cache.put_config("main", {"live": {}})
    snapshot = put(cache)
    async with serving(cache) as (_, address), connect(address) as client:
        await client.send(auth_message())
        await client.send('{"type":"get_config"}')
        answers = [await receive(client) for _ in range(3)]
    assert [answer["type"] for answer in answers] == ["auth_result", "statistics", "config"]
    assert answers[1] == json.loads(snapshot)


@pytest.mark.parametrize("policy", ["include", "mask", "auto"])
async def test_secrets_in_the_config_follow_the_policy(policy: str) -> None:
    cache = Cache()
    cache.put_config("main", {"live": {"websocket_password": PASSWORD}})
    async with serving(cache, config_secrets=policy) as (_, address), logged_in(address) as client:
        await receive(client)
        await client.send('{"type":"get_config"}')
        shown = (await receive(client))["data"]["live"]["websocket_password"]
    assert shown == ("********" if policy == "mask" else PASSWORD)


async def test_any_path_is_served_because_proxies_have_prefixes(
    caplog: pytest.LogCaptureFixture, audit_log: AuditLog
) -> None:
    async with serving() as (_, address), logged_in(f"{address}/my/bot?token=never-logged") as client:
        await receive(client)
    assert (await audit_log.next())["path"] == "/my/bot"
    assert "never-logged" not in caplog.text


async def test_changed_credentials_end_connections_and_count_at_once() -> None:
    async with serving() as (server, address):
        async with logged_in(address) as client:
            server.use(make_settings("another password, also long"))
            assert await closed(client) == (4403, "credentials changed")
        async with connect(address) as client:
            await client.send(auth_message())
            assert not (await receive(client))["success"]
        async with logged_in(address, "another password, also long"):
            pass


async def test_the_same_credentials_end_nothing() -> None:
    async with serving() as (server, address), logged_in(address) as client:
        await receive(client)
        server.use(make_settings(config_secrets="mask"))
        await client.send('{"type":"ping"}')
        assert await receive(client) == {"type": "pong"}


async def test_stopping_sends_1012() -> None:
    server = Server(make_settings(), Cache(), Audit())
    address = await server.start()
    async with logged_in(address) as client:
        await receive(client)
        stopping = asyncio.create_task(server.stop(5.0))
        assert await closed(client) == (1012, "the server is going away")
        await stopping


async def test_a_client_that_never_reads_neither_holds_up_others_nor_the_stop() -> None:
    cache = Cache()
    limits = {"buffer_soft_bytes": 65_536, "buffer_hard_bytes": 262_144, "buffer_soft_s": 0.3}
    async with serving(cache, limits=limits) as (server, address):
        stuck = await raw_login(address)
        async with logged_in(address) as client:
            await receive(client)
            number = 0
            while len(server._hub) == 2:
                number += 1
                put(cache, balance=float(number), exchange="x" * 20_000)
                server.publish("statistics", "main")
                assert (await receive(client))["seq"] == number
                assert number < 20_000
        stuck.close()


async def test_a_stuck_client_does_not_hold_up_the_stop() -> None:
    cache = Cache()
    server = Server(make_settings(), cache, Audit())
    stuck = await raw_login(await server.start())
    for number in range(40):
        put(cache, balance=float(number), exchange="x" * 200_000)
        server.publish("statistics", "main")
    async with asyncio.timeout(5):
        await server.stop(0.5)
    stuck.close()
    assert len(server._hub) == 0


async def test_a_reset_during_the_broadcast_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache()
    async with serving(cache) as (server, address):
        stuck = await raw_login(address)
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stuck.close()
        numbers = itertools.count()
        async with asyncio.timeout(10):
            while len(server._hub):
                put(cache, balance=float(next(numbers)))
                server.publish("statistics", "main")
                await asyncio.sleep(0)
    assert "Traceback" not in caplog.text


async def test_concurrent_logins_miss_no_change() -> None:
    """Whatever the moment of the login: the snapshot, then every later change, once each."""
    cache = Cache()
    put(cache, balance=0.0)
    async with serving(cache, limits={"unauthenticated_per_address": 20}) as (server, address):
        done = asyncio.Event()

        async def publish() -> None:
            number = 0
            while not done.is_set():
                number += 1
                put(cache, balance=float(number))
                server.publish("statistics", "main")
                await asyncio.sleep(0)

        async def listen() -> None:
            async with logged_in(address) as client:
                numbers = [(await receive(client))["seq"] for _ in range(50)]
                assert numbers == list(range(numbers[0], numbers[0] + 50))

        publisher = asyncio.create_task(publish())
        await asyncio.gather(*(listen() for _ in range(20)))
        done.set()
        await publisher


async def raw_login(address: str) -> socket.socket:
    """A client that logs in and never reads again."""
    host, port = address.removeprefix("ws://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    request = (
        f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(connection, request.encode())
    async with asyncio.timeout(10):
        head = b""
        while b"\r\n\r\n" not in head:
            head += await loop.sock_recv(connection, 4096)
        payload = auth_message().encode()
        masked = bytes([0x81, 0x80 | 126]) + struct.pack("!H", len(payload)) + bytes(4) + payload
        await loop.sock_sendall(connection, masked)
        answer = b""
        while b"Authentication successful" not in answer:
            answer += await loop.sock_recv(connection, 4096)
    return connection
