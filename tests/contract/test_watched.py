"""That the tests' messages are really checked: broken on purpose, each way is found."""

from __future__ import annotations

import json
import sys

import pytest
import watched
from msgspec import UNSET, Raw
from msgspec.structs import replace
from processes import Process
from raw import TEXT, RawFrame
from servers import auth_message, closed, connect, logged_in, receive, serving

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.errors import ProtocolError
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import (
    ConfigMessage,
    Error,
    Gap,
    Pong,
    StatisticsDelta,
    Subscribed,
    decode,
    encode,
    from_client,
    from_server,
    statistics_data,
)
from passivbot_ws_plugin.streaming import session


def test_every_test_is_watched() -> None:
    assert isinstance(from_server._encoder, watched.WatchedEncoder)
    assert from_client._read is not watched._read


@pytest.mark.parametrize(
    "message",
    [
        Pong(Raw(b"null")),
        Pong(Raw(b"1.5")),
        StatisticsDelta("main", "e", 1, 2, Raw(b'{"balance":null}')),
        StatisticsDelta("main", "e", 1, 2, Raw(b'{"positions":{"X|long":{"size":null}}}')),
        ConfigMessage(Raw(b"[]"), "main", "f0" * 32),
        Error("no", "no_such_code"),  # type: ignore[arg-type]
        Gap("main", "e", 0, None),
        Gap("main", "e", 1, None, "statistics"),  # type: ignore[arg-type]
        Subscribed("statistics", "e", "main"),  # type: ignore[arg-type]
        Subscribed("statistics", UNSET, None),  # type: ignore[arg-type]  # so it is left out
    ],
    ids=repr,
)
def test_a_message_that_breaks_the_contract_is_found(message: from_server.ServerMessage) -> None:
    with pytest.raises(AssertionError, match="sent: "), watched.watched():
        encode(message)


def test_it_is_found_in_whichever_module_it_is_encoded() -> None:
    with pytest.raises(AssertionError, match="no_such_code"), watched.watched():
        session._refuse("no_such_code", "no", None)  # type: ignore[arg-type]


async def test_it_is_found_on_its_way_from_a_cache_to_a_client() -> None:
    cache = Cache()
    async with serving(cache) as (server, address), logged_in(address) as client:
        assert (await receive(client))["type"] == "error"
        with pytest.raises(AssertionError, match="'data', 'balance'"), watched.watched():
            cache.put_statistics("main", replace(statistics_data(make_statistics()), balance="much"))
        server.publish("statistics", "main")
        with pytest.raises(AssertionError, match="'data', 'balance'"):
            await receive(client)


@pytest.mark.parametrize(
    "message", ['{"type":"pong","id":null}', '{"type":"pang"}', '{"type":"gap","bot":"main","epoch":"e"}']
)
def test_what_clients_receive_is_checked(message: str) -> None:
    with pytest.raises(AssertionError):
        RawFrame(TEXT, message.encode()).json()


def test_what_is_accepted_against_the_contract_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_client, "ID_MAX_CHARS", 100)
    with pytest.raises(AssertionError, match="accepted: "), watched.watched():
        decode(json.dumps({"type": "ping", "id": "x" * 65}))


async def test_so_it_is_in_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_client, "ID_MAX_CHARS", 100)
    async with serving() as (_, address), connect(address) as client:
        frame = json.dumps({**json.loads(auth_message("wrong")), "id": "x" * 65})
        with pytest.raises(AssertionError, match="accepted: "), watched.watched():  # noqa: PT012
            await client.send(frame)
            await closed(client)


def test_what_is_refused_against_the_contract_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_client, "ID_MAX_CHARS", 10)
    with pytest.raises(AssertionError, match="refused, though it is valid"), watched.watched():
        with pytest.raises(ProtocolError):
            decode(json.dumps({"type": "ping", "id": "x" * 11}))


@pytest.mark.bad_requests
def test_the_subscriptions_of_a_login_are_checked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = {"channel": "events", "kinds": ["fill"]}, {"channel": "config", "kinds": ["fill"]}
    frame = json.dumps({**json.loads(auth_message()), "subscribe": [right, wrong, 5]})
    decode(frame)  # the wrong ones are refused when their turn comes
    monkeypatch.setattr(from_client, "CHANNELS_OF", {})
    with pytest.raises(AssertionError, match="accepted: "), watched.watched():
        decode(frame)
    monkeypatch.setattr(from_client, "CHANNELS_OF", {"kinds": ("config",)})
    with pytest.raises(AssertionError, match="refused, though it is valid"), watched.watched():
        decode(frame)


#: What some server in another process does, whoever makes it.
ELSEWHERE = """
import contextlib
import passivbot_ws_plugin.server.server
from passivbot_ws_plugin.errors import ProtocolError
from passivbot_ws_plugin.messages import Error, Pong, decode, encode

encode(Pong())
decode('{"type":"ping"}')
encode(Error("no", "no_such_code"))
for frame in ('{"type":"pang"}', '[', b'{"type":"ping"}'):
    with contextlib.suppress(ProtocolError):
        decode(frame)
"""


def test_what_goes_on_in_other_processes_is_found(elsewhere: watched.Elsewhere) -> None:
    with Process(sys.executable, "-c", ELSEWHERE) as process:
        assert process.wait() == 0, process.output
    sent, *refused = elsewhere.take()
    assert sent.startswith("sent: ")
    assert "no_such_code" in sent
    assert [fault.rpartition(": ")[0] for fault in refused] == [
        "refused: unknown_type", "refused: invalid_json", "refused: invalid_message",
    ]  # fmt: skip


async def test_what_a_client_says_in_good_faith_is_not_refused() -> None:
    with pytest.raises(AssertionError, match="refused: unknown_type"), watched.watched():  # noqa: PT012
        async with serving() as (_, address), logged_in(address) as client:
            await receive(client)
            await client.send('{"type":"pang"}')
            assert (await receive(client))["code"] == "unknown_type"
    with watched.watched(expects_refusals=True), pytest.raises(ProtocolError):
        decode('{"type":"pang"}')
