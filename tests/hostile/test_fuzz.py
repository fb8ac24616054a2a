"""Arbitrary bytes, and right ones that were damaged, at each phase of a real connection."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from raw import CLOSE, CONTINUATION, PING, PONG, TEXT, RawClient, RawFrame, frame, handshake, text
from servers import auth_message
from siege import Siege, besieged

from passivbot_ws_plugin.server.event_loop import new_event_loop

#: A phase has so many.
EXAMPLES: Final = 50

#: Right after the handshake or the login, none of them a login that succeeds.
FRAMES: Final = [
    text(auth_message("wrong")),
    text({"type": "hello", "mechanism": "SCRAM-SHA-256", "data": "n,,n=client_A_key,r=abcdefghijklmnop"}),
    text({"type": "auth", "data": "c=biws,r=abcdefghijklmnop,p=AAAA"}),
    text({"type": "ping", "id": 1}),
    text({"type": "get_config", "bot": "main"}),
    text(
        {
            "type": "subscribe",
            "channel": "statistics",
            "mode": "delta",
            "since": {"main": {"epoch": "e", "seq": 1}},
        }
    ),
    text({"type": "subscribe", "channel": "events", "bots": ["main"], "kinds": ["fill"], "id": "a"}),
    text({"type": "subscribe", "channel": "config"}),
    text({"type": "unsubscribe", "channel": "statistics"}),
    text({"type": "list_bots"}),
    frame(TEXT, b'{"type":', fin=False) + frame(PING, b"x") + frame(CONTINUATION, b'"ping"}'),
    frame(PONG),
    frame(CLOSE, b"\x03\xe8"),
]

REQUESTS: Final = [
    handshake("x"),
    handshake("x") + frame(PING, b"x"),
    handshake("x", path="/a?b", extra="Origin: null\r\nUser-Agent: fuzz\r\n"),
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
]

#: What a stranger can leave on record without the password.
REFUSALS: Final = {"connection.refused", "auth.failure", "auth.disconnect"}

#: Close codes that a server may send to who does not speak the protocol.
CODES: Final = {None, 1000, 1002, 1007, 1009, 4400, 4401, 4429}

#: What a client may be told.
ANSWERS: Final = {
    "statistics", "config", "pong", "error", "subscribed", "unsubscribed", "bots", "gap", "config_changed",
}  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, right: list[bytes]) -> bytes:
    """Some right ones, one after the other, with bytes changed, put in and left out."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(right), min_size=1, max_size=4))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["change", "insert", "delete", "cut"])):
            case "change":
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "insert":
                data[at:at] = draw(st.binary(max_size=8))
            case "delete":
                del data[at : at + draw(st.integers(1, 8))]
            case _:
                del data[at:]
    return bytes(data)


def hostile(right: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.one_of(st.binary(max_size=200), damaged(right))


def own_codes(sent: bytes) -> set[int]:
    """The codes in all that may be read as a close frame: a peer's own is what it is answered.

    RFC 6455 section 5.5.1.
    """
    found = re.finditer(rb"(?=\x88[\x82-\xfd](..)..(..))", sent, re.DOTALL)
    return {int.from_bytes(match[1]) ^ int.from_bytes(match[2]) for match in found}


async def end(client: RawClient, sent: bytes) -> tuple[list[RawFrame], int | None]:
    """Send it, say that this is all, and read to the end."""
    await client.send(sent)
    if client.writer.can_write_eof() and not client.writer.is_closing():
        client.writer.write_eof()
    return await client.closing()


async def begin(siege: Siege, sent: bytes) -> None:
    """As the request: an HTTP answer or none; after a handshake, no message."""
    client = await siege.attacker()
    await client.send(sent)
    client.writer.write_eof()
    status, headers = await client.response()
    assert status in {0, 101, 200, 400, 404, 405, 414, 426, 431, 503, 505}, status
    if status == 101:
        frames, code = await client.closing()
        assert not any(received.opcode == TEXT and _type(received) == "statistics" for received in frames)
        assert code in CODES | own_codes(sent)
    else:
        assert len(await client.rest()) == int(headers.get("content-length", 0))
    await siege.dismiss(client)


async def before(siege: Siege, sent: bytes) -> None:
    """Before the login: a challenge, one refusal, and what the WebSocket protocol itself says."""
    client = await siege.stranger()
    frames, code = await end(client, sent)
    said = [_type(received) for received in frames if received.opcode == TEXT]
    assert {received.opcode for received in frames} <= {TEXT, PONG}
    assert said in ([], ["challenge"], ["auth_result"], ["challenge", "auth_result"])
    assert all(not received.json().get("success") for received in frames if received.opcode == TEXT)
    assert code in CODES | own_codes(sent)
    await siege.dismiss(client)


async def after(siege: Siege, sent: bytes) -> None:
    """After the login: answers, each of them JSON with a known type."""
    client = await siege.client()
    siege.expected.append(("auth.success", "accepted"))
    frames, code = await end(client, sent)
    assert {_type(received) for received in frames if received.opcode == TEXT} <= ANSWERS
    assert {received.opcode for received in frames} <= {TEXT, PONG}
    assert code in CODES | own_codes(sent)
    await siege.dismiss(client)


def _type(received: RawFrame) -> str:
    name = received.json()["type"]
    assert isinstance(name, str)
    return name


@pytest.mark.bad_requests
@pytest.mark.parametrize(
    ("phase", "right"),
    [(begin, REQUESTS), (before, FRAMES), (after, FRAMES)],
    ids=["as the request", "before the login", "after it"],
)
def test_whatever_is_sent(
    phase: Callable[[Siege, bytes], Coroutine[Any, Any, None]], right: list[bytes]
) -> None:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        exits = AsyncExitStack()
        limits = {"auth_failures": 100_000, "auth_s": 10.0, "handshake_s": 10.0}
        siege = runner.run(exits.enter_async_context(besieged(limits=limits)))

        @settings(max_examples=EXAMPLES)
        @given(hostile(right))
        @example(frame(CLOSE, b"\x0b\xb8"))
        def feed(sent: bytes) -> None:
            runner.run(phase(siege, sent))

        feed()
        runner.run(siege.gone())
        runner.run(siege.show())
        # What they leave is as various as they are: refusals, but for the logins of `after`.
        siege.audit.close()
        siege.expected += [
            (record["event"], record["reason"])
            for record in map(json.loads, siege.audit_log.lines)
            if record["event"] in REFUSALS
            for _ in range(record.get("count", 1))
        ]
        runner.run(exits.aclose())
