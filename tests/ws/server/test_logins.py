"""Logins over real sockets: SCRAM and tokens, and policies that change under who is in."""

from __future__ import annotations

import json

import pytest
from raw import raw
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
    scram,
    serving,
)

from passivbot_ws_plugin.access.scram import MECHANISM
from passivbot_ws_plugin.history.cache import Cache


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


async def test_a_connection_has_one_name_in_the_record(cache: Cache) -> None:
    with recording() as log:
        async with serving(cache) as (server, address), logged_in(address):
            [connection] = server._admitted
            assert connection.visitor().conn == (await log.next())["conn"]
