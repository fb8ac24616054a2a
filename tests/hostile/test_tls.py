"""Hostile TLS: a connection is counted, bounded and on record from when it is accepted.

Certificates, their renewal and the server's end are in ``tests/ws/server/test_tls_connections.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import ssl
import struct
from typing import Final

import pytest
from certificates import TlsByHand
from raw import RawClient, handshake, text
from scramp import ScramClient
from servers import KEY, PASSWORD, auth_message, logged_in, receive
from siege import ATTACKER, Record, Siege, besieged

from passivbot_ws_plugin.access.scram import MECHANISM

ACCEPTED: Final = ("auth.success", "accepted")
GARBAGE: Final = ("connection.refused", "bad TLS handshake")
NONE: Final = ("connection.refused", "no TLS handshake")
LEFT: Final = ("auth.disconnect", "left without an auth message")


def by_hand(siege: Siege) -> TlsByHand:
    assert siege.trust is not None
    return TlsByHand(siege.trust)


async def begun(siege: Siege) -> tuple[RawClient, TlsByHand, bytes]:
    """A handshake of which only the client's last flight is missing; the server's flight."""
    client, tls = await siege.knock(), by_hand(siege)
    await client.send(tls.hello())
    async with asyncio.timeout(10):
        flight = await client.reader.read(65_536)
    return client, tls, flight


def said_of(siege: Siege, *possible: Record) -> list[Record]:
    """What is on record of the attackers, of what may be."""
    records = [(line["event"], line["reason"]) for line in map(json.loads, siege.audit_log.lines[1:])]
    return [record for record in records if record in possible]


# --- before there is TLS ------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 100])
async def test_half_a_hello_or_none_is_cut_off_at_the_deadline(size: int) -> None:
    async with besieged(NONE, is_tls=True) as siege:
        client = await siege.knock()
        await client.send(by_hand(siege).hello()[:size])
        assert len(siege.hostile) == 1
        assert await client.rest() == b""


async def test_a_hello_byte_by_byte_is_cut_off_at_the_deadline() -> None:
    async with besieged(NONE, is_tls=True) as siege:
        client = await siege.knock()
        hello = by_hand(siege).hello()
        assert 1 < await client.trickle(hello, pause_s=0.05) < len(hello)


async def test_a_handshake_that_is_never_finished_is_cut_off_at_the_deadline() -> None:
    async with besieged(NONE, is_tls=True) as siege:
        client, _, flight = await begun(siege)
        assert flight
        await client.ended()


async def test_tls_and_the_request_have_one_deadline() -> None:
    async with besieged(("connection.refused", "no request"), is_tls=True) as siege:
        loop = asyncio.get_running_loop()
        started = loop.time()
        client, tls, flight = await begun(siege)
        await asyncio.sleep(0.3)
        await client.send(tls.finish(flight))
        await client.ended()
        assert loop.time() - started < 0.6  # handshake_s is 0.4


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(range(1, 256)) * 8,
        b"\0" * 4096,
        b"\x16\x03\x01\xff\xff" + os.urandom(65_535),
        b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x17\x03\x03\x00\x05hello",
    ],
    ids=["HTTP", "bytes", "zeros", "a record too long", "a server's hello", "an alert", "data first"],
)
async def test_what_is_no_tls_is_cut_off_at_once(sent: bytes) -> None:
    async with besieged(GARBAGE, is_tls=True, limits={"handshake_s": 10.0}) as siege:
        client = await siege.knock()
        with contextlib.suppress(ConnectionError):
            await client.send(sent)
        said = await client.rest()
        assert not said or said[0] == 0x15  # nothing but an alert


async def test_an_old_tls_is_refused() -> None:
    async with besieged(GARBAGE, is_tls=True) as siege:
        assert siege.trust is not None
        siege.trust.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        siege.trust.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            siege.trust.maximum_version = ssl.TLSVersion.TLSv1_1
        client = await siege.knock()
        await client.send(by_hand(siege).hello())
        await client.ended()


@pytest.mark.parametrize("flights", [0, 1, 2])
async def test_a_reset_in_the_handshake(flights: int) -> None:
    async with besieged(NONE, is_tls=True) as siege:
        client = await siege.knock()
        if flights == 1:
            await client.send(by_hand(siege).hello()[:100])
        elif flights == 2:
            await siege.dismiss(client)
            siege.expected.append(NONE)
            client, _, _ = await begun(siege)
        client.reset()
        await siege.ended()


@pytest.mark.parametrize("size", [0, 100, None])
async def test_an_end_in_the_handshake(size: int | None) -> None:
    async with besieged(NONE, is_tls=True, limits={"handshake_s": 10.0}) as siege:
        client = await siege.knock()
        if size != 0:
            await client.send(by_hand(siege).hello()[:size])
        client.writer.write_eof()
        await client.ended()


async def test_a_flood_of_half_open_handshakes_while_the_owner_logs_in() -> None:
    limits = {"unauthenticated_per_address": 3, "handshake_s": 5.0, "auth_s": 5.0}
    refused = ("connection.refused", "unauthenticated_per_address")
    async with besieged(*[refused] * 97, *[NONE] * 3, is_tls=True, limits=limits) as siege:
        hello = by_hand(siege).hello()
        for _ in range(100):
            client = await siege.knock()
            with contextlib.suppress(ConnectionError):
                await client.send(hello[:100])
        siege.expected.append(ACCEPTED)
        async with logged_in(siege.address, ssl=siege.trust) as owner:
            assert (await receive(owner))["type"] == "statistics"
            assert len(siege.hostile) == 3 + 1
        await siege.gone()


# --- at its seam ---------------------------------------------------------------------------


@pytest.mark.parametrize("is_login", [False, True])
async def test_what_comes_in_the_last_flights_segment_is_heard(is_login: bool) -> None:
    record: Record = ACCEPTED if is_login else ("auth.timeout", "no auth message in time")
    async with besieged(record, is_tls=True, stays=is_login) as siege:
        client, tls, flight = await begun(siege)
        said = [handshake("x"), text(auth_message())] if is_login else [handshake("x")]
        await client.send(tls.finish(flight, *said))
        answer, wanted = b"", b'"statistics"' if is_login else b"\r\n\r\n"
        async with asyncio.timeout(10):
            while wanted not in answer:
                answer += tls.read(await client.reader.read(65_536))
        assert answer.startswith(b"HTTP/1.1 101")


async def test_the_end_of_tls_in_its_first_segment() -> None:
    async with besieged(is_tls=True) as siege:
        client, tls, flight = await begun(siege)
        await client.send(tls.finish(flight, handshake("x")) + tls.close_notify())
        await client.ended()
        await siege.ended()
        # Whether that was TLS, or a request and the end, is the loop's to say: asyncio's has the end
        # before anybody knows of the handshake's.
        siege.expected += said_of(siege, NONE, LEFT)


async def test_a_reset_with_the_last_flight() -> None:
    async with besieged(is_tls=True) as siege:
        client, tls, flight = await begun(siege)
        await client.send(tls.finish(flight, handshake("x")))
        client.reset()
        await siege.ended()
        # Whether it was heard before it was gone is the kernel's to say.
        siege.expected += said_of(siege, NONE, LEFT, ("connection.refused", "no request"))


# --- over TLS ------------------------------------------------------------------------------


@pytest.mark.parametrize("is_client", [False, True])
async def test_who_leaves_without_a_close_notify(is_client: bool) -> None:
    async with besieged(ACCEPTED if is_client else LEFT, is_tls=True) as siege:
        client = await (siege.client() if is_client else siege.stranger())
        client.shut_down_sending()
        await client.ended()


async def test_garbage_in_place_of_a_tls_record() -> None:
    async with besieged(LEFT, is_tls=True) as siege:
        client, tls, flight = await begun(siege)
        await client.send(tls.finish(flight, handshake("x")))
        async with asyncio.timeout(10):
            await client.reader.read(65_536)
        await client.send(struct.pack("!BHH", 0x17, 0x0303, 100) + os.urandom(100))
        await client.ended()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, the command")
@pytest.mark.parametrize("is_client", [False, True], ids=["stranger", "client"])
async def test_a_renegotiation_is_refused(is_client: bool) -> None:
    """TLS 1.2's: another handshake in the connection, as often as the client likes. `ssl` asks for none."""
    record = ACCEPTED if is_client else ("connection.refused", "no request")
    async with besieged(record, is_tls=True, limits={"handshake_s": 10.0, "auth_s": 10.0}) as siege:
        command = ("openssl", "s_client", "-tls1_2", "-connect", siege.address.rpartition("/")[2])
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(10):
                await process.stdout.readuntil(b"Verify return code: ")
                if is_client:
                    process.stdin.write(handshake("x") + text(auth_message()))
                    await process.stdout.readuntil(b'"statistics"')
                process.stdin.write(b"R\n")
                said = await process.stdout.read()
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
        assert b"no renegotiation" in said
        await siege.ended()


async def test_a_client_that_never_reads_is_cut_off() -> None:
    limits = {"buffer_soft_bytes": 65_536, "buffer_hard_bytes": 524_288, "buffer_soft_s": 0.3}
    async with besieged(ACCEPTED, is_tls=True, limits=limits, stays=True) as siege:
        await siege.client(receive_buffer=4_096)
        while len(siege.server._hub) == 2:
            await siege.show(exchange="x" * 50_000)
        await siege.ended()


async def test_a_wrong_password() -> None:
    async with besieged(("auth.failure", "wrong token"), is_tls=True) as siege:
        client = await siege.stranger()
        await client.send(text(auth_message("wrong")))
        [answer], code = await client.closing()
        assert (answer.json()["success"], code) == (False, 4401)
        assert json.loads(siege.audit_log.lines[-1])["tls"] is True


@pytest.mark.parametrize("password", [PASSWORD, "wrong"], ids=["right", "wrong"])
async def test_scram(password: str) -> None:
    is_right = password == PASSWORD
    record = ACCEPTED if is_right else ("auth.failure", "wrong proof")
    async with besieged(record, is_tls=True, stays=is_right) as siege:
        client, exchange = await siege.stranger(), ScramClient([MECHANISM], KEY, password)
        hello = {"type": "hello", "mechanism": MECHANISM, "data": exchange.get_client_first()}
        await client.send(text(hello))
        exchange.set_server_first((await client.message())["data"])
        await client.send(text({"type": "auth", "data": exchange.get_client_final()}))
        answer = await client.message()
        assert answer["success"] is is_right
        if is_right:
            exchange.set_server_final(answer["data"])
            assert (await client.message())["type"] == "statistics"
        else:
            assert (await client.closing())[1] == 4401


async def test_the_record_names_who_was_refused_before_tls() -> None:
    async with besieged(GARBAGE, is_tls=True) as siege:
        client = await siege.knock()
        await client.send(b"x" * 100)
        await client.ended()
        record = json.loads(siege.audit_log.lines[-1])
        assert (record["peer"], record["port"], record["tls"]) == (ATTACKER, client.port, True)
