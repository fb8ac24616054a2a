"""The asyncio shell: WebSocket connections of one listening socket.

The only module that imports ``websockets.asyncio.server``. What a connection may do is
`session`'s to say, what it is sent `hub`'s; here is the I/O, its deadlines and its end.

Compression stays off: the messages are small, a compressor costs a client some 32 KiB and
the server most of its time, and it would let the length of a frame tell of its secrets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from http import HTTPStatus
from typing import Any, Final, cast

from websockets.asyncio.server import Server as WebSocketListener
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from .audit import Audit, AuditEvent, Visitor
from .auth import Authenticator
from .cache import Cache
from .hub import Client, Hub
from .log import get_logger
from .messages import Error, encode
from .session import (
    CLOSE_AUTH_FAILED,
    CLOSE_AUTH_TIMEOUT,
    CLOSE_BAD_MESSAGES,
    CLOSE_RESTART,
    CLOSE_REVOKED,
    CLOSE_TOO_SLOW,
    Admission,
    Rejection,
    Session,
    authenticate,
)
from .settings import Settings, is_loopback

#: How long a client may take to answer a close frame before it is cut off, seconds.
CLOSE_TIMEOUT_S: Final = 2.0

#: What the end of connections that were cut off may take, seconds.
_ABORT_S: Final = 0.5

_NO_STATISTICS: Final = encode(
    Error("no statistics yet; they are sent as soon as the bot writes some", "unavailable")
)

_log = get_logger(__name__)

# The library logs every failed handshake with a traceback, at the level of an error. A
# stranger's garbage is no error of ours; an error of ours is logged by `Server._handle`.
_library_log = logging.getLogger("passivbot_ws_plugin.websockets")
_library_log.setLevel(logging.CRITICAL)


class Connection(ServerConnection):
    """A connection that knows when it was made, and can be written to and ended at once.

    Attributes:
        open_connections: The server's connections; this one is among them from its first
            byte to its last, a handshake that is not over included.
        connected_at: When it was made, by the loop's clock.
    """

    open_connections: set[Connection]
    connected_at: float

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the time: the deadline for authentication counts from here."""
        self.connected_at = self.loop.time()
        self.open_connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.open_connections.discard(self)
        super().connection_lost(exc)

    def write(self, payload: bytes) -> None:
        """Send a text frame; what the network does not take is buffered. Nothing if closing."""
        broadcast((self,), payload, text=True)

    def unsent_bytes(self) -> int:
        """What is buffered."""
        return self.transport.get_write_buffer_size()

    def drop(self, reason: str) -> None:
        """Cut it off as too slow.

        A close frame would wait behind all that the client does not read, so the code 4410
        reaches it only if it reads; the socket is closed in any case.
        """
        _log.warning("client.too_slow", peer=self.peer, reason=reason)
        self.protocol.fail(CLOSE_TOO_SLOW, "too slow")
        self.send_data()
        self.transport.abort()

    @property
    def peer(self) -> str:
        """The peer's address and port, as text."""
        address = self.remote_address or ("?", 0)
        return f"{address[0]}:{address[1]}"

    async def end(self, code: int, reason: str) -> None:
        """Close, and cut off a client that does not let itself be closed in time."""
        try:
            # Not the library's own timeout: its close() first waits, without a bound, until
            # the buffer drains, which a client that never reads can hold off for ever.
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.close(code, reason)
        except TimeoutError:
            self.transport.abort()


class Server:
    """Serves the cache on one address with one set of settings, until stopped."""

    def __init__(self, settings: Settings, cache: Cache, audit: Audit) -> None:
        self.settings = settings
        self._cache = cache
        self._audit = audit
        self._hub = Hub(cache)
        self._authenticator = Authenticator(settings.password, settings.public_key_part)
        self._listener: WebSocketListener | None = None
        self._connections: set[Connection] = set()
        self._admitted: set[Connection] = set()

    async def start(self) -> str:
        """Listen; returns the address, such as ``ws://127.0.0.1:8765``.

        Raises:
            OSError: The address cannot be bound.
        """
        limits = self.settings.options.limits
        self._listener = await serve(
            self._handle,
            self.settings.host,
            self.settings.port,
            create_connection=cast("type[Connection]", self._make_connection),
            process_request=_answer_plain_http,
            compression=None,
            server_header=None,
            open_timeout=limits.handshake_s,
            ping_interval=limits.ping_interval_s,
            ping_timeout=limits.ping_timeout_s,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=limits.message_bytes_unauthenticated,
            logger=_library_log,
        )
        host, port = self._listener.sockets[0].getsockname()[:2]
        return f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}"

    def publish(self, bot: str, payload: bytes) -> None:
        """Broadcast a bot's changed state."""
        self._hub.publish(bot, payload)

    def use_credentials(self, settings: Settings) -> None:
        """Take on other settings for the same address; changed credentials end every connection."""
        old, self.settings = self.settings, settings
        if (old.password, old.public_key_part) == (settings.password, settings.public_key_part):
            return
        self._authenticator = Authenticator(settings.password, settings.public_key_part)
        for connection in tuple(self._admitted):
            connection.loop.create_task(connection.end(CLOSE_REVOKED, "credentials changed"))

    async def stop(self, timeout_s: float) -> None:
        """Stop listening and close every connection with 1012, stuck or not, within the time."""
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        listener.close(code=CLOSE_RESTART, reason="the server is going away")
        try:
            async with asyncio.timeout(timeout_s):
                await listener.wait_closed()
        except TimeoutError:
            for connection in tuple(self._connections):
                connection.transport.abort()
            # Their handlers end as soon as the loop tells them; the bound is for what we
            # did not think of.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ABORT_S):
                    await listener.wait_closed()

    def _make_connection(self, *arguments: Any, **options: Any) -> Connection:
        connection = Connection(*arguments, **options)
        connection.open_connections = self._connections
        return connection

    async def _handle(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Connection)
        visitor = _visitor(connection)
        try:
            admission = await self._admit(connection, visitor)
            if admission is not None:
                await self._converse(connection, visitor, admission)
        except ConnectionClosed:  # without a close frame: the network, or a crash at the other end
            return
        except Exception:  # noqa: BLE001  one connection's bug is not to end the others
            _log.exception("connection.failed", peer=connection.peer, conn=visitor.conn)
            await connection.end(CloseCode.INTERNAL_ERROR, "internal error")

    async def _converse(self, connection: Connection, visitor: Visitor, admission: Admission) -> None:
        limits = self.settings.options.limits
        client = Client(connection, limits, connection.loop.time)
        session = Session(
            admission.principal,
            self._cache,
            include_secrets=self._may_see_secrets(visitor),
            bad_messages_max=limits.bad_messages,
        )
        connection.protocol.max_message_size = limits.message_bytes
        self._admitted.add(connection)
        try:
            # No await from the verdict to the join: whatever changes is either in the
            # snapshot or broadcast after it, never neither and never twice.
            connection.write(admission.answer)
            self._hub.join(client)
            if self._cache.is_empty:
                connection.write(_NO_STATISTICS)
            async for frame in connection:
                answer = session.receive(frame)
                self._hub.answer(client, answer.payload)
                if answer.is_last:
                    await connection.end(CLOSE_BAD_MESSAGES, "too many bad messages")
                    return
        finally:
            self._hub.leave(client)
            self._admitted.discard(connection)

    async def _admit(self, connection: Connection, visitor: Visitor) -> Admission | None:
        """Hear the one frame of a stranger and record what came of it; None if it was sent away."""
        deadline = connection.connected_at + self.settings.options.limits.auth_s
        try:
            async with asyncio.timeout_at(deadline):
                frame = await connection.recv()
        except TimeoutError:
            self._record("auth.timeout", "no auth message in time", connection, visitor)
            await connection.end(CLOSE_AUTH_TIMEOUT, "authentication timed out")
            return None
        except ConnectionClosed as exc:
            self._record(*_why_closed(exc), connection, visitor)
            return None
        # The check is in the same breath as the verdict's use: credentials that changed
        # while the frame was on its way are the ones that count.
        verdict = authenticate(frame, self._authenticator)
        if isinstance(verdict, Rejection):
            self._record("auth.failure", verdict.reason, connection, visitor, verdict.key)
            connection.write(verdict.answer)
            await connection.end(CLOSE_AUTH_FAILED, "authentication failed")
            return None
        self._record("auth.success", "token accepted", connection, visitor, verdict.principal.key)
        return verdict

    def _record(
        self,
        event: AuditEvent,
        reason: str,
        connection: Connection,
        visitor: Visitor,
        key: str | None = None,
    ) -> None:
        self._audit.record(
            event,
            visitor,
            reason=reason,
            latency_s=connection.loop.time() - connection.connected_at,
            key=key,
            key_is_ours=key is not None and self._authenticator.knows(key),
            bots=self._cache.bots,
        )

    def _may_see_secrets(self, visitor: Visitor) -> bool:
        policy = self.settings.options.config_secrets
        return policy == "include" or (policy == "auto" and is_loopback(visitor.peer))


def _answer_plain_http(connection: ServerConnection, request: Request) -> Response | None:
    """Answer a request that is no WebSocket handshake.

    404 for everything, ``/health`` above all: Passivbot's own tools take any answer of 200
    there, on this very port, for their monitor relay.
    """
    if "websocket" in request.headers.get("Upgrade", "").lower():
        return None
    return connection.respond(HTTPStatus.NOT_FOUND, "This is a WebSocket server; connect with ws://\n")


def _visitor(connection: Connection) -> Visitor:
    request = connection.request
    assert request is not None  # the handshake is over
    address = connection.remote_address or ("?", 0)
    return Visitor(
        conn=secrets.token_hex(4),
        peer=str(address[0]),
        port=int(address[1]),
        origin=_header(request, "Origin"),
        user_agent=_header(request, "User-Agent"),
        path=request.path.partition("?")[0],
    )


def _why_closed(exc: ConnectionClosed) -> tuple[AuditEvent, str]:
    """What a connection that ended before its login stands for in the record."""
    if exc.sent is None or exc.rcvd_then_sent:  # the peer ended it, or the network did
        return "auth.disconnect", "left without an auth message"
    match exc.sent.code:
        case 1009:
            return "auth.failure", "message too large"
        case 1002 | 1007:
            return "auth.failure", "broke the WebSocket protocol"
        case 1011:
            return "auth.disconnect", "stopped answering pings"
        case _:
            return "auth.disconnect", "server stopping"


def _header(request: Request, name: str) -> str | None:
    values = request.headers.get_all(name)
    return ", ".join(values) if values else None
