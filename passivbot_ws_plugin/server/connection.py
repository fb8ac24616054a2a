"""One WebSocket connection: the library's, with bounds of our own.

What the library leaves open is closed here: who floods with frames too small to be messages, who
never closes after the closing handshake, who never reads so that the library's own waits never end,
who sends frames before it has the answer to its handshake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from websockets.asyncio.server import Server as WebSocketListener
from websockets.asyncio.server import broadcast
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame
from websockets.protocol import Event, State
from websockets.server import ServerProtocol

from passivbot_ws_plugin.close_codes import CLOSE_THROTTLED, CLOSE_TOO_SLOW, CLOSE_TRY_LATER
from passivbot_ws_plugin.log import get_logger
from passivbot_ws_plugin.prepared import Prepared
from passivbot_ws_plugin.rate import TokenBucket

from .arrival import CLOSE_TIMEOUT_S, Arrival, Door

#: A message may come in fragments, with pings between them: frames have so many times the
#: limits of messages.
_FRAMES_PER_MESSAGE: Final = 4

#: So much of what was read is looked at before the limits are, bytes. A read may be 256 KiB: thousands
#: of frames, of which each may inflate to the longest message that there may be.
_AT_ONCE_BYTES: Final = 4096

_END_OF_HEAD: Final = b"\r\n\r\n"

#: The longest request, bytes. The library takes 128 headers of 8 KiB: a megabyte of each stranger, and of
#: those too that wait to be turned away.
_HEAD_MAX_BYTES: Final = 32_768

_log = get_logger(__name__)


class Connection(Arrival):
    """A connection that ends when it should, whatever the other end does.

    Attributes:
        descriptor: Of its socket, while a frame may be written to it past the transport.
        on_descriptor: Called whenever that has become another one.
        window_bits: Of its compressor, if frames may be compressed.
    """

    descriptor: int | None = None
    on_descriptor: Callable[[], None] | None = None
    window_bits: int | None = None
    _is_ending = False
    _head_tail: bytes = b""  # the last bytes of the request so far
    _head_bytes = 0  # of the request so far
    _early: bytes = b""
    _is_shareable = False  # whether its frames are those of others
    _own_descriptor: int | None = None  # to be written to whenever the transport has nothing to send

    def __init__(
        self, door: Door, protocol: ServerProtocol, server: WebSocketListener, **options: Any
    ) -> None:
        super().__init__(door, protocol, server, **options)
        self._frames = TokenBucket(
            door.limits.messages_per_s * _FRAMES_PER_MESSAGE,
            door.limits.messages_burst * _FRAMES_PER_MESSAGE,
            self.loop.time,
        )

    # --- what comes --------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Keep what comes too early, and bound the time that is left once the end has begun.

        The library takes what follows a request for frames even before it answered: it would
        send a pong before the response, or close in place of it, and stumble over that.

        It also waits for the other end to close the TCP connection, for as long as nobody calls
        its `close`: somebody who never does would keep a descriptor for ever.
        """
        self._has_spoken = True
        if self.response is None and not self.protocol.eof_sent:  # not answered, nor refused unanswered
            size = self._head_size(data)
            self._head_bytes += size
            if self._head_bytes > _HEAD_MAX_BYTES:
                self.refuse("bad handshake")
                return
            data, self._early = data[:size], self._early + data[size:]
        for begin in range(0, len(data), _AT_ONCE_BYTES):
            if self._is_ending or self.transport.is_closing():
                break
            super().data_received(data[begin : begin + _AT_ONCE_BYTES])
        if not self._is_ending and self.protocol.close_expected():
            self._is_ending = True
            self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def _head_size(self, data: bytes) -> int:
        """How much of the data belongs to the request."""
        if self.request is not None:
            return 0
        before = self._head_tail
        seen = before + data
        self._head_tail = seen[1 - len(_END_OF_HEAD) :]
        end = seen.find(_END_OF_HEAD)
        return len(data) if end < 0 else end + len(_END_OF_HEAD) - len(before)

    def begin(self) -> None:
        """Note what was agreed on, and receive what came early; to be called after the handshake."""
        match self.protocol.extensions:
            case []:
                self._is_shareable = True
            case [PerMessageDeflate(local_no_context_takeover=True) as deflate]:
                self._is_shareable, self.window_bits = True, deflate.local_max_window_bits
        if self._is_shareable and not self.is_encrypted:
            self._own_descriptor = self._socket.get_extra_info("socket").fileno()
            self._socket.set_write_buffer_limits(high=0)  # which are told of by the two methods below
            self._note_descriptor()
        data, self._early = self._early, b""
        if data and not self.transport.is_closing():  # after its end, data would be an error
            self.data_received(data)

    def process_event(self, event: Event) -> None:
        """Count the frames: pings, pongs and empty fragments are not messages, but they are work."""
        if isinstance(event, Frame) and not self._frames.take():
            self.cut(CLOSE_THROTTLED, "too many frames")
            return
        if self.unsent_bytes() > self._door.limits.buffer_hard_bytes:  # pongs that it does not read
            self.drop("unsent bytes over buffer_hard_bytes")
            return
        super().process_event(event)

    def eof_received(self) -> None:
        """Nothing more comes: what is unsent is not waited for.

        asyncio would end it in the middle of a write then, and its `abort` would fail (CPython's
        `_SelectorSocketTransport._write_ready`).
        """
        super().eof_received()
        if self._socket.get_write_buffer_size():
            self.transport.abort()

    # --- what goes ---------------------------------------------------------------------

    def send_text(self, payload: bytes) -> None:
        """Send a text message to this client alone, uncompressed."""
        self.push(Prepared(payload, is_secret=True))

    def push(self, *messages: Prepared) -> int:
        """Send messages, together; what the network does not take is buffered. Nothing if closing.

        Returns:
            The bytes that are buffered then.
        """
        # The preconditions of the library's `broadcast`, which makes a frame for each connection.
        if self.protocol.state is not State.OPEN:
            return 0
        if self._is_shareable and self.send_in_progress is None:
            return self.write(b"".join(message.frame(self.window_bits) for message in messages))
        for message in messages:
            broadcast((self,), message.payload, text=True)
        return self.unsent_bytes()

    def write(self, data: bytes) -> int:
        """Send a frame or what is left of one, by the transport; returns `unsent_bytes`."""
        if self.transport.is_closing():  # asyncio would log each
            return 0
        try:
            self.transport.write(data)
        except RuntimeError:  # another loop's word for a transport whose end is not told yet
            return 0
        return self.unsent_bytes()

    async def drain(self) -> None:
        """Wait for nobody: what is unsent is bounded by us.

        The library's pings would wait here for a client that does not read, and never find that it
        does not answer them.
        """

    def _note_descriptor(self) -> None:
        """Have the descriptor written to from now on, or not, as the state of things is."""
        # As `push`, and nothing buffered. A fragment goes through `send_data`, so that the first is noted.
        is_clear = self.protocol.state is State.OPEN and self.send_in_progress is None and not self.paused
        descriptor = self._own_descriptor if is_clear else None
        if descriptor != self.descriptor:
            self.descriptor = descriptor
            if self.on_descriptor is not None:
                self.on_descriptor()

    def send_data(self) -> None:
        """Send what the protocol has to; called whenever its state changed."""
        super().send_data()
        self._note_descriptor()

    def pause_writing(self) -> None:
        """The transport has something to send that the network did not take."""
        super().pause_writing()
        self._note_descriptor()

    def resume_writing(self) -> None:
        """It has nothing to send any more."""
        super().resume_writing()
        self._note_descriptor()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the descriptor, which is closed next and may then be another's."""
        self._own_descriptor = None
        self._note_descriptor()
        super().connection_lost(exc)
        if self.connection_exc is not None:
            # Its traceback would hold what was read, until the collector comes.
            self.connection_exc.with_traceback(None)

    def unsent_bytes(self) -> int:
        """What is buffered, above TLS and below it; nothing once it is to end."""
        transport = self.transport
        if transport.is_closing():
            return 0
        unsent = transport.get_write_buffer_size()
        return unsent if transport is self._socket else unsent + self._socket.get_write_buffer_size()

    # --- its end -----------------------------------------------------------------------

    def drop(self, reason: str) -> None:
        """Cut it off as too slow.

        The close frame waits behind all that the client does not read, so the code 4410
        reaches it only if it begins to read; the socket is closed in any case.
        """
        if self._is_ending:
            return
        _log.warning("client.too_slow", peer=f"{self.host}:{self.port}", reason=reason)
        self.cut(CLOSE_TOO_SLOW, "too slow")

    def make_way(self) -> None:
        """End it: somebody from a quieter address has its place."""
        if self.response is None:
            super().make_way()
        else:
            self.cut(CLOSE_TRY_LATER, "too many connections")

    def cut(self, code: int, reason: str) -> None:
        """Close without waiting for anybody: a close frame, and soon after it the end."""
        if self._is_ending:
            return
        self._is_ending = True
        self.protocol.fail(code, reason)
        self.send_data()
        self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)
