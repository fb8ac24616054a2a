"""Hostile readers: who does not read, reads too slowly, or never answers a ping.

One that never reads, beside the others, is in ``tests/ws/server/test_server.py`` too.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Final

import pytest
from raw import PING, frame, text
from servers import auth_message
from siege import Record, besieged

from passivbot_ws_plugin.server import connection as connection_module
from passivbot_ws_plugin.server import server as server_module
from passivbot_ws_plugin.server.connection import Connection

ACCEPTED: Final = ("auth.success", "accepted")

#: A client's buffer in the kernel, and what is published to fill it.
SMALL: Final = 4_096
LARGE: Final = "x" * 50_000

SLOW: Final = {"buffer_soft_bytes": 65_536, "buffer_hard_bytes": 524_288, "buffer_soft_s": 0.3}


async def test_a_client_that_never_reads_is_cut_off() -> None:
    async with besieged(ACCEPTED, limits=SLOW, stays=True) as siege:
        await siege.client(receive_buffer=SMALL)
        while len(siege.server._hub) == 2:
            await siege.show(exchange=LARGE)
        await siege.ended()


async def test_who_reads_again_in_time_is_told_that_it_was_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The close frame comes behind all that was unsent."""
    async with besieged(ACCEPTED, limits=SLOW) as siege:
        monkeypatch.setattr(connection_module, "CLOSE_TIMEOUT_S", 10.0)  # to read it all in
        client = await siege.client(receive_buffer=SMALL)
        [connection] = siege.hostile
        assert isinstance(connection, Connection)
        while connection.protocol.close_sent is None:
            await siege.show(exchange=LARGE)
        del connection
        frames, code = await client.closing()
        numbers = [received.json()["seq"] for received in frames]
        assert numbers == sorted(set(numbers))
        assert code == 4410
        await siege.dismiss(client)


async def test_a_client_that_reads_a_byte_at_a_time_is_cut_off() -> None:
    async with besieged(ACCEPTED, limits=SLOW, stays=True) as siege:
        client = await siege.client(receive_buffer=SMALL)
        while siege.hostile:
            await siege.show(exchange=LARGE)
            await client.reader.read(1)
        await siege.ended()


async def test_a_client_that_half_closes_with_much_unread_is_ended() -> None:
    async with besieged(ACCEPTED, limits={"buffer_soft_bytes": 2**26, "buffer_hard_bytes": 2**26}) as siege:
        client = await siege.client(receive_buffer=SMALL)
        [connection] = siege.hostile
        assert isinstance(connection, Connection)
        while not connection.unsent_bytes():
            await siege.show(exchange=LARGE)
        del connection
        client.writer.write_eof()
        await siege.gone()


async def test_a_client_that_asks_and_never_reads_is_cut_off() -> None:
    limits = {**SLOW, "messages_per_s": 10_000.0, "messages_burst": 10_000}
    async with besieged(ACCEPTED, limits=limits, stays=True) as siege:
        siege.cache.put_config("main", {"live": {"user": LARGE}})
        client = await siege.client(receive_buffer=SMALL)
        for _ in range(200):
            client.writer.write(text({"type": "get_config"}))
        await siege.ended()


@pytest.mark.parametrize("subscriptions", [None, []], ids=["published", "none"])
@pytest.mark.parametrize("limit", ["buffer_hard_bytes", "buffer_soft_bytes"])
async def test_a_client_that_pings_and_never_reads_the_pongs_is_cut_off(
    subscriptions: list[object] | None, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No bot says anything meanwhile. More than is to be unsent, or less and for too long."""
    limits = {**SLOW, "messages_per_s": 10_000.0, "messages_burst": 100_000}
    too_much = 2 * SLOW["buffer_hard_bytes"]
    enough = SLOW["buffer_soft_bytes"]
    if limit == "buffer_hard_bytes":  # is looked at with each ping, not by the second
        monkeypatch.setattr(server_module, "HOUSEKEEPING_S", 3600.0)
        enough = too_much
    async with besieged(ACCEPTED, limits=limits, stays=True) as siege:
        client = await siege.attacker(receive_buffer=SMALL)
        login = json.loads(auth_message()) | ({} if subscriptions is None else {"subscribe": subscriptions})
        assert (await client.log_in(json.dumps(login)))["success"]
        [connection] = siege.hostile
        assert isinstance(connection, Connection)
        pings = frame(PING, b"x" * 125) * 100
        while connection.unsent_bytes() <= enough and connection.protocol.close_sent is None:
            client.writer.write(pings)
            await asyncio.sleep(0)
        assert connection.unsent_bytes() < too_much
        del connection  # nothing is to be left of it
        await siege.ended()


@pytest.mark.parametrize("is_client", [False, True], ids=["stranger", "client"])
async def test_who_reads_but_never_pongs_is_closed(is_client: bool) -> None:
    record: Record = ACCEPTED if is_client else ("auth.disconnect", "stopped answering pings")
    limits = {"ping_interval_s": 0.1, "ping_timeout_s": 0.1, "auth_s": 10.0}
    async with besieged(record, limits=limits) as siege:
        client = await (siege.client() if is_client else siege.stranger())
        frames, code = await client.closing()
        assert {received.opcode for received in frames} == {PING}
        assert code == 1011


async def test_who_has_something_unread_and_never_pongs_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than any limit of ours, on a system whose kernel does not see to it either."""
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT", raising=False)
    limits = {
        "buffer_soft_bytes": 2**26,
        "buffer_hard_bytes": 2**26,
        "ping_interval_s": 1.5,
        "ping_timeout_s": 0.2,
    }
    async with besieged(ACCEPTED, limits=limits, stays=True) as siege:
        await siege.client(receive_buffer=SMALL)
        [connection] = siege.hostile
        assert isinstance(connection, Connection)
        while not connection.unsent_bytes():
            await siege.show(exchange=LARGE * 10)
            assert connection.protocol.close_sent is None, "pinged before it had much to read"
        del connection
        await siege.ended()
