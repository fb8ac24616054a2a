"""The client over real sockets, against the real server and against what is none."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import pytest
import schemas
import trustme
from servers import KEY, PASSWORD, free_port, make_config, make_settings, serving
from tcp_proxy import TcpProxy, tcp_proxy
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.audit import Audit
from passivbot_ws_plugin.auth import make_token
from passivbot_ws_plugin.cache import Cache
from passivbot_ws_plugin.client import (
    Client,
    ClientError,
    ClosedError,
    ConfigChanged,
    Connecting,
    EventUpdate,
    GapUpdate,
    Live,
    LoginError,
    Lost,
    RequestError,
    RevokedError,
    ServerNotProvenError,
    StatisticsUpdate,
    Subscribe,
    Timing,
    Update,
)
from passivbot_ws_plugin.client import connect as client_connect
from passivbot_ws_plugin.history import events as event_history
from passivbot_ws_plugin.messages import event_data, statistics_data
from passivbot_ws_plugin.server import Server
from passivbot_ws_plugin.settings import parse_settings

#: For anything that is to come, seconds.
WAIT_S: Final = 20.0

FAST: Final = Timing(retry_first_s=0.01, retry_max_s=0.05)


def connect(address: str, password: str = PASSWORD, **options: Any) -> Client:
    return client_connect(address, key=KEY, password=password, **{"timing": FAST, **options})


class Taker:
    """Takes updates until one is as a test wants it.

    Attributes:
        taken: All so far.
    """

    def __init__(self, client: Client) -> None:
        self._updates = aiter(client)
        self.taken: list[Update] = []

    async def until(self, is_right: Callable[[Update], bool]) -> Update:
        async with asyncio.timeout(WAIT_S):
            while True:
                update = await anext(self._updates)
                self.taken.append(update)
                if is_right(update):
                    return update

    async def a(self, kind: type[Update]) -> Any:
        return await self.until(lambda update: isinstance(update, kind))

    async def balance(self, balance: float) -> StatisticsUpdate:
        def is_right(update: Update) -> bool:
            return isinstance(update, StatisticsUpdate) and update.data.balance == balance

        update = await self.until(is_right)
        assert isinstance(update, StatisticsUpdate)
        return update

    async def event(self, seq: int) -> Update:
        return await self.until(lambda update: isinstance(update, EventUpdate) and update.seq == seq)

    def events(self) -> list[Update]:
        return [update for update in self.taken if isinstance(update, EventUpdate | GapUpdate)]

    async def error(self, kind: type[Exception], match: str) -> None:
        async with asyncio.timeout(WAIT_S):
            with pytest.raises(kind, match=match):
                await self.until(lambda _: False)


def trade(server: Server, cache: Cache, balance: float, bot: str = "main", **changes: Any) -> None:
    assert cache.put_statistics(bot, statistics_data(make_statistics(balance=balance, **changes)))
    server.publish("statistics", bot)


def happen(server: Server, cache: Cache, seq: int, bot: str = "main") -> None:
    assert cache.put_event(bot, seq, event_data(make_event()))
    server.publish("events", bot)


@asynccontextmanager
async def watching(
    cache: Cache | None = None, limits: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Server, Cache, TcpProxy, Client, Taker]]:
    """A server, a proxy before it, and a client that is live."""
    cache = cache or Cache()
    cache.put_statistics("main", statistics_data(make_statistics()))
    async with serving(cache, limits=limits or {}) as (server, address), tcp_proxy(address) as proxy:
        async with connect(proxy.url, **options) as client:
            taker = Taker(client)
            await taker.a(Live)
            await client.list_bots()
            yield server, cache, proxy, client, taker


# --- while all is well ------------------------------------------------------------------


@pytest.mark.parametrize("method", ["scram", "token"])
async def test_the_state_is_whole_after_each_delta(method: str) -> None:
    async with watching(method=method) as (server, cache, _, client, taker):
        first = await taker.a(StatisticsUpdate)
        assert first.data == statistics_data(make_statistics())
        for balance in (1.0, 2.0, 3.0):
            trade(server, cache, balance)
            update = await taker.balance(balance)
            assert update.data == cache.bots["main"].statistics.data
            assert client.bots["main"] == update
        assert client.is_live
        assert client.is_current("main")
        assert not client.is_current("nobody")
        assert client.age_s is not None


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


async def test_the_config_and_what_changes_in_it() -> None:
    cache = Cache()
    cache.put_config("main", {"live": {"user": "main"}})
    async with watching(cache, subscriptions=["config"]) as (server, _, proxy, client, taker):
        first = await taker.a(ConfigChanged)
        assert first.hash == (await client.get_config()).hash
        cache.put_config("main", {"live": {"user": "main", "x": 1}})
        server.publish("config", "main")
        assert (await taker.a(ConfigChanged)).paths == ["/live/x"]
        proxy.cut()
        await taker.a(Lost)
        await taker.a(Live)
        cache.put_config("main", {"live": {}})
        server.publish("config", "main")
        changed = await taker.a(ConfigChanged)
        assert changed.hash == (await client.get_config()).hash


async def test_only_what_was_asked_for() -> None:
    wish = Subscribe("events", kinds=["bot.stopped"])
    async with watching(subscriptions=[wish]) as (server, cache, _, client, taker):
        happen(server, cache, 1)
        cache.put_event("main", 2, event_data(make_event(kind="bot.stopped")))
        server.publish("events", "main")
        await taker.event(2)
        assert [type(update) for update in taker.taken if not isinstance(update, Connecting)] == [
            Live,
            EventUpdate,
        ]
        assert not client.bots


async def test_a_client_by_itself_opens_and_closes_with_its_iteration() -> None:
    async with serving() as (server, address):
        client = connect(address)
        async with aclosing(aiter(client)) as updates:  # type: ignore[type-var]
            async for update in updates:
                if isinstance(update, Live):
                    break
        assert not client.is_live
        with pytest.raises(ClosedError):
            await client.ping()
        with pytest.raises(RuntimeError, match="opened once"):
            await client.__aenter__()
        assert not server._admitted


async def test_closing_ends_the_iteration_while_nobody_answers() -> None:
    async with connect(f"ws://127.0.0.1:{free_port()}") as client:
        taker = Taker(client)
        await taker.a(Lost)
        await client.close()
        with pytest.raises(StopAsyncIteration):
            await taker.a(Live)


async def test_a_request_of_a_client_that_is_not_open_says_how() -> None:
    with pytest.raises(ClosedError, match="async with"):
        await connect("ws://127.0.0.1:1").ping()


async def test_a_request_while_nobody_answers_ends_in_time() -> None:
    async with connect(f"ws://127.0.0.1:{free_port()}") as client:
        with pytest.raises(
            TimeoutError, match=r"no answer to ping within 0\.2 s; the client is not connected"
        ):
            await client.ping(timeout_s=0.2)


# --- losses -----------------------------------------------------------------------------


async def test_a_restart_of_the_server_is_told_and_survived() -> None:
    port = free_port()
    async with connect(f"ws://127.0.0.1:{port}", subscriptions=["statistics", "events"]) as client:
        taker = Taker(client)
        for balance in (1.0, 2.0):
            cache = Cache()
            cache.put_statistics("main", statistics_data(make_statistics(balance=balance)))
            async with serving_on(port, cache) as server:
                update = await taker.balance(balance)
                assert update.epoch == cache.epoch
                await client.list_bots()
                happen(server, cache, 1)
                await taker.event(1)
                assert client.is_live
                # Taken at once: the next attempt's loss would take its place.
                losing = asyncio.create_task(taker.a(Lost))
            assert (await losing).code == 1012
            assert not client.is_current("main")
        first, gap, second = taker.events()
        assert isinstance(first, EventUpdate)
        assert gap == GapUpdate("main", first.epoch, 2, None)
        assert isinstance(second, EventUpdate)
        assert second.epoch != first.epoch


@asynccontextmanager
async def serving_on(port: int, cache: Cache) -> AsyncIterator[Server]:
    server = Server(parse_settings(make_config(websocket_port=port)), cache, Audit())
    await server.start()
    try:
        yield server
    finally:
        await server.stop(5.0)


async def test_no_event_is_lost_with_a_connection() -> None:
    async with watching(subscriptions=["events"]) as (server, cache, proxy, _, taker):
        happen(server, cache, 1)
        await taker.event(1)
        for first in range(2, 30, 4):
            proxy.cut()
            happen(server, cache, first)
            await taker.a(Lost)
            happen(server, cache, first + 1)
            await taker.a(Live)
            happen(server, cache, first + 2)
            happen(server, cache, first + 3)
            await taker.event(first + 3)
        assert [getattr(update, "seq", None) for update in taker.events()] == list(range(1, 30))


async def test_events_of_a_bot_that_said_nothing_before_the_loss_are_not_lost() -> None:
    async with watching(subscriptions=["events"]) as (server, cache, proxy, _, taker):
        proxy.cut()
        happen(server, cache, 1)
        happen(server, cache, 1, bot="new")
        await taker.a(Lost)
        await taker.until(lambda _: len(taker.events()) == 2)
        assert {(update.bot, update.seq) for update in taker.events()} == {("main", 1), ("new", 1)}  # type: ignore[union-attr]


async def test_a_client_that_comes_back_is_not_sent_what_it_has() -> None:
    cache = Cache()
    async with watching(cache) as (server, _, proxy, client, taker):
        trade(server, cache, 2.0)
        await taker.balance(2.0)
        proxy.cut()
        await taker.a(Lost)
        before = proxy.passed["server"]
        await taker.a(Live)
        await client.list_bots()
        assert proxy.passed["server"] - before < len(cache.bots["main"].statistics.snapshot) + 900
        trade(server, cache, 3.0)
        await taker.balance(3.0)
        assert not [update for update in taker.taken[-2:-1] if isinstance(update, StatisticsUpdate)]


async def test_a_request_whose_answer_is_lost_is_asked_again() -> None:
    async with watching() as (_, _, proxy, client, taker):
        proxy.is_stalled = True
        asking = asyncio.create_task(client.list_bots())
        await asyncio.sleep(0)
        proxy.is_stalled = False
        proxy.cut()
        await taker.a(Lost)
        assert [bot.bot for bot in await asking] == ["main"]


async def test_a_proxy_that_stalls_is_found_out() -> None:
    timing = Timing(ping_interval_s=0.1, ping_timeout_s=0.2, retry_first_s=0.01, retry_max_s=0.05)
    async with watching(timing=timing) as (_, _, proxy, client, taker):
        proxy.is_stalled = True
        lost = await taker.a(Lost)
        assert lost.reason == "the server does not answer pings"
        assert not client.is_live
        proxy.is_stalled = False
        await taker.a(Live)


@pytest.mark.parametrize(("stable_s", "bound_s"), [(0.0, 0.02), (1000.0, 0.05)])
async def test_the_pauses_begin_anew_only_after_a_connection_that_held(
    stable_s: float, bound_s: float
) -> None:
    timing = Timing(retry_first_s=0.01, retry_max_s=0.05, stable_s=stable_s)
    async with watching(timing=timing) as (_, _, proxy, client, taker):
        for _ in range(4):
            proxy.cut()
            await taker.a(Lost)
            assert client._backoff._bound_s <= bound_s
            await taker.a(Live)
        assert client._backoff._bound_s == bound_s


async def test_a_handshake_that_hangs_is_tried_again() -> None:
    timing = Timing(open_s=0.2, retry_first_s=0.01)
    async with serving() as (_, address), tcp_proxy(address) as proxy:
        proxy.is_stalled = True
        async with connect(proxy.url, timing=timing) as client:
            taker = Taker(client)
            lost = await taker.a(Lost)
            assert lost.reason == "timed out during opening handshake"
            proxy.is_stalled = False
            await taker.a(Live)
        assert proxy.connections >= 2


async def test_many_bots_come_back_though_they_do_not_fit_the_login() -> None:
    cache = Cache()
    names = [f"a bot with a rather long name {number}" for number in range(150)]
    for name in names:
        cache.put_statistics(name, statistics_data(make_statistics(positions=())))
        cache.put_event(name, 1, event_data(make_event()))
    async with watching(cache, subscriptions=["statistics", "events"]) as (server, _, proxy, client, taker):
        await taker.until(lambda _: len(client.bots) == 151)
        proxy.cut()
        happen(server, cache, 2, names[0])
        assert (await taker.a(Lost)).code is None
        await taker.event(2)
        trade(server, cache, 5.0, names[-1])
        await taker.balance(5.0)
        assert proxy.connections == 2


# --- the end ----------------------------------------------------------------------------


async def test_a_wrong_password_is_tried_once() -> None:
    async with serving() as (_, address), tcp_proxy(address) as proxy:
        async with connect(proxy.url, "wrong") as client:
            taker = Taker(client)
            await taker.error(LoginError, r"wrong token or public_key_part \(4401\)")
            assert taker.taken == [Connecting(1)]
            with pytest.raises(LoginError):
                await client.ping()
        assert proxy.connections == 1


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


@asynccontextmanager
async def impostor(
    *answers: dict[str, Any],
    status: int | None = None,
    headers: dict[str, str] | None = None,
    closes: bool = False,
) -> AsyncIterator[tuple[str, list[str | bytes]]]:
    """A WebSocket server that is not ours; its address, and what it is told."""
    told: list[str | bytes] = []

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        return None if status is None else Response(status, "", Headers(headers or {}), b"")

    async def answer(connection: ServerConnection) -> None:
        for message in answers:
            told.append(await connection.recv())
            nonce = json.loads(told[0]).get("data", "").rpartition("r=")[2]
            await connection.send(json.dumps(message).replace("NONCE", nonce))
        if closes:
            await connection.close()
        told.extend([frame async for frame in connection])

    async with serve(answer, "127.0.0.1", 0, process_request=refuse, compression=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", told
    for frame in told:
        schemas.check_request(json.loads(frame))


CHALLENGE: Final = {"type": "challenge", "data": "r=NONCEmore,s=QUFBQUFBQUFBQUFBQUFBQQ==,i=4096"}
WELCOME: Final = {"type": "auth_result", "success": True, "message": "Authentication successful"}


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


async def test_a_login_that_is_not_answered_is_tried_again() -> None:
    async with impostor() as (address, told):
        async with connect(address, timing=Timing(login_s=0.2, retry_first_s=0.01)) as client:
            taker = Taker(client)
            assert (await taker.a(Lost)).reason == "no answer to the login within 0.2 s"
            await taker.a(Lost)
    assert len(told) >= 2


@pytest.mark.parametrize("status", [429, 503])
async def test_the_server_s_wish_to_wait_is_kept(status: int) -> None:
    async with impostor(status=status, headers={"Retry-After": "900"}) as (address, _):
        async with connect(address) as client:
            lost = await Taker(client).a(Lost)
            assert lost.code == status
            assert 900 <= lost.retry_in_s <= 900.05


async def test_the_credentials_do_not_follow_a_redirect() -> None:
    async with impostor() as (elsewhere, told):
        async with impostor(status=302, headers={"Location": elsewhere}) as (address, _):
            async with connect(address, method="token") as client:
                assert "give the address" in (await Taker(client).a(Lost)).reason
    assert told == []


async def test_what_the_server_sends_that_does_not_hold_is_a_loss_and_not_passed_over() -> None:
    async with impostor(WELCOME, {"type": "statistics", "data": {"balance": "much"}}) as (address, _):
        async with connect(address, method="token", subscriptions=["events"]) as client:
            assert "does not hold" in (await Taker(client).a(Lost)).reason


async def test_a_server_that_closes_with_its_welcome_leaves_the_requests_waiting() -> None:
    async with impostor(WELCOME, closes=True) as (address, _):
        async with connect(address, method="token", subscriptions=["events"]) as client:
            with pytest.raises(TimeoutError, match=r"not connected|no answer"):
                await client.ping(timeout_s=0.3)
            assert not client.is_live


# --- TLS --------------------------------------------------------------------------------


async def test_a_certificate_counts_if_its_authority_is_trusted(tmp_path: Any) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(cert)
    certificate.private_key_pem.write_to_path(key)
    async with serving(tls={"cert": str(cert), "key": str(key)}) as (_, address):
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        async with connect(address, tls=trusting) as client:
            await Taker(client).a(Live)
        async with connect(address) as client:
            await Taker(client).error(ServerNotProvenError, "certificate does not hold")


# --- who does not take what comes -------------------------------------------------------


async def test_one_that_does_not_take_the_statistics_gets_the_latest_of_each_bot() -> None:
    async with watching() as (server, cache, _, client, taker):
        await taker.a(StatisticsUpdate)
        for balance in range(1, 200):
            trade(server, cache, float(balance))
        trade(server, cache, 1.0, "another")
        await client.list_bots()  # its answer comes after all of them
        assert client.bots["main"].data.balance == 199
        assert len(client._inbox._pending) == 2
        assert (await taker.a(StatisticsUpdate)).data.balance == 199
        assert (await taker.a(StatisticsUpdate)).bot == "another"


async def test_one_that_does_not_take_the_events_is_bounded_and_still_answered_and_loses_none() -> None:
    timing = Timing(retry_first_s=0.01, patience_s=0.05)
    async with watching(subscriptions=["events"], events_max=8, timing=timing) as (
        server, cache, proxy, client, taker,
    ):  # fmt: skip
        for seq in range(1, 301):
            happen(server, cache, seq)
        await client.ping()
        assert client._inbox._events == 8
        await client.ping()
        await taker.event(300)
        assert [getattr(update, "seq", None) for update in taker.events()] == list(range(1, 301))
        assert proxy.connections == 1


async def test_events_that_the_server_did_not_keep_for_a_slow_one_show_as_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_history, "EVENTS_MAX", 10)
    timing = Timing(retry_first_s=0.01, patience_s=0.05)
    async with watching(subscriptions=["events"], events_max=4, timing=timing) as (
        server, cache, _, client, taker,
    ):  # fmt: skip
        for seq in range(1, 5):
            happen(server, cache, seq)
        await client.ping()  # by now it does without
        for seq in range(5, 31):
            happen(server, cache, seq)
        await taker.event(30)
        assert GapUpdate("main", cache.epoch, 5, 20) in taker.taken
        assert [getattr(update, "seq", None) for update in taker.events()] == [
            1,
            2,
            3,
            4,
            None,
            *range(21, 31),
        ]


async def test_a_connection_that_is_lost_while_there_is_no_room_loses_no_event() -> None:
    timing = Timing(retry_first_s=0.01, retry_max_s=0.05, patience_s=0.05)
    async with watching(subscriptions=["events"], events_max=4, timing=timing) as (
        server, cache, proxy, client, taker,
    ):  # fmt: skip
        for seq in range(1, 21):
            happen(server, cache, seq)
        await client.ping()
        proxy.cut()
        async with asyncio.timeout(WAIT_S):
            while proxy.connections < 2 or not client.is_live:  # noqa: ASYNC110  it has no event of it
                await asyncio.sleep(0.01)
        await client.ping()
        assert client._inbox._events == 4
        await taker.event(20)
        assert [getattr(update, "seq", None) for update in taker.events()] == list(range(1, 21))


# --- secrets ----------------------------------------------------------------------------


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
