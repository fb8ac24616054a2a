"""Strangers that are gone between their request and its answer: on record, and no place is held for them."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from typing import Final

import pytest
from certificates import TlsByHand
from raw import handshake
from siege import ATTACKER, Record, Siege, besieged
from websockets.http11 import Request, Response

from passivbot_ws_plugin.server.admission import AdmissionControl
from passivbot_ws_plugin.server.connection import Connection

LEFT: Final = ("auth.disconnect", "left without an auth message")
NO_TLS: Final = ("connection.refused", "no TLS handshake")
NO_REQUEST: Final = ("connection.refused", "no request")


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def half_close(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)


ENDINGS: Final[dict[str, Callable[[socket.socket], None]]] = {
    "RST": reset,
    "FIN": half_close,
    "FIN, and reads no more": socket.socket.close,
}


class Asking:
    """A socket that asks, over TLS if the server speaks it, and is gone before it is answered."""

    def __init__(self, end: Callable[[socket.socket], None]) -> None:
        self._end = end
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.bind((ATTACKER, 0))
        self.port = self._socket.getsockname()[1]
        self.is_gone = asyncio.Event()

    def go(self) -> None:
        self._end(self._socket)
        self.is_gone.set()

    async def ask(self, siege: Siege, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        host, _, port = siege.address.rpartition("://")[2].rpartition(":")
        await loop.sock_connect(self._socket, (host, int(port)))
        if siege.trust is not None:
            tls = TlsByHand(siege.trust)
            await loop.sock_sendall(self._socket, tls.hello())
            request = tls.finish(await loop.sock_recv(self._socket, 65_536), request)
        await loop.sock_sendall(self._socket, request)
        async with asyncio.timeout(10):
            await self.is_gone.wait()

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize(
    ("extra", "record"),
    [("", LEFT), ("Origin: https://evil\r\n", ("connection.refused", "origin not allowed"))],
    ids=["let in", "refused"],
)
async def test_gone_before_the_answer(
    extra: str,
    record: Record,
    end: Callable[[socket.socket], None],
    is_tls: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receive_request = AdmissionControl.receive_request
    clients: dict[int, Asking] = {}

    def receive(control: AdmissionControl, connection: Connection, request: Request) -> Response | None:
        """The server has read the request and said nothing yet: now the other end goes."""
        if connection.port in clients:
            clients[connection.port].go()
        return receive_request(control, connection, request)

    monkeypatch.setattr(AdmissionControl, "receive_request", receive)
    limits, origins = {"unauthenticated_per_address": 1}, ["https://my.page"]
    async with besieged(is_tls=is_tls, limits=limits, origins=origins) as siege:
        for _ in range(2):  # the place is free again for the second
            client = Asking(end)
            clients[client.port] = client
            siege.expected.append(record)
            await client.ask(siege, handshake("x", extra=extra))
            await siege.ended()
            client.close()


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
async def test_gone_with_the_very_request(is_tls: bool) -> None:
    """How much of it was heard is the kernel's to say; on record it is in any case, once."""
    async with besieged(is_tls=is_tls) as siege:
        for _ in range(20):
            client = Asking(reset)
            client.is_gone.set()
            await client.ask(siege, handshake("x"))
            client.go()
            await siege.show()  # by now the server has it
            await siege.ended()
        await siege.show()
        siege.audit.close()
        siege.expected += [
            (record["event"], record["reason"])
            for record in map(json.loads, siege.audit_log.lines[1:])
            if (record["event"], record["reason"]) in (LEFT, NO_TLS, NO_REQUEST)
            for _ in range(record.get("count", 1))
        ]
        assert len(siege.expected) == 1 + 20
