"""A true byte a second, against deadlines as they are by default, all at once.

Quick variants, fifty milliseconds a byte against short deadlines, are with the other cases of each kind.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from certificates import TlsByHand
from raw import CONTINUATION, TEXT, RawClient, frame, handshake, text
from servers import KEY, auth_message
from siege import Record, Siege, besieged

from passivbot_ws_plugin.server.connection import Connection
from passivbot_ws_plugin.settings.options import Limits

DEFAULTS: Final = Limits()

PAUSE_S: Final = 1.0

#: What a busy machine may take to notice a deadline.
SLACK_S: Final = 2.0

LARGE: Final = "x" * 50_000

ACCEPTED: Final = ("auth.success", "accepted")
SILENT: Final = ("auth.timeout", "no auth message in time")
BAD: Final = ("connection.refused", "bad handshake")
NO_TLS: Final = ("connection.refused", "no TLS handshake")

LOGIN: Final = text(auth_message())
HELLO: Final = {"type": "hello", "mechanism": "SCRAM-SHA-256", "data": f"n,,n={KEY},r=abcdefghijklmnop"}
PROOF: Final = text({"type": "auth", "data": f"c=biws,r=abcdefghijklmnop,p={'A' * 43}="})


async def unheard(client: RawClient, data: bytes, deadline_s: float) -> None:
    """What is no request yet, or no TLS, is cut off without a word."""
    assert deadline_s - 1 <= await client.trickle(data, PAUSE_S) <= deadline_s + SLACK_S


async def too_late(client: RawClient, data: bytes, deadline_s: float) -> None:
    """What is no login yet is closed."""
    taken = await client.trickle(data, PAUSE_S, is_answered=True)
    assert deadline_s - 1 <= taken <= deadline_s + SLACK_S
    close = await client.rest()  # but for its first byte, by which its coming was noticed
    assert int.from_bytes(close[1:3], "big") == 4408


async def too_late_in_fragments(client: RawClient, deadline_s: float) -> None:
    """So is one of which each byte comes as a whole frame."""
    for count, byte in enumerate(auth_message().encode()):
        try:
            async with asyncio.timeout(PAUSE_S):
                code = (await client.frame()).close_code
        except TimeoutError:
            await client.send(frame(CONTINUATION if count else TEXT, bytes([byte]), fin=False))
            continue
        assert code == 4408
        assert deadline_s - 1 <= count <= deadline_s + SLACK_S
        return


async def too_slow(client: RawClient, connection: Connection, deadline_s: float) -> None:
    """Who logged in and reads a byte a second is cut off when it was behind for too long."""
    lost = asyncio.create_task(connection.wait_closed())
    taken = 0
    while not (await asyncio.wait([lost], timeout=PAUSE_S))[0]:
        taken += len(await client.reader.read(1))
    assert deadline_s - 1 <= taken <= deadline_s + SLACK_S


async def publish_until(siege: Siege, trickles: asyncio.Future[Any]) -> None:
    """All the while the good client gets every change."""
    while not (await asyncio.wait([trickles], timeout=0.05))[0]:
        await siege.show(exchange=LARGE)
    await trickles


async def test_a_byte_a_second() -> None:
    handshake_s, auth_s = DEFAULTS.handshake_s, DEFAULTS.auth_s
    limits = {"handshake_s": handshake_s, "auth_s": auth_s}
    async with besieged(BAD, *[SILENT] * 3, ACCEPTED, limits=limits) as siege:
        reader = await siege.client(receive_buffer=4_096)
        [connection] = siege.hostile
        assert isinstance(connection, Connection)
        while connection.unsent_bytes() <= DEFAULTS.buffer_soft_bytes:
            await siege.show(exchange=LARGE)
        proving = await siege.stranger()
        await proving.send(text(HELLO))
        assert (await proving.message())["type"] == "challenge"
        trickles = asyncio.gather(
            unheard(await siege.attacker(), handshake("x"), handshake_s),
            too_late(await siege.stranger(), LOGIN, auth_s),
            too_late(proving, PROOF, auth_s),
            too_late_in_fragments(await siege.stranger(), auth_s),
            too_slow(reader, connection, DEFAULTS.buffer_soft_s),
        )
        await publish_until(siege, trickles)
        del connection  # what is left of it is counted


async def test_a_byte_a_second_over_tls() -> None:
    handshake_s, auth_s = DEFAULTS.handshake_s, DEFAULTS.handshake_s + 1
    records: list[Record] = [NO_TLS, BAD, SILENT]
    async with besieged(
        *records, is_tls=True, limits={"handshake_s": handshake_s, "auth_s": auth_s}
    ) as siege:
        assert siege.trust is not None
        trickles = asyncio.gather(
            unheard(await siege.knock(), TlsByHand(siege.trust).hello(), handshake_s),
            unheard(await siege.attacker(), handshake("x"), handshake_s),
            too_late(await siege.stranger(), LOGIN, auth_s),
        )
        await publish_until(siege, trickles)
