"""One WebSocket connection: the library's, with bounds of our own.

What the library leaves open is closed here: who floods with frames too small to be messages, who
never closes after the closing handshake, who never reads so that the library's own waits never end.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from websockets.asyncio.server import Server as WebSocketListener
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.frames import Frame
from websockets.protocol import Event
from websockets.server import ServerProtocol

from .audit import Visitor
from .gate import Gate, Turned
from .log import get_logger
from .options import Limits
from .rate import TokenBucket
from .session import CLOSE_THROTTLED, CLOSE_TOO_SLOW

#: How long the other end may take to let itself be closed before it is cut off, seconds.
CLOSE_TIMEOUT_S: Final = 2.0

#: A message may come in fragments, with pings between them: frames have so many times the
#: limits of messages.
_FRAMES_PER_MESSAGE: Final = 4

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
    _is_promoted = False
    _is_ending = False

    @classmethod
    def factory(cls, limits: Limits, gate: Gate, open_connections: set[Connection]) -> type[ServerConnection]:
        """A class of connections for one server."""

        class Bound(cls):  # type: ignore[misc, valid-type]  # the library calls a class
            def __init__(
                self, protocol: ServerProtocol, server: WebSocketListener, **options: float | None
            ) -> None:
                super().__init__(protocol, server, **options)
                self.open_connections = open_connections
                self._gate = gate
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

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self.open_connections.discard(self)
        if self.turned is None:
            self._gate.leave(self.host, was_promoted=self._is_promoted)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bound the time that is left once the end has begun.

        The library waits for the other end to close the TCP connection, for as long as nobody
        calls its `close`: somebody who never does would keep a descriptor for ever.
        """
        super().data_received(data)
        if not self._is_ending and self.protocol.close_expected():
            self._is_ending = True
            self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

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

    def promote(self) -> None:
        """It logged in: it is no stranger's connection any more."""
        self._is_promoted = True
        self._gate.promote(self.host)

    def write(self, payload: bytes) -> None:
        """Send a text frame; what the network does not take is buffered. Nothing if closing."""
        broadcast((self,), payload, text=True)

    def unsent_bytes(self) -> int:
        """What is buffered."""
        return self.transport.get_write_buffer_size()

    def drop(self, reason: str) -> None:
        """Cut it off as too slow.

        The close frame waits behind all that the client does not read, so the code 4410
        reaches it only if it begins to read; the socket is closed in any case.
        """
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
