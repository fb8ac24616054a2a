"""A connection from when it is accepted: counted, secured, turned away, and on record.

It is one from its first moment, and not from the end of its TLS handshake: who opens connections and
says nothing, or half of a handshake, holds a place as everybody else does.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, cast

from websockets.asyncio.server import Server as WebSocketListener
from websockets.asyncio.server import ServerConnection
from websockets.protocol import State
from websockets.server import ServerProtocol

from passivbot_ws_plugin.access.gate import Gate, Turned
from passivbot_ws_plugin.audit import Visitor
from passivbot_ws_plugin.errors import TlsHandshakeError
from passivbot_ws_plugin.settings.options import Limits

from .tls import Threshold

#: How long the other end may take to let itself be closed before it is cut off, seconds.
CLOSE_TIMEOUT_S: Final = 2.0


def bound_unacknowledged(sock: socket.socket, seconds: float) -> None:
    """Have the kernel give up what the other end does not take in that time, after the end too.

    It would keep a closed connection's last megabytes for many minutes, for somebody who never reads them.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


@dataclass(frozen=True)
class Door:
    """What the connections of one listening socket share.

    Attributes:
        limits: What clients may take.
        gate: Counts them.
        on_refused: Told of those that end without a request, with the reason for the record. Who says
            nothing at all to a plain port is not told of: that is how a port is found to be open.
        on_gone: Told of those that asked for a WebSocket and were gone before they could be answered.
        tls: For ``wss://``. The listener is to be plain all the same.
        connections: Those that are open, a moment longer than the gate counts them.
    """

    limits: Limits
    gate: Gate[Arrival]
    on_refused: Callable[[Arrival, str], None]
    on_gone: Callable[[Arrival], None]
    tls: ssl.SSLContext | None
    connections: set[Arrival] = field(default_factory=set)


class Arrival(ServerConnection):
    """A connection that is counted from when it is accepted until it is lost.

    Attributes:
        turned: Why it is to be turned away, if the gate said so.
        connected_at: When it was made, by the loop's clock.
    """

    turned: Turned | None = None
    connected_at: float
    _has_spoken = False
    _is_refused = False
    _socket: asyncio.Transport  # below TLS, if there is any

    def __init__(
        self, door: Door, protocol: ServerProtocol, server: WebSocketListener, **options: Any
    ) -> None:
        super().__init__(protocol, server, **options)
        self._door = door
        self._name = secrets.token_hex(4)

    # --- the transport's callbacks -----------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it. All deadlines count from here, before TLS."""
        transport = cast("asyncio.Transport", transport)  # not every loop's is one by its class
        door = self._door
        self.connected_at = self.loop.time()
        self._address = transport.get_extra_info("peername") or ("?", 0)
        self._socket = transport
        ousted = door.gate.make_room(self.host)
        if ousted is not None:
            ousted.make_way()
        self.turned = door.gate.enter(self, self.host)
        door.connections.add(self)
        super().connection_made(transport)
        if self.turned is not None and self._is_past_telling():
            self.refuse(self.turned.reason)
        elif door.tls is not None:
            task = self.loop.create_task(self._begin_tls(Threshold(transport, self), door.tls))
            self.server.handler_tasks.add(task)  # for which the library waits at the end
            task.add_done_callback(self.server.handler_tasks.discard)

    def _is_past_telling(self) -> bool:
        """Whether one that was turned away is cut off without a word.

        Else it is told so when it asks, and keeps a descriptor until then. Many that never ask are to
        take no more descriptors than those that were let in, and nobody is to have TLS, which costs
        time and memory, without a place.
        """
        limits = self._door.limits
        return self.is_encrypted or len(self._door.connections) > limits.connections + limits.unauthenticated

    async def _begin_tls(self, threshold: Threshold, context: ssl.SSLContext) -> None:
        if self._socket.is_closing():  # lost since; its end is told as that of a plain one is
            return
        handshake_s = self._door.limits.handshake_s
        try:
            secured, early = await threshold.secure(
                context, handshake_s=handshake_s, shutdown_s=CLOSE_TIMEOUT_S
            )
        except TlsHandshakeError as exc:
            self.refuse(str(exc))
            self.connection_lost(None)  # which asyncio tells whoever speaks over TLS, and nobody does yet
            return
        # Once more, but for the task that waits for the request since the connection was made.
        super(ServerConnection, self).connection_made(secured)
        if early:
            self.data_received(early)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self._door.connections.discard(self)
        if self.turned is None:
            self._door.gate.leave(self, self.host)
        super().connection_lost(exc)
        if self.request is None:
            if self.turned is not None:
                self.refuse(self.turned.reason)
            elif self._has_spoken:
                self.refuse("bad handshake")
            elif self.is_encrypted:
                self.refuse("no TLS handshake" if self.transport is self._socket else "no request")

    async def handshake(self, *arguments: Any, **options: Any) -> None:
        """Hear the request and answer it.

        The library hands over only who is still there then, so that nobody else would know of the others.
        """
        try:
            await super().handshake(*arguments, **options)
        finally:
            status = None if self.response is None else self.response.status_code
            is_accepted = status == HTTPStatus.SWITCHING_PROTOCOLS and not self._is_refused
            if is_accepted and self.protocol.state is not State.OPEN:
                self._door.on_gone(self)

    # --- what is done with it ----------------------------------------------------------

    def make_way(self) -> None:
        """End it: somebody from a quieter address has its place."""
        self.refuse("made way for another address")

    def refuse(self, reason: str) -> None:
        """Cut it off before it asked for anything, and have that on record, once."""
        self.transport.abort()
        if not self._is_refused:
            self._is_refused = True
            self._door.on_refused(self, reason)

    def promote(self, limited_key: str | None) -> bool:
        """It logged in, and is no stranger's connection any more, if its key has not too many; see `Gate`."""
        if self._socket.is_closing():  # what it said was heard after its end, and its place may be free
            return True
        if not self._door.gate.promote(self, self.host, limited_key):
            return False
        limits = self._door.limits
        bound_unacknowledged(
            self._socket.get_extra_info("socket"), limits.ping_interval_s + limits.ping_timeout_s
        )
        return True

    # --- who it is ---------------------------------------------------------------------

    @property
    def host(self) -> str:
        """The peer's address."""
        return str(self._address[0])

    @property
    def port(self) -> int:
        """The peer's port."""
        return int(self._address[1])

    @property
    def is_encrypted(self) -> bool:
        """Whether it is ``wss://``, or would be if it got so far."""
        return self._door.tls is not None

    def visitor(self) -> Visitor:
        """Who is at the other end, as far as it shows."""
        request = self.request
        return Visitor(
            conn=self._name,
            peer=self.host,
            port=self.port,
            origin=self._header("Origin"),
            user_agent=self._header("User-Agent"),
            path="" if request is None else request.path.partition("?")[0],
            tls=self.is_encrypted,
        )

    def _header(self, name: str) -> str | None:
        values = [] if self.request is None else self.request.headers.get_all(name)
        return ", ".join(values) if values else None
