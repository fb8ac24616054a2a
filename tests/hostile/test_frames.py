"""Hostile frames, from strangers and from clients that logged in.

Elsewhere: floods of pongs and the end of who never closes in ``tests/ws/server/test_defences.py``; frames
that come with the handshake in ``test_handshake.py``; a reset before it is answered in ``test_cut_off.py``.
"""

from __future__ import annotations

import resource
import zlib
from typing import Final

import pytest
from raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawFrame, frame, text
from servers import auth_message
from siege import Record, besieged

MEBIBYTE: Final = 2**20

BROKEN: Final = ("auth.failure", "broke the WebSocket protocol")
LARGE: Final = ("auth.failure", "message too large")
FLOOD: Final = ("auth.failure", "too many frames")
LEFT: Final = ("auth.disconnect", "left without an auth message")
SILENT: Final = ("auth.timeout", "no auth message in time")
ACCEPTED: Final = ("auth.success", "accepted")

OVER_BOTH: Final = pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])

BEGUN: Final = frame(TEXT, b'{"type":', fin=False)


def bomb(size_mib: int) -> bytes:
    """So many MiB of zeros, deflated: a block that stands for itself, again and again."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (deflate.compress(bytes(MEBIBYTE)) + deflate.flush(zlib.Z_FULL_FLUSH)) * size_mib


#: What is sent, the code that closes, and what is on record if a stranger sent it.
FATAL: dict[str, tuple[bytes, int, Record]] = {
    "unmasked": (frame(TEXT, b"{}", masked=False), 1002, BROKEN),
    "RSV1 without the extension": (frame(TEXT, b"{}", rsv=4), 1002, BROKEN),
    "RSV2": (frame(TEXT, b"{}", rsv=2), 1002, BROKEN),
    "RSV3": (frame(TEXT, b"{}", rsv=1), 1002, BROKEN),
    "a data opcode that is none": (frame(0x3, b"{}"), 1002, BROKEN),
    "a control opcode that is none": (frame(0xB), 1002, BROKEN),
    "invalid UTF-8": (frame(TEXT, b'{"type":"\xff"}'), 1007, BROKEN),
    "UTF-16": (frame(TEXT, '{"type":"ping"}'.encode("utf-16")), 1007, BROKEN),
    "a surrogate in UTF-8": (frame(TEXT, b'"\xed\xa0\x80"'), 1007, BROKEN),
    "an overlong NUL in UTF-8": (frame(TEXT, b'"\xc0\x80"'), 1007, BROKEN),
    "invalid UTF-8 over fragments": (
        frame(TEXT, b'"\xe2\x82', fin=False) + frame(CONTINUATION, b'"'),
        1007,
        BROKEN,
    ),
    "length 2^63-1": (frame(TEXT, length=2**63 - 1), 1009, LARGE),
    "length 2^64-1": (frame(TEXT, length=2**64 - 1), 1009, LARGE),
    "a long length of little": (frame(BINARY, b"x", length=MEBIBYTE), 1009, LARGE),
    "fragments that add up": (
        frame(TEXT, bytes(8_000), fin=False) + frame(CONTINUATION, bytes(60_000), fin=False),
        1009,
        LARGE,
    ),
    "a 126-byte ping": (frame(PING, bytes(126)), 1002, BROKEN),
    "a ping of 2^63-1": (frame(PING, length=2**63 - 1), 1009, LARGE),
    "a ping in fragments": (frame(PING, fin=False), 1002, BROKEN),
    "close code 1005": (frame(CLOSE, b"\x03\xed"), 1002, BROKEN),
    "close code 1006": (frame(CLOSE, b"\x03\xee"), 1002, BROKEN),
    "close code 0": (frame(CLOSE, b"\x00\x00"), 1002, BROKEN),
    "close code 65535": (frame(CLOSE, b"\xff\xff"), 1002, BROKEN),
    "a 1-byte close": (frame(CLOSE, b"\x03"), 1002, BROKEN),
    "a 126-byte close": (frame(CLOSE, b"\x03\xe8" + bytes(124)), 1002, BROKEN),
    "a close reason of invalid UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007, BROKEN),
    "a close within a message": (BEGUN + frame(CLOSE, b"\x03\xe8"), 1002, LEFT),
    "continuation first": (frame(CONTINUATION, b"{}"), 1002, BROKEN),
    "a message within a message": (BEGUN + frame(TEXT, b"{}"), 1002, BROKEN),
    "a 200 MB zip bomb": (frame(TEXT, bomb(200), rsv=4), 1009, LARGE),
    "a zip bomb within the limit": (frame(TEXT, bomb(7), rsv=4), 1002, BROKEN),
    "5,000 empty fragments": (
        frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 5_000,
        4429,
        FLOOD,
    ),
    "a flood of binary frames": (frame(PONG) * 100 + frame(BINARY), 4429, FLOOD),
}


@pytest.mark.parametrize("is_client", [False, True], ids=["stranger", "client"])
@pytest.mark.parametrize(("sent", "code", "record"), FATAL.values(), ids=FATAL)
async def test_what_breaks_the_protocol_ends_the_connection(
    sent: bytes, code: int, record: Record, is_client: bool
) -> None:
    async with besieged(ACCEPTED if is_client else record) as siege:
        client = await (siege.client() if is_client else siege.stranger())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await client.send(sent)
        assert await client.closing() == ([], code)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


@pytest.mark.parametrize("is_client", [False, True], ids=["stranger", "client"])
@pytest.mark.parametrize(
    ("sent", "code", "record"),
    [
        (frame(TEXT, bomb(200), rsv=4), 1009, LARGE),  # by what came, before it is inflated
        (frame(TEXT, bomb(7), rsv=4), 1009, LARGE),  # by what it would become
        (frame(TEXT, b"no deflate", rsv=4), 1002, BROKEN),
        (frame(TEXT, fin=False, rsv=4) + frame(CONTINUATION, rsv=4), 1002, BROKEN),
    ],
    ids=["200 MB", "within the limit", "no deflate", "compressed twice"],
)
async def test_a_bomb_of_who_agreed_on_compression(
    sent: bytes, code: int, record: Record, is_client: bool
) -> None:
    async with besieged(ACCEPTED if is_client else record) as siege:
        client = await siege.attacker()
        assert await client.upgrade(extra="Sec-WebSocket-Extensions: permessage-deflate\r\n") == 101
        if is_client:
            await client.send(text(auth_message()))
            assert (await client.message())["success"]
            assert (await client.message())["type"] == "statistics"
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await client.send(sent)
        assert await client.closing() == ([], code)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


@pytest.mark.parametrize("is_client", [False, True], ids=["stranger", "client"])
async def test_a_ping_flood_is_answered_for_a_while_and_cut_off(is_client: bool) -> None:
    async with besieged(ACCEPTED if is_client else FLOOD) as siege:
        client = await (siege.client() if is_client else siege.stranger())
        await client.send(frame(PING, b"x") * 5_000)
        frames, code = await client.closing()
        assert code == 4429
        assert set(frames) == {RawFrame(PONG, b"x")}
        assert len(frames) < 1_500, "the limit was looked at only after a whole read"


async def test_breaking_the_protocol_counts_as_a_failed_login() -> None:
    async with besieged(
        *[BROKEN] * 2, ("auth.throttled", "address is locked"), limits={"auth_failures": 2}
    ) as siege:
        for _ in range(2):
            client = await siege.stranger()
            await client.send(frame(TEXT, b"{}", rsv=4))
            assert await client.closing() == ([], 1002)
            await siege.gone()
        assert await (await siege.attacker()).upgrade() == 429


async def test_a_strangers_fragment_that_is_never_finished_ends_at_the_deadline() -> None:
    async with besieged(SILENT) as siege:
        client = await siege.stranger()
        await client.send(BEGUN)
        assert await client.closing() == ([], 4408)


async def test_a_clients_fragment_that_is_never_finished_holds_nothing_up() -> None:
    async with besieged(ACCEPTED, stays=True) as siege:
        client = await siege.client()
        await client.send(BEGUN + frame(PING, b"x"))
        assert await client.frame() == RawFrame(PONG, b"x")
        await siege.show()
        assert (await client.message())["seq"] == 2
        await client.send(frame(CONTINUATION, b'"ping"}'))
        assert await client.message() == {"type": "pong"}


@pytest.mark.bad_requests
async def test_binary_frames_are_no_messages_even_with_valid_json() -> None:
    async with besieged(ACCEPTED, stays=True) as siege:
        client = await siege.client()
        await client.send(frame(BINARY, b'{"type":"ping"}'))
        assert (await client.message())["code"] == "invalid_message"
        await client.send(text({"type": "ping"}))
        assert await client.message() == {"type": "pong"}


@pytest.mark.bad_requests
async def test_a_binary_login_is_none() -> None:
    async with besieged(("auth.failure", "send JSON in text frames, not binary ones")) as siege:
        client = await siege.stranger()
        await client.send(frame(BINARY, auth_message().encode()))
        [answer], code = await client.closing()
        assert (answer.json()["success"], code) == (False, 4401)


# --- the end ----------------------------------------------------------------------------


@pytest.mark.parametrize("is_client", [False, True], ids=["stranger", "client"])
@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x0f\xa0bye"])
async def test_data_after_a_close_is_not_looked_at(payload: bytes, is_client: bool) -> None:
    async with besieged(ACCEPTED if is_client else LEFT) as siege:
        client = await (siege.client() if is_client else siege.stranger())
        await client.send(frame(CLOSE, payload) + text(auth_message()) + b"\xff" * 100_000)
        assert await client.closing() == ([], 1000 if payload == b"\x03\xe8" else 4000 if payload else None)


@pytest.mark.parametrize("is_client", [False, True], ids=["stranger", "client"])
async def test_a_half_closed_connection_is_closed(is_client: bool) -> None:
    async with besieged(ACCEPTED if is_client else LEFT) as siege:
        client = await (siege.client() if is_client else siege.stranger())
        client.writer.write_eof()
        assert await client.closing() == ([], None)


async def test_half_a_login_half_closed_is_none() -> None:
    async with besieged(LEFT) as siege:
        client = await siege.stranger()
        await client.send(text(auth_message())[:-1])
        client.writer.write_eof()
        assert await client.closing() == ([], None)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost:"], ids=["nothing", "half a request"])
async def test_a_reset_during_the_handshake(sent: bytes) -> None:
    records = [("connection.refused", "bad handshake")] if sent else []
    async with besieged(*records) as siege:
        client = await siege.attacker()
        await client.send(sent)
        await siege.show()  # by now the server has it
        client.reset()


@OVER_BOTH
async def test_a_reset_during_the_login(is_tls: bool) -> None:
    async with besieged(LEFT, is_tls=is_tls) as siege:
        client = await siege.stranger()
        await client.send(text(auth_message())[:20])
        await siege.show()
        client.reset()


@OVER_BOTH
async def test_a_reset_right_after_the_login(is_tls: bool) -> None:
    async with besieged(ACCEPTED, is_tls=is_tls) as siege:
        client = await siege.client()
        await client.send(text(auth_message()))
        client.reset()


@OVER_BOTH
async def test_a_reset_during_the_broadcast(is_tls: bool) -> None:
    async with besieged(ACCEPTED, is_tls=is_tls) as siege:
        client = await siege.client()
        for number in range(30):
            if number == 10:
                client.reset()
            await siege.show(exchange="x" * 10_000 + str(number))
