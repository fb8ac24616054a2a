"""Subscriptions: what a session answers, and what comes over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from followers import HELD, Follower
from raw import RawClient, open_raw, text
from scramp import ScramClient
from servers import KEY, PASSWORD, auth_message, connect, logged_in, receive, serving
from websockets.asyncio.client import ClientConnection

from passivbot_hooks import EVENT_KINDS
from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.access.auth import Principal
from passivbot_ws_plugin.access.scram import MECHANISM
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.keyed import to_keyed
from passivbot_ws_plugin.messages import event_data, statistics_data
from passivbot_ws_plugin.rate import TokenBucket
from passivbot_ws_plugin.server.server import Server
from passivbot_ws_plugin.settings.credentials import Credential
from passivbot_ws_plugin.settings.options import ALL_SCOPES, Scope
from passivbot_ws_plugin.streaming.feeds import StatisticsFeed
from passivbot_ws_plugin.streaming.session import Answer, Session

BOT = "main"


def change(server: Server, cache: Cache, **changes: Any) -> None:
    assert cache.put_statistics(BOT, statistics_data(make_statistics(positions=HELD, **changes)))
    server.publish("statistics", BOT)


def happen(server: Server, cache: Cache, seq: int, **changes: Any) -> None:
    assert cache.put_event(BOT, seq, event_data(make_event(**changes)))
    server.publish("events", BOT)


@pytest.fixture
def cache() -> Cache:
    cache = Cache()
    cache.put_config(BOT, {"live": {"user": "main", "websocket_password": PASSWORD, "leverage": 5}})
    cache.put_statistics(BOT, statistics_data(make_statistics(positions=HELD)))
    return cache


# --- what a session answers -------------------------------------------------------------


def session(cache: Cache, *, scopes: tuple[Scope, ...] = ALL_SCOPES, now: float = 0.0) -> Session:
    return Session(
        Principal(Credential(KEY, PASSWORD, frozenset(scopes), None, "path"), "token"),
        cache,
        include_secrets=lambda: True,
        bad_messages_max=3,
        rate=TokenBucket(1, 1000, lambda: 0.0),
        wall_clock=lambda: now,
    )


def ask(subject: Session, **message: Any) -> tuple[dict[str, Any], Answer]:
    answer = subject.receive(json.dumps(message))
    assert answer.payload is not None
    return json.loads(answer.payload), answer


def test_a_subscription_is_answered_with_what_counts(cache: Cache) -> None:
    said, answer = ask(session(cache), type="subscribe", channel="statistics", id=7)
    assert said == {
        "type": "subscribed", "channel": "statistics", "epoch": cache.epoch, "bots": None, "mode": "full",
        "max_rate": None, "id": 7,
    }  # fmt: skip
    assert answer.channel == "statistics"
    assert isinstance(answer.feed, StatisticsFeed)
    said, _ = ask(
        session(cache), type="subscribe", channel="statistics", bots=["a"], mode="delta", max_rate=2
    )
    assert (said["bots"], said["mode"], said["max_rate"]) == (["a"], "delta", 2.0)
    said, _ = ask(session(cache), type="subscribe", channel="events", kinds=["fill"], symbols=["A"])
    assert said == {
        "type": "subscribed", "channel": "events", "epoch": cache.epoch, "bots": None, "kinds": ["fill"],
        "symbols": ["A"], "since": {"main": {"epoch": cache.epoch, "seq": 0}},
    }  # fmt: skip
    said, _ = ask(session(cache), type="subscribe", channel="config")
    assert said == {"type": "subscribed", "channel": "config", "epoch": cache.epoch, "bots": None}
    said, answer = ask(session(cache), type="unsubscribe", channel="events", id="x")
    assert said == {"type": "unsubscribed", "channel": "events", "id": "x"}
    assert (answer.channel, answer.feed) == ("events", None)


@pytest.mark.bad_requests
@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({}, "channel must be statistics, events or config"),
        ({"channel": "trades"}, "channel must be statistics, events or config"),
        ({"channel": "statistics", "bots": "main"}, "bots must be "),
        ({"channel": "statistics", "bots": [1]}, "bots must be "),
        ({"channel": "statistics", "bots": ["x" * 257]}, "bots must be "),
        ({"channel": "statistics", "bots": ["\ud800"]}, "half a surrogate pair"),
        ({"channel": "events", "symbols": ["\ud800"]}, "half a surrogate pair"),
        ({"channel": "statistics", "since": {"\ud800": {"epoch": "e", "seq": 1}}}, "half a surrogate pair"),
        ({"channel": "statistics", "mode": "diff"}, "mode must be full or delta"),
        ({"channel": "events", "since": {"a": {"epoch": "\ud800", "seq": 1}}}, "half a surrogate pair"),
        ({"channel": "statistics", "max_rate": 0}, "max_rate must be a number from 0.001 to 1000"),
        ({"channel": "statistics", "max_rate": 5e-324}, "max_rate must be "),
        ({"channel": "statistics", "max_rate": 1001}, "max_rate must be "),
        ({"channel": "statistics", "max_rate": True}, "max_rate must be "),
        ({"channel": "statistics", "since": {"main": 5}}, "since must be "),
        ({"channel": "statistics", "since": {"main": {"epoch": "e"}}}, "since must be "),
        ({"channel": "statistics", "since": {"main": {"epoch": "e", "seq": -1}}}, "since must be "),
        ({"channel": "statistics", "since": {"main": {"epoch": "e", "seq": 1.5}}}, "since must be "),
        ({"channel": "statistics", "kinds": ["fill"]}, "kinds is for events only"),
        ({"channel": "config", "mode": "full"}, "mode is for statistics only"),
        ({"channel": "config", "since": {}}, "since is for statistics and events only"),
        ({"channel": "events", "kinds": "fill"}, "kinds must be a list"),
        ({"channel": "events", "symbols": [1]}, "symbols must be a list"),
        ({"channel": "\ud800"}, "subscribe needs channel"),
        ({"channel": "events", "kinds": ["filled"]}, f"there is {', '.join(EVENT_KINDS)}"),
    ],
)
def test_a_bad_subscription_is_answered_and_counts_as_a_bad_message(
    cache: Cache, request_: dict[str, Any], words: str
) -> None:
    subject = session(cache)
    said, answer = ask(subject, type="subscribe", id=3, **request_)
    assert (said["type"], said["code"], said["id"]) == ("error", "invalid_message", 3)
    assert words in said["message"]
    assert answer.channel is None
    [began] = subject.begin([{"id": 4, **request_}])
    assert began.payload is not None
    assert words in json.loads(began.payload)["message"]
    assert subject.receive("nonsense").is_last  # the third


@pytest.mark.parametrize("channel", ["statistics", "events"])
def test_what_the_key_may_not_see_it_cannot_subscribe_to(cache: Cache, channel: Scope) -> None:
    others: tuple[Scope, ...] = tuple(scope for scope in ALL_SCOPES if scope != channel)
    said, answer = ask(session(cache, scopes=others), type="subscribe", channel=channel)
    assert said == {"type": "error", "message": f"this key may not see the {channel}", "code": "forbidden"}
    assert answer.feed is None


@pytest.mark.bad_requests
def test_a_login_that_asks_for_nothing_is_given_what_is_published(cache: Cache) -> None:
    [answer] = session(cache).begin(None)
    assert answer.payload is None
    assert isinstance(answer.feed, StatisticsFeed)
    [answer] = session(Cache()).begin(None)
    assert json.loads(answer.payload or b"")["code"] == "unavailable"
    [answer] = session(cache, scopes=("events",)).begin(None)
    assert json.loads(answer.payload or b"")["code"] == "forbidden"
    assert answer.feed is None
    assert list(session(cache).begin([])) == []
    [answer] = session(cache).begin(["nonsense"])
    assert json.loads(answer.payload or b"")["code"] == "invalid_message"


def test_the_bots_and_how_they_are(cache: Cache) -> None:
    cache.put_event("new", 3, event_data(make_event()))
    cache.put_statistics(BOT, statistics_data(make_statistics(positions=HELD, timestamp=1_678_886_401_000)))
    said, _ = ask(session(cache, now=1_678_886_403.5), type="list_bots", id=1)
    assert said == {
        "type": "bots",
        "data": [
            {"bot": "main", "status": "running", "timestamp": 1_678_886_401_000, "age_ms": 2_500,
             "exchange": "fake", "has_config": True, "seq": 1, "event_seq": 0},
            {"bot": "new", "status": None, "timestamp": None, "age_ms": None, "exchange": None,
             "has_config": False, "seq": 0, "event_seq": 3},
        ],
        "epoch": cache.epoch,
        "id": 1,
    }  # fmt: skip
    said, _ = ask(session(cache, now=0), type="list_bots")
    assert said["data"][0]["age_ms"] == 0  # the bot's clock is ahead of ours


# --- over sockets -----------------------------------------------------------------------


async def subscribe(client: ClientConnection, **request: Any) -> dict[str, Any]:
    await client.send(json.dumps({"type": "subscribe", **request}))
    answer = await receive(client)
    assert answer["type"] == "subscribed", answer
    return answer


def login(*subscriptions: dict[str, Any]) -> str:
    return json.dumps({**json.loads(auth_message()), "subscribe": list(subscriptions)})


async def test_from_the_published_subscription_to_deltas_without_a_second_snapshot(cache: Cache) -> None:
    async with serving(cache) as (server, address), logged_in(address) as client:
        first = await receive(client)
        since = {BOT: {"epoch": first["epoch"], "seq": first["seq"]}}
        await subscribe(client, channel="statistics", mode="delta", since=since)
        change(server, cache, balance=1.0)
        delta = await receive(client)
        assert (delta["type"], delta["base"], delta["seq"]) == ("statistics_delta", 1, 2)
        await client.send('{"type":"unsubscribe","channel":"statistics"}')
        assert (await receive(client))["type"] == "unsubscribed"
        change(server, cache, balance=2.0)
        await client.send('{"type":"ping"}')
        assert await receive(client) == {"type": "pong"}


@pytest.mark.bad_requests
async def test_a_login_that_subscribes_goes_on_where_it_stood(cache: Cache) -> None:
    async with serving(cache) as (server, address):
        change(server, cache, balance=1.0)
        happen(server, cache, 1)
        happen(server, cache, 2)
        places = {BOT: {"epoch": cache.epoch, "seq": 1}}
        async with connect(address) as client:
            await client.send(
                login(
                    {"channel": "statistics", "mode": "delta", "since": places, "id": 1},
                    {"channel": "events", "since": places},
                    {"channel": "nothing", "id": 3},
                )
            )
            said = [await receive(client) for _ in range(6)]
        assert [message["type"] for message in said] == [
            "auth_result", "subscribed", "statistics_delta", "subscribed", "event", "error",
        ]  # fmt: skip
        assert (said[1]["id"], said[5]["id"]) == (1, 3)
        assert (said[2]["base"], said[4]["seq"]) == (1, 2)


async def test_a_login_subscribes_to_a_channel_once(cache: Cache) -> None:
    async with serving(cache) as (_, address), connect(address) as client:
        await client.send(login({"channel": "events"}, {"channel": "config"}, {"channel": "events", "id": 1}))
        said = [await receive(client) for _ in range(5)]
    assert [message["type"] for message in said] == [
        "auth_result", "subscribed", "subscribed", "config_changed", "error",
    ]  # fmt: skip
    assert said[4] == {
        "type": "error", "code": "invalid_message", "message": "events stands here twice", "id": 1,
    }  # fmt: skip


async def test_scram_carries_subscriptions_too(cache: Cache) -> None:
    async with serving(cache) as (_, address), connect(address) as client:
        scram = ScramClient([MECHANISM], KEY, PASSWORD)
        hello = {"type": "hello", "mechanism": MECHANISM, "data": scram.get_client_first()}
        await client.send(json.dumps(hello))
        scram.set_server_first((await receive(client))["data"])
        subscriptions = [{"channel": "events"}]
        proof = {"type": "auth", "data": scram.get_client_final(), "subscribe": subscriptions}
        await client.send(json.dumps(proof))
        assert (await receive(client))["success"]
        assert (await receive(client))["channel"] == "events"


@pytest.mark.bad_requests
@pytest.mark.parametrize("subscriptions", ["statistics", {"channel": "events"}, [{"channel": "events"}] * 4])
async def test_a_login_whose_subscriptions_are_no_short_list_is_none(
    cache: Cache, subscriptions: Any
) -> None:
    async with serving(cache) as (_, address), connect(address) as client:
        await client.send(json.dumps({**json.loads(auth_message()), "subscribe": subscriptions}))
        assert not (await receive(client))["success"]


async def test_changes_of_the_config_reach_who_asked_with_values_if_the_key_has_the_scope(
    cache: Cache,
) -> None:
    keys = {"phone": {"password": "a password of the phone", "scopes": ["statistics"]}}
    async with serving(cache, keys=keys) as (server, address):
        async with logged_in(address) as owner, connect(address) as phone:
            await receive(owner)
            await phone.send(auth_message("a password of the phone", "phone"))
            for _ in range(2):
                await receive(phone)
            for client in (owner, phone):
                await subscribe(client, channel="config")
                assert (await receive(client))["paths"] is None
            cache.put_config(BOT, {"live": {"user": "main", "websocket_password": "new", "leverage": 7}})
            server.publish("config", BOT)
            told, hinted = await receive(owner), await receive(phone)
            assert told["values"] == {"/live/leverage": 7, "/live/websocket_password": "new"}
            await owner.send('{"type":"get_config"}')
            assert (await receive(owner))["hash"] == told["hash"]
            assert hinted["paths"] == ["/live/leverage", "/live/websocket_password"]
            assert "values" not in hinted
            assert hinted["hash"] != told["hash"]


async def follow(client: RawClient, follower: Follower, is_done: Callable[[], bool], pause_s: float) -> None:
    """Read a message at a time, with pauses, until that is all."""
    while not is_done():
        message = await client.message()
        if message["type"] not in {"auth_result", "subscribed"}:
            follower.receive(json.dumps(message).encode())
        await asyncio.sleep(pause_s)


@pytest.mark.parametrize("mode", ["full", "delta"])
async def test_a_slow_reader_in_a_burst_misses_nothing_that_matters_and_gets_nothing_twice(
    cache: Cache, mode: str
) -> None:
    """It subscribes in the middle of it. Deltas fit, each event is told or in a gap, the end is right."""
    # Little enough that it falls behind in any case; the kernel's buffers come on top.
    limits = {"buffer_soft_bytes": 4096, "buffer_soft_s": 60}
    follower = Follower(BOT)
    async with serving(cache, limits=limits) as (server, address):

        async def burst() -> None:
            for number in range(1, 3001):
                change(server, cache, balance=float(number), exchange="x" * 300)
                happen(server, cache, number, details={"text": "y" * 300})
                if number % 20 == 0:
                    await asyncio.sleep(0)

        bursting = asyncio.create_task(burst())
        client = await open_raw(address, receive_buffer=4096)

        def is_done() -> bool:
            return bursting.done() and follower.seqs.get(BOT) == 3001 and follower.told[BOT][-1:] == [3000]

        try:
            assert await client.upgrade() == 101
            await client.send(text(login({"channel": "statistics", "mode": mode}, {"channel": "events"})))
            async with asyncio.timeout(45):
                await follow(client, follower, is_done, 0.0005)
                await bursting
        finally:
            await client.close()
    data = cache.bots[BOT].statistics.data
    assert data is not None
    assert follower.states[BOT] == to_keyed(data)
    told = follower.told[BOT]
    assert told == list(range(told[0], 3001))
    assert follower.received < 6000, "it was never behind"
