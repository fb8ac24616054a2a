"""The server's defences, over real sockets: gates, locks, keys, SCRAM, TLS."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, TlsByHand
from raw import CONTINUATION, PING, PONG, TEXT, frame, raw
from records import recording
from scramp import ScramClient
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
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin import admission as admission_module
from passivbot_ws_plugin.cache import Cache
from passivbot_ws_plugin.messages import statistics_data
from passivbot_ws_plugin.scram import MECHANISM

DASHBOARD = {"password": "a password of the dashboard", "scopes": ["statistics"]}


@pytest.fixture
def cache() -> Cache:
    cache = Cache()
    cache.put_config("main", {"live": {"user": "main", "websocket_password": PASSWORD}})
    cache.put_statistics("main", statistics_data(make_statistics()))
    return cache


def key_message(name: str, key: dict[str, Any]) -> str:
    return auth_message(key["password"], name)


# --- gates and locks --------------------------------------------------------------------


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
    async with serving(cache, limits={"connections": 1}) as (_, address):
        async with logged_in(address), raw(address) as second:
            assert await second.upgrade() == 503


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


async def test_a_login_with_a_key_of_his_own_buys_nobody_guesses_at_another(cache: Cache) -> None:
    limits = {"auth_failures": 4}
    async with serving(cache, limits=limits, keys={"dashboard": DASHBOARD}) as (_, address):
        for number in range(4):
            async with connect(address) as client:
                await client.send(auth_message("wrong"))
                assert not (await receive(client))["success"]
            if number < 3:
                async with connect(address) as client:
                    await client.send(key_message("dashboard", DASHBOARD))
                    assert (await receive(client))["success"]
        async with raw(address) as client:
            assert await client.upgrade() == 429


async def test_a_stricter_policy_reaches_who_is_in(cache: Cache) -> None:
    async with serving(cache) as (server, address), logged_in(address) as client:
        await receive(client)
        server.use(make_settings(config_secrets="mask"))
        await client.send('{"type":"get_config"}')
        assert (await receive(client))["data"]["live"]["websocket_password"] == "********"
        with recording() as log:
            server.use(make_settings(auth={"token": "deny"}))
            assert await closed(client) == (4403, "token denied by auth.token")
        assert [json.loads(line)["reason"] for line in log.lines] == ["token denied by auth.token"]


async def test_who_is_sent_away_and_stays_is_on_record_once(cache: Cache) -> None:
    async with serving(cache) as (server, address), raw(address) as client:
        await client.log_in(auth_message())
        with recording() as log:
            server.use(make_settings("another password of some length"))
            assert (await client.closing())[1] == 4403
            server.use(make_settings("a third password of some length"))  # it has not closed yet
            await client.ended()
        assert [json.loads(line)["event"] for line in log.lines] == ["auth.revoked"]


async def test_the_record_names_the_key_that_was_taken_away(cache: Cache) -> None:
    async with serving(cache, keys={"dashboard": DASHBOARD}) as (server, address), connect(address) as client:
        await client.send(key_message("dashboard", DASHBOARD))
        assert (await receive(client))["success"]
        with recording() as log:
            server.use(make_settings())
        assert [json.loads(line)["key"] for line in log.lines] == ["dashboard"]


async def test_a_connection_has_one_name_in_the_record(cache: Cache) -> None:
    with recording() as log:
        async with serving(cache) as (server, address), logged_in(address):
            [connection] = server._admitted
            assert connection.visitor().conn == (await log.next())["conn"]


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


# --- keys -------------------------------------------------------------------------------


async def test_a_key_sees_what_its_scopes_say(cache: Cache) -> None:
    keys = {"dashboard": DASHBOARD, "config": {**DASHBOARD, "scopes": ["config"]}}
    async with serving(cache, keys=keys) as (_, address):
        async with connect(address) as client:
            await client.send(key_message("dashboard", DASHBOARD))
            assert (await receive(client))["success"]
            assert (await receive(client))["type"] == "statistics"
            await client.send('{"type":"get_config"}')
            assert (await receive(client))["code"] == "forbidden"
        async with connect(address) as client:
            await client.send(key_message("config", DASHBOARD))
            assert (await receive(client))["success"]
            assert (await receive(client))["code"] == "forbidden"  # told at once, instead of statistics
            await client.send('{"type":"get_config"}')
            # Its own scopes would mean nothing if it got the other keys' passwords.
            assert (await receive(client))["data"]["live"]["websocket_password"] == "********"


async def test_keys_are_added_changed_and_taken_away_while_it_runs(cache: Cache) -> None:
    async with serving(cache, keys={"dashboard": DASHBOARD}) as (server, address):
        async with logged_in(address) as published, connect(address) as client:
            await receive(published)
            await client.send(key_message("dashboard", DASHBOARD))
            assert (await receive(client))["success"]
            await receive(client)
            changed = {**DASHBOARD, "scopes": ["config"]}
            server.use(make_settings(keys={"dashboard": changed}))
            assert await closed(client) == (4403, "credentials changed")
            async with connect(address) as again:
                await again.send(key_message("dashboard", changed))
                assert (await receive(again))["success"]
                server.use(make_settings(keys={}))
                assert await closed(again) == (4403, "credentials changed")
            await published.send('{"type":"ping"}')
            assert (await receive(published))["type"] == "pong"


TOO_MANY = "Authentication failed: too many connections with this key; try again later"


async def log_in_with_key(address: str) -> ClientConnection | None:
    """A client that logged in with the dashboard's key; None if there are too many of it."""
    client = await connect(address)
    await client.send(key_message("dashboard", DASHBOARD))
    answer = await receive(client)
    if answer["success"]:
        return client
    assert answer["message"] == TOO_MANY
    assert await closed(client) == (1013, "too many connections with this key")
    return None


async def test_a_key_that_has_every_place_it_may_have_leaves_the_owner_room(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission_module, "_LOGINS_PER_S", 1_000.0)
    async with serving(cache, limits={"connections_per_key": 2}, keys={"dashboard": DASHBOARD}) as (
        _,
        address,
    ):
        first, second, third = [await log_in_with_key(address) for _ in range(3)]
        assert first is not None
        assert second is not None
        assert third is None
        async with logged_in(address), logged_in(address), logged_in(address):
            pass
        await second.close()
        third = await log_in_with_key(address)
        assert third is not None
        await first.close()
        await third.close()


async def test_a_key_that_logs_in_again_and_again_has_to_wait(cache: Cache) -> None:
    """Each login is a line of the record, which keeps so many lines."""
    async with serving(cache, limits={"connections_per_key": 3}, keys={"dashboard": DASHBOARD}) as (
        _,
        address,
    ):
        let_in = 0
        while (client := await log_in_with_key(address)) is not None:
            let_in += 1
            await client.close()
        assert let_in >= 3
        async with logged_in(address):
            pass


async def test_an_expired_key_ends_live_connections(cache: Cache) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1.5)
    key = {**DASHBOARD, "expires": soon.isoformat()}
    async with serving(cache, keys={"guest": key}) as (_, address), connect(address) as client:
        await client.send(key_message("guest", key))
        assert (await receive(client))["success"]
        assert await closed(client) == (4403, "key expired")
        async with connect(address) as again:
            await again.send(key_message("guest", key))
            assert not (await receive(again))["success"]


# --- SCRAM and TLS ----------------------------------------------------------------------


async def scram(address: str, password: str = PASSWORD, **options: Any) -> dict[str, Any]:
    """A SCRAM login; the answer, after the server's own proof was checked."""
    client = ScramClient([MECHANISM], KEY, password)
    async with connect(address, **options) as connection:
        hello = {"type": "hello", "mechanism": MECHANISM, "data": client.get_client_first()}
        await connection.send(json.dumps(hello))
        client.set_server_first((await receive(connection))["data"])
        await connection.send(json.dumps({"type": "auth", "data": client.get_client_final()}))
        answer = await receive(connection)
        if answer["success"]:
            client.set_server_final(answer["data"])
            assert (await receive(connection))["type"] == "statistics"
        else:
            assert (await closed(connection))[0] == 4401
        return answer


async def test_scram_lets_in_and_refuses(cache: Cache) -> None:
    async with serving(cache, auth={"token": "deny"}) as (_, address):
        assert (await scram(address))["success"]
        assert not (await scram(address, "wrong"))["success"]
        async with connect(address) as client:
            await client.send(auth_message())
            assert "SCRAM-SHA-256 only" in (await receive(client))["message"]


async def test_the_deadline_holds_over_both_messages_of_scram(cache: Cache) -> None:
    async with serving(cache, limits={"auth_s": 0.4}) as (_, address), connect(address) as client:
        first = ScramClient([MECHANISM], KEY, PASSWORD).get_client_first()
        await client.send(json.dumps({"type": "hello", "mechanism": MECHANISM, "data": first}))
        assert (await receive(client))["type"] == "challenge"
        assert (await closed(client))[0] == 4408


async def test_a_token_is_warned_of_if_the_owner_wants(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(cache, auth={"token": "warn"}) as (_, address), logged_in(address) as client:
        await receive(client)
    assert "auth.token_used" in caplog.text


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


async def test_a_flood_that_stops_is_on_record_soon_after(cache: Cache) -> None:
    with recording() as log:
        async with serving(cache) as (_, address):
            for _ in range(2):
                async with connect(address) as client:
                    await client.send(auth_message("wrong"))
                    assert not (await receive(client))["success"]
            events = [(await log.next())["event"] for _ in range(2)]  # the second one is counted first
    assert events == ["auth.failure", "auth.failure"]
