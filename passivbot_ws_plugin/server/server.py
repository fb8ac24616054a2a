"""The asyncio shell: the connections of one listening socket, from handshake to end.

Who comes in is `gate`'s and `admission`'s to say, what a connection may do then `session`'s, what it is
sent `hub`'s; here is the listening, the conversation and the end.

Messages are compressed once for all, without context takeover: a compressor of its own would cost each
client some 32 KiB, and the server most of its time. See `prepared`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from functools import partial
from typing import Final

from websockets.asyncio.server import Server as WebSocketListener
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.protocol import State

from passivbot_ws_plugin.access.auth import Principal
from passivbot_ws_plugin.access.gate import Gate
from passivbot_ws_plugin.access.login import Admission
from passivbot_ws_plugin.addresses import is_loopback
from passivbot_ws_plugin.audit import Audit, Visitor
from passivbot_ws_plugin.close_codes import (
    CLOSE_BAD_MESSAGES,
    CLOSE_INTERNAL_ERROR,
    CLOSE_RESTART,
    CLOSE_REVOKED,
)
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.log import get_logger
from passivbot_ws_plugin.messages import Channel
from passivbot_ws_plugin.rate import TokenBucket
from passivbot_ws_plugin.settings.parsing import Settings, make_address
from passivbot_ws_plugin.streaming.hub import Hub
from passivbot_ws_plugin.streaming.session import Answer, Session
from passivbot_ws_plugin.streaming.subscriber import Subscriber

from . import http
from .admission import AdmissionControl
from .arrival import CLOSE_TIMEOUT_S, Door, bound_unacknowledged
from .certificate import Certificate
from .connection import Connection

#: How often what nobody announces is looked for: expired keys, a new certificate, seconds.
HOUSEKEEPING_S: Final = 1.0

#: How many new connections the loop takes before it looks at the others again. asyncio's hundred are
#: a longer pause for everybody else.
ACCEPT_AT_ONCE: Final = 4

#: How many may wait in the kernel meanwhile.
_QUEUE: Final = 128

#: One window for all that take it, so that a message is compressed once (RFC 7692 section 7.1.2.1). What
#: clients send is small: they need no window beyond a message either.
_DEFLATE: Final = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True, client_no_context_takeover=True, server_max_window_bits=15
)

#: How long a stranger may take to take what it was answered, seconds.
_STRANGER_UNACKNOWLEDGED_S: Final = 5.0

#: What the end of connections that were cut off may take, seconds.
_ABORT_S: Final = 0.5

_log = get_logger(__name__)

# The library tells of each connection's ups and downs, and warns of those that end while they are
# written to. Its errors are errors, the library's or ours: no stranger's garbage is one.
_library_log = logging.getLogger("passivbot_ws_plugin.websockets")
_library_log.setLevel(logging.ERROR)


class Server:
    """Serves the cache on one address with one set of settings, until stopped."""

    def __init__(self, settings: Settings, cache: Cache, audit: Audit) -> None:
        self.settings = settings
        self._cache = cache
        self._audit = audit
        self._hub = Hub(cache, settings.options.limits)
        self._admission = AdmissionControl(settings, cache, audit)
        self._certificate = None if settings.options.tls is None else Certificate(settings.options.tls)
        context = None if self._certificate is None else self._certificate.context
        limits = settings.options.limits
        self._door = Door(limits, Gate(limits), self._admission.refuse, self._admission.gone, context)
        self._listener: WebSocketListener | None = None
        self._housekeeping: asyncio.Task[None] | None = None
        self._admitted: dict[Connection, tuple[Principal, Visitor]] = {}
        # One message for each turn of the loop, whoever it is from: a hundred at once are no long turn.
        self._message = asyncio.Lock()

    async def start(self) -> str:
        """Listen; returns the address, such as ``ws://127.0.0.1:8765``.

        Raises:
            OSError: The address cannot be bound.
        """
        limits = self.settings.options.limits
        http.prepare()
        self._listener = await serve(
            self._handle,
            self.settings.host,
            self.settings.port,
            create_connection=partial(Connection, self._door),  # type: ignore[arg-type]  # the library calls it
            process_request=self._admission.receive_request,
            process_response=self._admission.check_response,
            compression=None,  # the library's own; ours is among the extensions
            extensions=[_DEFLATE],
            server_header=None,
            open_timeout=limits.handshake_s,
            ping_interval=limits.ping_interval_s,
            ping_timeout=limits.ping_timeout_s,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=limits.message_bytes_unauthenticated,
            logger=_library_log,
            backlog=ACCEPT_AT_ONCE,
        )
        for listening in self._listener.sockets:
            with socket.socket(fileno=os.dup(listening.fileno())) as again:  # asyncio's own cannot listen
                again.listen(_QUEUE)  # asyncio has one number for this and for how many it takes at once
                bound_unacknowledged(again, _STRANGER_UNACKNOWLEDGED_S)  # which its connections inherit
        self._housekeeping = asyncio.create_task(self._keep_house(), name="housekeeping")
        host, port = self._listener.sockets[0].getsockname()[:2]
        return make_address(host, port, self.settings.options)

    def publish(self, channel: Channel, bot: str) -> None:
        """Tell the subscribers of a channel that the cache has something new of a bot."""
        self._hub.publish(channel, bot)

    def use(self, settings: Settings) -> None:
        """Take on other credentials and policies for the same address; end whom they revoke."""
        self.settings = settings
        if self._admission.use(settings):
            self._revoke()

    async def stop(self, timeout_s: float) -> None:
        """Stop listening and close every connection with 1012, stuck or not, within the time."""
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        listener.close(code=CLOSE_RESTART, reason="the server is going away")
        for connection in tuple(self._door.connections):
            if connection.request is None:  # it may be silent for as long as a handshake may take
                connection.transport.abort()
        try:
            async with asyncio.timeout(timeout_s):
                await listener.wait_closed()
        except TimeoutError:
            for connection in tuple(self._door.connections):
                connection.transport.abort()
            # Their handlers end as soon as the loop tells them; the bound is for what we
            # did not think of.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ABORT_S):
                    await listener.wait_closed()

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            try:
                self._audit.flush()
                self._hub.check_all()
                self._revoke()
                if self._certificate is not None:
                    self._certificate.reload_if_changed()
            except Exception:  # noqa: BLE001  one turn's bug is not to end the expiry of keys
                _log.exception("housekeeping.failed")

    def _revoke(self) -> None:
        for connection, (principal, visitor) in tuple(self._admitted.items()):
            reason = self._admission.why_revoked(principal)
            if reason is not None:
                del self._admitted[connection]
                self._admission.record(
                    "auth.revoked", reason, connection, visitor, key=principal.key, method=principal.method
                )
                connection.cut(CLOSE_REVOKED, reason)  # at once: what is published next is not for it

    async def _handle(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Connection)
        visitor = connection.visitor()
        try:
            connection.begin()
            admission = await self._admission.admit(connection, visitor)
            if admission is not None:
                await self._converse(connection, visitor, admission)
        except ConnectionClosed:
            return
        except Exception:  # noqa: BLE001  one connection's bug is not to end the others
            _log.exception("connection.failed", peer=visitor.peer, conn=visitor.conn)
            await connection.close(CLOSE_INTERNAL_ERROR, "internal error")

    async def _converse(self, connection: Connection, visitor: Visitor, admission: Admission) -> None:
        limits, principal = self.settings.options.limits, admission.principal
        client = Subscriber(connection, limits, connection.loop.time)
        session = Session(
            principal,
            self._cache,
            include_secrets=lambda: self._may_see_secrets(connection, principal),
            bad_messages_max=limits.bad_messages,
            rate=TokenBucket(limits.messages_per_s, limits.messages_burst, connection.loop.time),
        )
        connection.protocol.max_message_size = limits.message_bytes
        self._admitted[connection] = principal, visitor
        try:
            # No await from the verdict to the subscriptions, and none in the fan-out: whatever changes
            # is either in what a subscription begins with or told after it, never neither, never twice.
            connection.send_text(admission.answer)
            self._hub.join(client)
            is_over = any(self._give(client, answer) for answer in session.begin(admission.subscribe))
            while not is_over:
                frame = await connection.recv()
                async with self._message:
                    if connection.state is not State.OPEN:  # what it said before its end is of no use now
                        return
                    is_over = self._give(client, session.receive(frame))
                    await asyncio.sleep(0)
            await connection.close(CLOSE_BAD_MESSAGES, "too many bad messages")
        finally:
            self._hub.leave(client)
            self._admitted.pop(connection, None)

    def _give(self, client: Subscriber, answer: Answer) -> bool:
        """Do as an answer says; whether it was the last."""
        if answer.payload is not None:
            self._hub.answer(client, answer.payload)
        if answer.feed is not None and answer.channel is not None:
            self._hub.subscribe(client, answer.channel, answer.feed)
        elif answer.channel is not None:
            self._hub.unsubscribe(client, answer.channel)
        return answer.is_last

    def _may_see_secrets(self, connection: Connection, principal: Principal) -> bool:
        policy = self.settings.options.config_secrets
        is_private = connection.is_encrypted or is_loopback(connection.host)
        # A further key has scopes and an end, which the other passwords would get it around.
        is_owner = principal.credential == self.settings.credentials[0]
        is_revoked = self._admission.why_revoked(principal) is not None  # it may be there for a moment yet
        return is_owner and not is_revoked and (policy == "include" or (policy == "auto" and is_private))
