"""One WebSocket connection: the library's, with bounds of our own.

What the library leaves open is closed here: who floods with frames too small to be messages, who
never closes after the closing handshake, who never reads so that the library's own waits never end,
who sends frames before it has the answer to its handshake, who opens connections and says nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

from websockets.asyncio.server import Server as WebSocketListener
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame
from websockets.protocol import Event, State
from websockets.server import ServerProtocol

from .audit import Visitor
from .close_codes import CLOSE_THROTTLED, CLOSE_TOO_SLOW
from .gate import Gate, Turned
from .log import get_logger
from .options import Limits
from .prepared import Prepared
from .rate import TokenBucket

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
    """

    turned: Turned | None = None
    connected_at: float
    open_connections: set[Connection]
    _gate: Gate
    _frames: TokenBucket
    _limits: Limits
    _on_refused: Callable[[Connection, str], None]
    _is_promoted = False
    _is_ending = False
    _head_tail: bytes | None = None  # the last bytes of the request so far; None: there were none
    _early: bytes = b""
    _is_shareable = False  # whether its frames are those of others
    _window_bits: int | None = None  # of its compressor, if frames may be compressed

    @classmethod
    def factory(
        cls,
        limits: Limits,
        gate: Gate,
        open_connections: set[Connection],
        on_refused: Callable[[Connection, str], None],
    ) -> type[ServerConnection]:
        """A class of connections for one server.

        Args:
            limits: What clients may take.
            gate: Counts them.
            open_connections: Where they put themselves.
            on_refused: Told of those that end without a request, with the reason for the record.
                Who says nothing at all is not told of: that is how a port is found to be open.
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
                self._frames = TokenBucket(
                    limits.messages_per_s * _FRAMES_PER_MESSAGE,
                    limits.messages_burst * _FRAMES_PER_MESSAGE,
                    self.loop.time,
                )

        return Bound

    # --- the transport's callbacks -----------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it. The deadline for authentication counts from here."""
        self.connected_at = self.loop.time()
        self._address = transport.get_extra_info("peername") or ("?", 0)
        self.turned = self._gate.enter(self.host)
        self.open_connections.add(self)
        super().connection_made(transport)
        # One that was turned away is told so when it asks, and keeps a descriptor until then. Many
        # that never ask are to take no more descriptors than those that were let in.
        if (
            self.turned is not None
            and len(self.open_connections) > self._limits.connections + self._limits.unauthenticated
        ):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self.open_connections.discard(self)
        if self.turned is None:
            self._gate.leave(self.host, was_promoted=self._is_promoted)
        super().connection_lost(exc)
        if self.request is None:
            if self.turned is not None:
                self._on_refused(self, self.turned.reason)
            elif self._head_tail is not None:
                self._on_refused(self, "bad handshake")

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

    def begin(self) -> None:
        """Note what was agreed on, and receive what came early; to be called after the handshake."""
        match self.protocol.extensions:
            case []:
                self._is_shareable = True
            case [PerMessageDeflate(local_no_context_takeover=True) as deflate]:
                self._is_shareable, self._window_bits = True, deflate.local_max_window_bits
        data, self._early = self._early, b""
        if data and not self.transport.is_closing():  # after its end, data would be an error
            self.data_received(data)

    def promote(self) -> None:
        """It logged in: it is no stranger's connection any more."""
        self._is_promoted = True
        self._gate.promote(self.host)

    def send_text(self, payload: bytes) -> None:
        """Send a text message to this client alone, uncompressed."""
        self.push(Prepared(payload, is_secret=True))

    def push(self, message: Prepared) -> int:
        """Send a message; what the network does not take is buffered. Nothing if closing.

        Returns:
            The bytes that are buffered then.
        """
        # The preconditions of the library's `broadcast`, which makes a frame for each connection.
        if self.protocol.state is not State.OPEN:
            return 0
        if self._is_shareable and self.send_in_progress is None:
            try:
                self.transport.write(message.frame(self._window_bits))
            except RuntimeError:  # uvloop's word for a transport whose end is not told yet
                return 0
        else:
            broadcast((self,), message.payload, text=True)
        return self.transport.get_write_buffer_size()

    def unsent_bytes(self) -> int:
        """What is buffered."""
        return self.transport.get_write_buffer_size()

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

    @property
    def is_encrypted(self) -> bool:
        """Whether it is ``wss://``."""
        return self.transport.get_extra_info("ssl_object") is not None

    def _header(self, name: str) -> str | None:
        values = [] if self.request is None else self.request.headers.get_all(name)
        return ", ".join(values) if values else None
