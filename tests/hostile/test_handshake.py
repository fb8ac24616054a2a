"""Hostile handshakes.

Elsewhere: TLS itself and plain bytes on the TLS port in ``tests/ws/server/test_tls_connections.py``; plain
HTTP in ``tests/ws/server/test_server.py``.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Final

import pytest
from raw import CLOSE, PING, PONG, TEXT, RawFrame, frame, text
from servers import auth_message, logged_in, receive
from siege import besieged

from passivbot_ws_plugin.server.connection import Connection

BAD: Final = ("connection.refused", "bad handshake")
ACCEPTED: Final = ("auth.success", "accepted")
SILENT: Final = ("auth.timeout", "no auth message in time")

UPGRADE: Final = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
KEY: Final = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
VERSION: Final = "Sec-WebSocket-Version: 13\r\n"


def request(
    line: str = "GET / HTTP/1.1",
    *headers: str,
    upgrade: str = UPGRADE,
    key: str = KEY,
    version: str = VERSION,
) -> bytes:
    """A handshake that is right but for what is given; latin-1, so that any byte can be said."""
    more = "".join(f"{header}\r\n" for header in headers)
    return f"{line}\r\nHost: x\r\n{upgrade}{key}{version}{more}\r\n".encode("latin-1")


#: The server closes without a word: to what is no HTTP there is no answer in HTTP.
NO_HTTP = {
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "HTTP/0.9": b"GET /\r\n",
    "empty lines": b"\r\n" * 50,
    "random bytes": bytes(range(256)) * 8,
    "line feeds only": b"GET / HTTP/1.1\nHost: x\n\n",
    "POST with a body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Content-Length 0 and 5": request("GET / HTTP/1.1", "Content-Length: 0", "Content-Length: 5"),
    "Content-Length 5 and 5": request("GET / HTTP/1.1", "Content-Length: 5", "Content-Length: 5"),
    "Content-Length -1": request("GET / HTTP/1.1", "Content-Length: -1"),
    "NUL in a header": request("GET / HTTP/1.1", "User-Agent: a\0b"),
    "ANSI in a header": request("GET / HTTP/1.1", "User-Agent: \x1b[31m"),
    "a folded header": request("GET / HTTP/1.1", "X: a\r\n b"),
    "a blank in a header's name": request("GET / HTTP/1.1", "X Y: a"),
    "no colon in a header": request("GET / HTTP/1.1", "nothing"),
    "non-ASCII path": request("GET /\xe9 HTTP/1.1"),
}

#: The server says why, in a status.
REFUSED = {
    "HTTP/1.0": (505, request("GET / HTTP/1.0")),
    "POST": (405, request("POST / HTTP/1.1")),
    "no Connection": (426, request(upgrade="Upgrade: websocket\r\n")),
    "two upgrades": (426, request(upgrade="Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n")),
    "malformed Upgrade": (400, request(upgrade="Upgrade: websocket;;,\xe9\r\nConnection: Upgrade\r\n")),
    "malformed Connection": (400, request(upgrade="Upgrade: websocket\r\nConnection: \xe9;;\r\n")),
    "version 8": (400, request(version="Sec-WebSocket-Version: 8\r\n")),
    "no version": (400, request(version="")),
    "two versions": (400, request(version=VERSION * 2)),
    "duplicate key": (400, request(key=KEY * 2)),
    "no key": (400, request(key="")),
    "a short key": (400, request(key="Sec-WebSocket-Key: AAAA\r\n")),
    "a non-ASCII key": (400, request(key="Sec-WebSocket-Key: \xe9\xe9\r\n")),
    "a key of markup": (400, request(key="Sec-WebSocket-Key: <script>alert(1)</script>\r\n")),
    "a 9 kB URI": (414, request(f"GET /{'a' * 9000} HTTP/1.1")),
    "a line without an end": (414, b"A" * 9000),
    "a 9 kB header": (431, request("GET / HTTP/1.1", f"X: {'a' * 9000}")),
    "200 headers": (431, request("GET / HTTP/1.1", *(f"X-{number}: y" for number in range(200)))),
    "two Origins": (400, request("GET / HTTP/1.1", "Origin: https://my.page", "Origin: null")),
    "non-ASCII subprotocol": (400, request("GET / HTTP/1.1", "Sec-WebSocket-Protocol: \xe9")),
    "no extension": (400, request("GET / HTTP/1.1", "Sec-WebSocket-Extensions: ;;;=")),
    "non-ASCII extension": (400, request("GET / HTTP/1.1", "Sec-WebSocket-Extensions: \xe9")),
    "a long list of extensions": (400, request("GET / HTTP/1.1", f"Sec-WebSocket-Extensions: {'x,' * 512}y")),
    "long lists": (400, request("GET / HTTP/1.1", *3 * [f"Sec-WebSocket-Protocol: {'x,' * 200}y"])),
    "a long Connection": (400, request(upgrade=f"Upgrade: websocket\r\nConnection: Upgrade{',x' * 600}\r\n")),
    "a long Upgrade": (400, request(upgrade=f"Upgrade: websocket{',' * 1024}\r\nConnection: Upgrade\r\n")),
    "NUL in the path": (400, request("GET /\0 HTTP/1.1")),
    "ANSI in the path": (400, request("GET /\x1b[31m HTTP/1.1")),
}

#: No handshake is asked for: an ordinary HTTP answer, and no record.
PLAIN = {
    "no Upgrade": (404, request(upgrade="")),
    "an empty Upgrade": (404, request(upgrade="Upgrade: \r\nConnection: Upgrade\r\n")),
    "plain HTTP/1.0": (404, b"GET / HTTP/1.0\r\n\r\n"),
    "a proxy's CONNECT": (405, b"CONNECT evil:443 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "POST with a body of no length": (405, b"POST / HTTP/1.1\r\nHost: x\r\n\r\nhello"),
    "two requests": (200, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2),
}

#: Right, if odd: a stranger as every other, with what it said of itself in the record.
ODD = {
    "non-ASCII user agent": (
        request("GET / HTTP/1.1", "User-Agent: \xff\x9b31m"),
        "user_agent",
        "\xff\x9b31m",
    ),
    "a long user agent": (request("GET / HTTP/1.1", f"User-Agent: {'a' * 8000}"), "user_agent", "a" * 200),
    "a user agent that forges": (
        request("GET / HTTP/1.1", 'User-Agent: x", "event": "auth.success'),
        "user_agent",
        'x", "event": "auth.success',
    ),
    "X-Forwarded-For": (request("GET / HTTP/1.1", "X-Forwarded-For: 10.0.0.1"), "peer", "127.0.0.66"),
    "Origin null": (request("GET / HTTP/1.1", "Origin: null"), "origin", "null"),
    "/../": (request("GET /../../etc/passwd HTTP/1.1"), "path", "/../../etc/passwd"),
    "%00": (request("GET /%00%0d%0a HTTP/1.1"), "path", "/%00%0d%0a"),
    "an absolute URI": (request("GET http://evil/ HTTP/1.1"), "path", "http://evil/"),
    "a token in the query": (request("GET /a?token=never-logged HTTP/1.1"), "path", "/a"),
    "a subprotocol": (request("GET / HTTP/1.1", "Sec-WebSocket-Protocol: never-logged"), "path", "/"),
    "Content-Length 0 twice": (request("GET / HTTP/1.1", *["Content-Length: 0"] * 2), "path", "/"),
    "an unknown extension": (
        request("GET / HTTP/1.1", "Sec-WebSocket-Extensions: never-logged; x=1"),
        "path",
        "/",
    ),
    "deflate out of bounds": (
        request("GET / HTTP/1.1", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99"),
        "path",
        "/",
    ),
}


async def test_a_request_is_not_kept_however_long_it_grows() -> None:
    limits = {"handshake_s": 60, "auth_s": 60, "unauthenticated_per_address": 1}
    async with besieged(BAD, BAD, limits=limits) as siege:
        has_a_place, is_one_too_many = await siege.attacker(), await siege.attacker()
        for client in (has_a_place, is_one_too_many):
            await client.send(b"GET / HTTP/1.1\r\n" + b"X: %s\r\n" % (b"a" * 8000) * 5)
            assert await client.rest() == b""


@pytest.mark.parametrize("sent", NO_HTTP.values(), ids=NO_HTTP)
async def test_what_is_no_request_is_closed_without_a_word(sent: bytes) -> None:
    async with besieged(BAD) as siege:
        client = await siege.attacker()
        await client.send(sent)
        assert await client.rest() == b""


@pytest.mark.parametrize(("status", "sent"), REFUSED.values(), ids=REFUSED)
async def test_a_wrong_handshake_is_refused_with_a_status(status: int, sent: bytes) -> None:
    async with besieged(BAD) as siege:
        client = await siege.attacker()
        await client.send(sent)
        assert (await client.response())[0] == status
        body = await client.rest()
        assert body.isascii()
        assert b"script" not in body


@pytest.mark.parametrize(("status", "sent"), PLAIN.values(), ids=PLAIN)
async def test_plain_http_gets_one_answer_and_the_end(status: int, sent: bytes) -> None:
    async with besieged() as siege:
        client = await siege.attacker()
        await client.send(sent)
        found, headers = await client.response()
        assert (found, headers["connection"]) == (status, "close")
        assert len(await client.rest()) == int(headers["content-length"])


@pytest.mark.bad_requests
@pytest.mark.parametrize(("sent", "field", "value"), ODD.values(), ids=ODD)
async def test_an_odd_handshake_makes_a_stranger_as_every_other(sent: bytes, field: str, value: str) -> None:
    async with besieged(("auth.failure", "not valid JSON")) as siege:
        client = await siege.attacker()
        await client.send(sent)
        status, headers = await client.response()
        assert status == 101
        assert not {"sec-websocket-extensions", "sec-websocket-protocol"} & headers.keys()
        await client.send(text("nonsense"))
        assert (await client.closing())[1] == 4401
        assert json.loads(siege.audit_log.lines[-1])[field] == value
        assert "never-logged" not in "".join(siege.audit_log.lines)


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHos", request()[:-1]], ids=["half", "all but a byte"])
async def test_half_a_request_is_cut_off_at_the_deadline(sent: bytes) -> None:
    async with besieged(BAD) as siege:
        client = await siege.attacker()
        await client.send(sent)
        assert await client.rest() == b""


async def test_a_request_byte_by_byte_is_cut_off_at_the_deadline() -> None:
    async with besieged(BAD) as siege:
        client = await siege.attacker()
        taken = await client.trickle(request(), pause_s=0.05)
        assert 1 < taken < len(request())


async def test_who_says_nothing_is_cut_off_at_the_deadline_and_leaves_no_record() -> None:
    async with besieged() as siege:
        client = await siege.attacker()
        assert await client.rest() == b""


async def test_a_request_in_pieces_is_a_request() -> None:
    async with besieged(SILENT) as siege:
        client = await siege.attacker()
        for start in range(0, len(request()), 7):
            await client.send(request()[start : start + 7])
        assert (await client.response())[0] == 101
        assert await client.closing() == ([], 4408)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://my.page.evil", 403),
        ("https://my.page@evil", 403),
        ("https://evil/https://my.page", 403),
        ("http://my.page", 403),
        ("https://MY.page", 403),
        ("null", 403),
        ("\xe9", 403),
    ],
)
async def test_another_origin_is_refused(origin: str, status: int) -> None:
    async with besieged(("connection.refused", "origin not allowed"), origins=["https://my.page"]) as siege:
        client = await siege.attacker()
        await client.send(request("GET / HTTP/1.1", f"Origin: {origin}"))
        assert (await client.response())[0] == status


# --- what comes before the handshake is answered ------------------------------------------


async def test_a_ping_with_the_handshake_is_answered_after_it() -> None:
    async with besieged(SILENT) as siege:
        client = await siege.attacker()
        await client.send(request() + frame(PING, b"x"))
        assert (await client.response())[0] == 101
        assert await client.closing() == ([RawFrame(PONG, b"x")], 4408)


async def test_a_login_with_the_handshake_is_heard() -> None:
    async with besieged(("auth.success", "accepted"), stays=True) as siege:
        client = await siege.attacker()
        await client.send(request() + text(auth_message()))
        assert (await client.response())[0] == 101
        assert (await client.message())["success"]
        assert (await client.message())["type"] == "statistics"


@pytest.mark.parametrize(
    ("early", "code", "record"),
    [
        (frame(CLOSE, b"\x03\xe8"), 1000, ("auth.disconnect", "left without an auth message")),
        (b"\xff\xff\xff", 1002, ("auth.failure", "broke the WebSocket protocol")),
        (request(), 1002, ("auth.failure", "broke the WebSocket protocol")),
        (frame(TEXT, length=2**63 - 1), 1009, ("auth.failure", "message too large")),
    ],
    ids=["close", "garbage", "another handshake", "a length"],
)
async def test_frames_with_the_handshake_are_judged_as_frames(
    early: bytes, code: int, record: tuple[str, str]
) -> None:
    async with besieged(record) as siege:
        client = await siege.attacker()
        await client.send(request() + early)
        assert (await client.response())[0] == 101
        assert await client.closing() == ([], code)


async def test_bytes_without_end_after_a_refused_request_take_no_memory() -> None:
    async with besieged(BAD) as siege:
        client = await siege.attacker()
        await client.send(b"no request\r\n\r\n")
        assert await client.rest() == b""
        [connection] = siege.hostile
        assert isinstance(connection, Connection)
        with contextlib.suppress(ConnectionError):
            while True:
                await client.send(b"\r\n\r\n" + b"x" * 65_536)
                assert len(connection._early) + len(connection.protocol.reader.buffer) < 1_000_000
        del connection


# --- the door ----------------------------------------------------------------------------


async def test_many_that_open_and_say_nothing_take_few_descriptors() -> None:
    limits = {"connections": 12, "unauthenticated": 3, "unauthenticated_per_address": 2}
    refused = ("connection.refused", "unauthenticated_per_address")
    async with besieged(*[refused] * 48, limits=limits) as siege:
        for _ in range(50):
            await siege.attacker()
            assert len(siege.server._door.connections) <= 12 + 3 + 1
        await siege.show()
        await siege.gone()


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("is_asked", [False, True], ids=["silent", "strangers"])
async def test_the_owner_comes_in_while_a_few_addresses_hold_every_place(
    is_asked: bool, is_tls: bool
) -> None:
    """Eight by eight, as the defaults are."""
    limits = {"handshake_s": 20.0, "auth_s": 20.0}
    async with besieged(is_tls=is_tls, limits=limits) as siege:
        crowd = [
            await (siege.attacker(f"127.0.7.{home}") if is_asked else siege.knock(f"127.0.7.{home}"))
            for home in range(1, 9)
            for _ in range(8)
        ]
        if is_asked:
            for client in crowd:
                assert await client.upgrade() == 101
        await siege.show()
        assert len(siege.hostile) == 64
        siege.expected.append(ACCEPTED)
        async with logged_in(siege.address, ssl=siege.trust) as owner:
            assert (await receive(owner))["type"] == "statistics"
        if is_asked:
            assert await crowd[0].closing() == ([], 1013)
            siege.expected.append(("auth.disconnect", "made way for another address"))
            siege.expected += [("auth.disconnect", "left without an auth message")] * 63
        else:
            await crowd[0].ended()
            siege.expected.append(("connection.refused", "made way for another address"))
            siege.expected += [("connection.refused", "no TLS handshake")] * (63 if is_tls else 0)
        for client in crowd:
            await siege.dismiss(client)
