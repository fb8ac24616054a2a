"""What could disturb the stream.

==============================================  ==================================================
readers that are slow, or do not read           ``test_slow_clients.py``
a config full of secrets                        ``tests/ws/test_redaction.py``, ``test_server.py`` too
closing with stuck clients                      ``tests/ws/server/test_server.py``
a password changed while connected              ``tests/ws/test_plugin_settings.py``, ``test_server.py`` too
a port that is taken, and freed later           ``tests/ws/test_plugin_address.py``
a source that raises or stalls, damaged files   ``test_monitor_files.py``
a plugin that raises, blocks or exits           ``tests/integration/test_faults.py``
a true byte a second                            ``test_trickles.py``
==============================================  ==================================================
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import resource
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from typing import Any, Final, NoReturn

import pytest
from raw import TEXT, RawClient, text
from servers import PASSWORD, auth_message, make_settings, receive
from siege import Siege, besieged

from passivbot_hooks import Position
from passivbot_hooks.testing import make_event
from passivbot_ws_plugin.messages import event_data

ACCEPTED: Final = ("auth.success", "accepted")
LEFT: Final = ("auth.disconnect", "left without an auth message")
SILENT: Final = ("auth.timeout", "no auth message in time")

#: No float, though a host may pass it on as one.
DECIMAL: Final[Any] = Decimal("0.1")


# --- clients that ask for much -----------------------------------------------------------


async def test_who_asks_for_much_at_once_lets_the_others_have_their_turn() -> None:
    async with besieged(ACCEPTED, stays=True) as siege:
        client = await siege.client()
        unsubscribe = {"type": "unsubscribe", "channel": "statistics"}
        await client.send(text({"type": "list_bots"}) * 15 + text(unsubscribe))
        await siege.good.send('{"type":"ping"}')
        assert (await receive(siege.good))["type"] == "pong"
        await siege.show()  # before the last request is answered
        told: list[str] = []
        while told[-1:] != ["unsubscribed"]:
            told.append((await client.message())["type"])
        assert told.count("statistics") == 1


async def test_who_is_due_much_lets_the_others_have_their_turn() -> None:
    async with besieged(ACCEPTED, stays=True) as siege:
        for bot in range(40):
            for seq in range(1, 1_025):
                siege.cache.put_event(f"bot{bot}", seq, event_data(make_event()))
        siege.cache.put_event("last", 1, event_data(make_event(symbol="LAST")))
        client = await siege.client()
        await client.send(text({"type": "subscribe", "channel": "events", "since": {}, "symbols": ["LAST"]}))
        await siege.good.send('{"type":"ping"}')
        assert (await receive(siege.good))["type"] == "pong"
        await siege.show()  # before all those events were looked at
        told = [(await client.message())["type"] for _ in range(3)]
        assert told == ["subscribed", "statistics", "event"]


# --- strangers --------------------------------------------------------------------------


@asynccontextmanager
async def publishing(siege: Siege) -> AsyncIterator[None]:
    """Publish without a pause; the good client gets all of it."""
    is_done = False

    async def publish() -> None:
        while not is_done:
            await siege.show()

    task = asyncio.create_task(publish())
    try:
        yield
    finally:
        is_done = True
        await task


async def test_a_stranger_never_gets_statistics_not_in_the_race_either() -> None:
    count = 20
    limits = {"unauthenticated_per_address": 2 * count, "connections_per_address": 2 * count, "auth_s": 10.0}
    async with besieged(*[("auth.failure", "wrong token")] * count, limits=limits) as siege:
        siege.expected += [ACCEPTED] * count

        async def wrong(client: RawClient) -> None:
            await client.send(text(auth_message("wrong")))
            [answer], code = await client.closing()
            assert (answer.json()["success"], code) == (False, 4401)

        async def right(client: RawClient) -> None:
            await client.send(text(auth_message()))
            assert (await client.message())["success"]
            numbers = [(await client.message())["seq"] for _ in range(10)]
            assert numbers == list(range(numbers[0], numbers[0] + 10))
            await siege.dismiss(client)

        clients = [await siege.stranger() for _ in range(2 * count)]
        async with publishing(siege):
            await asyncio.gather(
                *(wrong(client) for client in clients[::2]), *(right(client) for client in clients[1::2])
            )


async def test_a_thousand_come_and_go_while_it_publishes() -> None:
    """Each in one of five ways, from connecting to a reset right after the login."""
    async with besieged(stays=True, limits={"auth_s": 10.0, "handshake_s": 10.0}) as siege:

        async def come_and_go(number: int) -> None:
            source = f"127.0.5.{1 + number % 250}"
            client = await siege.attacker(source)
            way = number % 5
            if way == 1:
                await client.send(b"GET / HTTP/1.1\r\n")
                siege.expected.append(("connection.refused", "bad handshake"))
            elif way > 1:
                assert await client.upgrade() == 101
            if way == 2:
                siege.expected.append(LEFT)
            elif way > 2:
                siege.expected.append(ACCEPTED)
                await client.send(text(auth_message()))
                assert (await client.message())["success"]
            if way == 4:
                client.reset()
            await siege.dismiss(client)

        async with publishing(siege):
            for first in range(0, 1_000, 20):
                await asyncio.gather(*(come_and_go(number) for number in range(first, first + 20)))
        await siege.ended()


# --- hostile figures --------------------------------------------------------------------


def _refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} on the wire")


@pytest.mark.parametrize(
    "changes",
    [  # whatever a host passes on, annotations or not
        {"balance": float("nan")},
        {"balance": float("-inf"), "upnl": Decimal("NaN")},
        {"balance": Decimal("1e999")},
        {"balance": 10**400, "timestamp": 2**80},
        {"balance": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)},
        {"balance": {1, 2}, "exchange": {"a"}},
        {"exchange": "\ud800 \0 \u2028"},
        {"positions": (Position("\udfff", "long", float("nan"), DECIMAL),)},
    ],
)
async def test_what_json_cannot_say_is_said_as_null_or_repaired(changes: dict[str, Any]) -> None:
    async with besieged(ACCEPTED, stays=True) as siege:
        client = await siege.client()
        await siege.show(**{"version": "changed", **changes})
        received = await client.frame()
        assert received.opcode == TEXT
        document = json.loads(received.payload.decode(), parse_constant=_refuse)
        assert (document["type"], document["seq"]) == ("statistics", 2)


# --- secrets, and their end -------------------------------------------------------------

GUEST: Final = {"password": "a password of the guest's", "scopes": ["statistics", "config"]}


async def guest(siege: Siege) -> RawClient:
    """A client with a key of its own, that got its snapshot."""
    client = await siege.attacker()
    assert (await client.log_in(auth_message(str(GUEST["password"]), "guest")))["success"]
    assert (await client.message())["type"] == "statistics"
    return client


async def test_a_config_full_of_secrets_shows_none_to_a_guest() -> None:
    secrets = {
        "websocket_password": PASSWORD,
        "api": {"secret": "never shown", "passphrase": ["never shown"]},
    }
    async with besieged(ACCEPTED, keys={"guest": GUEST}, stays=True) as siege:
        client = await guest(siege)
        siege.cache.put_config(
            "main", {"live": secrets, "plugins": {"websocket": {"keys": {"guest": GUEST}}}}
        )
        await client.send(text({"type": "get_config"}))
        received = await client.frame()
        assert received.json()["type"] == "config"
        assert not any(
            secret in received.payload for secret in (b"never shown", PASSWORD.encode(), b"guest's")
        )


async def test_a_password_changed_while_connected() -> None:
    async with besieged(ACCEPTED, ("auth.revoked", "credentials changed"), keys={"guest": GUEST}) as siege:
        client = await guest(siege)
        changed = make_settings(keys={"guest": {**GUEST, "password": "another password, also long"}})
        siege.server.use(changed)
        assert await client.closing() == ([], 4403)
        siege.expected.append(("auth.failure", "wrong token"))
        again = await siege.stranger()
        await again.send(text(auth_message(str(GUEST["password"]), "guest")))
        assert (await again.closing())[1] == 4401


# --- the machine ------------------------------------------------------------------------


async def test_the_clock_set_back_moves_no_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"auth_failures": 1, "auth_s": 2.0}
    async with besieged(SILENT, *[("auth.failure", "wrong token")] * 2, limits=limits) as siege:
        client, *others = [await siege.stranger(f"127.0.0.{number}") for number in (66, 67, 68)]
        then = time.time() - 86_400
        for other in others:  # one before, one after
            await other.send(text(auth_message("wrong")))
            assert (await other.closing())[1] == 4401
            monkeypatch.setattr(time, "time", lambda: then)
        for address in ("127.0.0.67", "127.0.0.68"):
            assert siege.server._admission.throttle.wait_s(address) <= 2
        await siege.show()
        assert await client.closing() == ([], 4408)


@contextmanager
def descriptors_exhausted() -> Iterator[None]:
    """Not one more descriptor for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as probe:
        lowest = probe.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            socket.socket()
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_descriptors_exhausted_and_free_again() -> None:
    """Who is in stays in and gets every change; who came meanwhile gets in afterwards.

    asyncio leaves it in the kernel's queue. uvloop has a descriptor to spare, with which it takes it
    and hangs up, so that it has to come again.
    """
    async with besieged(ACCEPTED, complaint="out of system resource", stays=True) as siege:
        waiting = socket.socket()
        waiting.setblocking(False)
        host, _, port = siege.address.removeprefix("ws://").rpartition(":")
        loop = asyncio.get_running_loop()
        refused = asyncio.Event()
        loop.set_exception_handler(lambda _, context: refused.set())
        with descriptors_exhausted():
            await loop.sock_connect(waiting, (host, int(port)))  # the kernel's doing, not the server's
            hung_up = loop.create_task(loop.sock_recv(waiting, 1))
            left = loop.create_task(refused.wait())
            async with asyncio.timeout(10):
                await asyncio.wait([hung_up, left], return_when=asyncio.FIRST_COMPLETED)
            await siege.show()
        loop.set_exception_handler(None)
        if hung_up.done():
            assert hung_up.result() == b""
            left.cancel()
            waiting.close()
            client = await siege.knock()
        else:
            hung_up.cancel()
            await asyncio.wait([hung_up])
            client = siege.take(RawClient(*await asyncio.open_connection(sock=waiting)))
        assert (await client.log_in(auth_message()))["success"]
