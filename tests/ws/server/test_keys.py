"""Keys with scopes, over real sockets: what they may, how many, and their end."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Any

import pytest
from raw import raw
from records import recording
from servers import auth_message, closed, connect, logged_in, make_settings, receive, serving
from websockets.asyncio.client import ClientConnection

from passivbot_ws_plugin.access.login import Admission
from passivbot_ws_plugin.audit import Visitor
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.server import admission as admission_module
from passivbot_ws_plugin.server.admission import AdmissionControl
from passivbot_ws_plugin.server.connection import Connection

DASHBOARD = {"password": "a password of the dashboard", "scopes": ["statistics"]}


def key_message(name: str, key: dict[str, Any]) -> str:
    return auth_message(key["password"], name)


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


async def test_the_record_names_the_key_that_was_taken_away(cache: Cache) -> None:
    async with serving(cache, keys={"dashboard": DASHBOARD}) as (server, address), connect(address) as client:
        await client.send(key_message("dashboard", DASHBOARD))
        assert (await receive(client))["success"]
        with recording() as log:
            server.use(make_settings())
        assert [json.loads(line)["key"] for line in log.lines] == ["dashboard"]


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
            assert let_in < 100
            await client.close()
        assert let_in >= 3
        async with logged_in(address):
            pass


async def test_a_login_that_is_heard_after_the_end_is_on_record_and_takes_no_place(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    let_in = AdmissionControl._let_in

    async def let_in_late(
        control: AdmissionControl, connection: Connection, visitor: Visitor, admission: Admission
    ) -> Admission | None:
        """As where the machine slept meanwhile."""
        await connection.wait_closed()
        return await let_in(control, connection, visitor, admission)

    monkeypatch.setattr(admission_module, "_LOGINS_PER_S", 1_000.0)
    limits, keys = {"connections_per_key": 1}, {"dashboard": DASHBOARD}
    async with serving(cache, limits=limits, keys=keys) as (_, address):
        with recording() as log, monkeypatch.context() as patch:
            patch.setattr(AdmissionControl, "_let_in", let_in_late)
            async with connect(address) as client:
                await client.send(key_message("dashboard", DASHBOARD))
            record = await log.next()
            assert (record["event"], record["key"]) == ("auth.success", "dashboard")
        client_after_it = await log_in_with_key(address)
        assert client_after_it is not None
        await client_after_it.close()
    assert caplog.text == ""


async def test_an_expired_key_ends_live_connections(cache: Cache) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1.5)
    key = {**DASHBOARD, "expires": soon.isoformat()}
    async with serving(cache, keys={"guest": key}) as (_, address), connect(address) as client:
        await client.send(key_message("guest", key))
        assert (await receive(client))["success"]
        assert await closed(client) == (4403, "key expired")
        assert 0 <= time.time() - soon.timestamp() < 2
        async with connect(address) as again:
            await again.send(key_message("guest", key))
            assert not (await receive(again))["success"]
