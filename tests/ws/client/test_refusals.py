"""Whom the client does not come back to, and whom it does not believe."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from certificates import Authority
from impostor import CHALLENGE, WELCOME, impostor
from py_watcher import FAST, Taker, connect, watching
from servers import KEY, PASSWORD, make_settings, serving
from tcp_proxy import tcp_proxy

from passivbot_ws_plugin.access.auth import make_token
from passivbot_ws_plugin.client import (
    ClientError,
    Connecting,
    Live,
    LoginError,
    Lost,
    RequestError,
    RevokedError,
    ServerNotProvenError,
)
from passivbot_ws_plugin.client import connect as client_connect


async def test_a_wrong_password_is_tried_once() -> None:
    async with serving() as (_, address), tcp_proxy(address) as proxy:
        async with connect(proxy.url, "wrong") as client:
            taker = Taker(client)
            await taker.error(LoginError, r"wrong token or public_key_part \(4401\)")
            assert taker.taken == [Connecting(1)]
            with pytest.raises(LoginError):
                await client.ping()
        assert proxy.connections == 1


async def test_a_server_that_says_no_and_nothing_more_is_tried_once() -> None:
    no = {"type": "auth_result", "success": False, "message": "no"}
    async with impostor(no, closes=1000) as (address, _), tcp_proxy(address) as proxy:
        async with connect(proxy.url, method="token") as client:
            await Taker(client).error(LoginError, "no")
        assert proxy.connections == 1


async def test_a_date_beyond_the_calendar_is_no_end() -> None:
    headers = {"Retry-After": "Mon, 01 Jan 99999999999999 00:00:00 GMT"}
    async with impostor(status=503, headers=headers) as (address, _), connect(address) as client:
        lost = await Taker(client).a(Lost)
        assert lost.code == 503


async def test_a_key_that_is_taken_away_ends_it() -> None:
    async with watching() as (server, _, proxy, _, taker):
        server.use(make_settings("another password of some length"))
        await taker.error(RevokedError, "4403")
        assert proxy.connections == 1


async def test_a_subscription_that_the_key_may_not_have_ends_it() -> None:
    keys = {"guest": {"password": "a guest's password", "scopes": ["statistics"]}}
    async with serving(keys=keys) as (_, address), tcp_proxy(address) as proxy:
        async with client_connect(
            proxy.url, key="guest", password="a guest's password", subscriptions=["events"], timing=FAST
        ) as client:
            await Taker(client).error(RequestError, "may not see the events")
        assert proxy.connections == 1


async def test_a_server_that_does_not_know_the_password_is_not_believed_and_not_tried_again() -> None:
    lie = {**WELCOME, "data": "v=" + "A" * 43 + "="}
    async with impostor(CHALLENGE, lie) as (address, told), tcp_proxy(address) as proxy:
        async with connect(proxy.url) as client:
            taker = Taker(client)
            await taker.error(ServerNotProvenError, "does not know the password")
            assert taker.taken == [Connecting(1)]
        assert proxy.connections == 1
    assert make_token(PASSWORD, KEY) not in "".join(map(str, told))


async def test_a_server_that_lets_everybody_in_is_not_believed() -> None:
    async with impostor(WELCOME) as (address, told), connect(address) as client:
        await Taker(client).error(ServerNotProvenError, "is not this server")
    assert make_token(PASSWORD, KEY) not in "".join(map(str, told))


async def test_the_credentials_do_not_follow_a_redirect() -> None:
    async with impostor() as (elsewhere, told):
        async with impostor(status=302, headers={"Location": elsewhere}) as (address, _):
            async with connect(address, method="token") as client:
                assert "give the address" in (await Taker(client).a(Lost)).reason
    assert told == []


async def test_what_the_server_sends_that_does_not_hold_is_a_loss_and_not_passed_over() -> None:
    much = {"type": "statistics", "data": {"balance": "much"}}
    async with impostor(WELCOME, unasked=much) as (address, _):
        async with connect(address, method="token") as client:
            assert "does not hold" in (await Taker(client).a(Lost)).reason


async def test_a_binary_frame_is_a_loss_whatever_is_in_it() -> None:
    async with impostor(WELCOME, unasked=b'{"type":"pong","id":"\xff"}') as (address, _):
        async with connect(address, method="token") as client:
            assert "binary frame" in (await Taker(client).a(Lost)).reason


async def test_a_certificate_counts_if_its_authority_is_trusted(tmp_path: Any) -> None:
    authority = Authority(tmp_path)
    async with serving(tls=authority.files) as (_, address):
        async with connect(address, tls=authority.trust) as client:
            await Taker(client).a(Live)
        async with connect(address) as client:
            await Taker(client).error(ServerNotProvenError, "certificate does not hold")


@pytest.mark.parametrize("method", ["scram", "token"])
async def test_no_log_holds_what_lets_anybody_in(method: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as (_, address), connect(address, method=method) as client:
        await Taker(client).a(Live)
    for error in (LoginError, ClientError):
        async with serving() as (_, address), connect(address, "wrong", method=method) as client:
            await Taker(client).error(error, "4401")
    for secret in (PASSWORD, make_token(PASSWORD, KEY), make_token("wrong", KEY)):
        assert secret[:12] not in caplog.text
