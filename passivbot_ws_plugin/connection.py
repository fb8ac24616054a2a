"""One WebSocket connection: the library's, with bounds of our own.

What the library leaves open is closed here: who floods with frames too small to be messages, who
never closes after the closing handshake, who never reads so that the library's own waits never end,
who sends frames before it has the answer to its handshake, who opens connections and says nothing,
who does so in the midst of TLS: a connection is one from when it is accepted, and not from its TLS.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Callable
from typing import Final

from websockets.asyncio.server import Server as WebSocketListener
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.frames import Frame
from websockets.protocol import Event
from websockets.server import ServerProtocol

from .audit import Visitor
from .errors import TlsHandshakeError
from .gate import Gate, Turned
from .log import get_logger
from .options import Limits
from .rate import TokenBucket
from .session import CLOSE_THROTTLED, CLOSE_TOO_SLOW
from .tls import secure

#: How long the other end may take to let itself be closed before it is cut off, seconds.
CLOSE_TIMEOUT_S: Final = 2.0

#: A message may come in fragments, with pings between them: frames have so many times the
#: limits of messages.
_FRAMES_PER_MESSAGE: Final = 4

_END_OF_HEAD: Final = b"\r\n\r\n"

_log = get_logger(__name__)


class Connection(ServerConnection):
    """A connection that is counted from its first byte to its last, and ends when it should.

    Use `factory` to make one as the library wants it made.

    Attributes:
        turned: Why it is to be turned away, if the gate said so.
        connected_at: When it was made, by the loop's clock.
        open_connections: The server's connections; this one is among them.
        is_encrypted: Whether it is ``wss://``, or would be if it got so far.
    """

    turned: Turned | None = None
    connected_at: float
    open_connections: set[Connection]
    is_encrypted: bool
    _tls: ssl.SSLContext | None
    _socket: asyncio.Transport  # below TLS, if there is any
    _gate: Gate
    _frames: TokenBucket
    _limits: Limits
    _on_refused: Callable[[Connection, str], None]
    _is_promoted = False
    _is_ending = False
    _is_refused = False
    _head_tail: bytes | None = None  # the last bytes of the request so far; None: there were none
    _early: bytes = b""

    @classmethod
    def factory(
        cls,
        limits: Limits,
        gate: Gate,
        open_connections: set[Connection],
        on_refused: Callable[[Connection, str], None],
        tls: ssl.SSLContext | None,
    ) -> type[ServerConnection]:
        """A class of connections for one server.

        Args:
            limits: What clients may take.
            gate: Counts them.
            open_connections: Where they put themselves.
            on_refused: Told of those that end without a request, with the reason for the record.
                Who says nothing at all to a plain port is not told of: that is how a port is found
                to be open.
            tls: For ``wss://``. The listener is to be plain all the same.
        """

        class Bound(cls):  # type: ignore[misc, valid-type]  # the library calls a class
            def __init__(
                self, protocol: ServerProtocol, server: WebSocketListener, **options: float | None
            ) -> None:
                super().__init__(protocol, server, **options)
                self.open_connections = open_connections
                self._gate = gate
                self._limits = limits
                self._on_refused = on_refused
                self._tls, self.is_encrypted = tls, tls is not None
                self._frames = TokenBucket(
                    limits.messages_per_s * _FRAMES_PER_MESSAGE,
                    limits.messages_burst * _FRAMES_PER_MESSAGE,
                    self.loop.time,
                )

        return Bound

    # --- the transport's callbacks -----------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it. All deadlines count from here, before TLS."""
        assert isinstance(transport, asyncio.Transport)
        self.connected_at = self.loop.time()
        self._address = transport.get_extra_info("peername") or ("?", 0)
        self._socket = transport
        self.turned = self._gate.enter(self.host)
        self.open_connections.add(self)
        super().connection_made(transport)
        if self.turned is not None and self._is_past_telling():
            self.refuse(self.turned.reason)
        elif self._tls is not None:
            transport.pause_reading()  # what comes is for TLS
            task = self.loop.create_task(self._begin_tls(self._tls))
            self.server.handler_tasks.add(task)  # for which the library waits at the end
            task.add_done_callback(self.server.handler_tasks.discard)

    def _is_past_telling(self) -> bool:
        """Whether one that was turned away is cut off without a word.

        Else it is told so when it asks, and keeps a descriptor until then. Many that never ask are to
        take no more descriptors than those that were let in, and nobody is to have TLS, which costs
        time and memory, before that is counted.
        """
        limits = self._limits
        return self.is_encrypted or len(self.open_connections) > limits.connections + limits.unauthenticated

    async def _begin_tls(self, context: ssl.SSLContext) -> None:
        if self._socket.is_closing():  # cut off since; its end is told as that of a plain one is
            return
        try:
            secured, early = await secure(
                self._socket, self, context, handshake_s=self._limits.handshake_s, shutdown_s=CLOSE_TIMEOUT_S
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
        self.open_connections.discard(self)
        if self.turned is None:
            self._gate.leave(self.host, was_promoted=self._is_promoted)
        super().connection_lost(exc)
        if self.request is None:
            if self.turned is not None:
                self.refuse(self.turned.reason)
            elif self._head_tail is not None:
                self.refuse("bad handshake")
            elif self.is_encrypted:
                self.refuse("no request")

    def data_received(self, data: bytes) -> None:
        """Keep what comes too early, and bound the time that is left once the end has begun.

        The library takes what follows a request for frames even before it answered: it would
        send a pong before the response, or close in place of it, and stumble over that.

        It also waits for the other end to close the TCP connection, for as long as nobody calls
        its `close`: somebody who never does would keep a descriptor for ever.
        """
        if self.response is None and not self.protocol.eof_sent:  # not answered, nor refused unanswered
            size = self._head_size(data)
            data, self._early = data[:size], self._early + data[size:]
            if not data:
                return
        super().data_received(data)
        if not self._is_ending and self.protocol.close_expected():
            self._is_ending = True
            self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def _head_size(self, data: bytes) -> int:
        """How much of the data belongs to the request."""
        if self.request is not None:
            return 0
        before = self._head_tail or b""
        seen = before + data
        self._head_tail = seen[1 - len(_END_OF_HEAD) :]
        end = seen.find(_END_OF_HEAD)
        return len(data) if end < 0 else end + len(_END_OF_HEAD) - len(before)

    def process_event(self, event: Event) -> None:
        """Count the frames: pings, pongs and empty fragments are not messages, but they are work."""
        if isinstance(event, Frame) and not self._frames.take():
            self.cut(CLOSE_THROTTLED, "too many frames")
            return
        super().process_event(event)

    # --- what the server does with it --------------------------------------------------

    @property
    def host(self) -> str:
        """The peer's address."""
        return str(self._address[0])

    @property
    def port(self) -> int:
        """The peer's port."""
        return int(self._address[1])

    def receive_early(self) -> None:
        """Receive what came before the handshake was answered; to be called once it is."""
        data, self._early = self._early, b""
        if data and not self.transport.is_closing():  # after its end, data would be an error
            self.data_received(data)

    def promote(self) -> None:
        """It logged in: it is no stranger's connection any more."""
        self._is_promoted = True
        self._gate.promote(self.host)

    def write(self, payload: bytes) -> None:
        """Send a text frame; what the network does not take is buffered. Nothing if closing."""
        broadcast((self,), payload, text=True)

    def unsent_bytes(self) -> int:
        """What is buffered, above TLS and below it; nothing once it is to end."""
        if self.transport.is_closing():
            return 0
        return sum(transport.get_write_buffer_size() for transport in {self.transport, self._socket})

    def refuse(self, reason: str) -> None:
        """Cut it off before it asked for anything, and have that on record, once."""
        self.transport.abort()
        if not self._is_refused:
            self._is_refused = True
            self._on_refused(self, reason)

    def drop(self, reason: str) -> None:
        """Cut it off as too slow.

        The close frame waits behind all that the client does not read, so the code 4410
        reaches it only if it begins to read; the socket is closed in any case.
        """
        if self._is_ending:
            return
        _log.warning("client.too_slow", peer=f"{self.host}:{self.port}", reason=reason)
        self.cut(CLOSE_TOO_SLOW, "too slow")

    def cut(self, code: int, reason: str) -> None:
        """Close without waiting for anybody: a close frame, and soon after it the end."""
        if self._is_ending:
            return
        self._is_ending = True
        self.protocol.fail(code, reason)
        self.send_data()
        self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    async def end(self, code: int, reason: str) -> None:
        """Close, and cut off a client that does not let itself be closed in time."""
        try:
            # Not the library's own timeout: its close() first waits, without a bound, until
            # the buffer drains, which a client that never reads can hold off for ever.
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.close(code, reason)
        except TimeoutError:
            self.transport.abort()

    def visitor(self) -> Visitor:
        """Who is at the other end, as far as it shows."""
        request = self.request
        return Visitor(
            conn=secrets.token_hex(4),
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
