"""The asyncio shell: the connections of one listening socket, from handshake to end.

What a connection may do is `session`'s to say, what it is sent `hub`'s, who comes in `gate`'s and
`throttle`'s; here is the I/O, its deadlines and its end.

Compression stays off: the messages are small, a compressor costs a client some 32 KiB and
the server most of its time, and it would let the length of a frame tell of its secrets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from websockets.asyncio.server import Server as WebSocketListener
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.protocol import Protocol

from . import http
from .audit import Audit, AuditEvent, Visitor
from .auth import Authenticator, Principal
from .cache import Cache
from .connection import CLOSE_TIMEOUT_S, Connection
from .gate import Gate
from .hub import Client, Hub
from .log import get_logger
from .messages import Error, encode
from .rate import TokenBucket
from .session import (
    CLOSE_AUTH_FAILED,
    CLOSE_AUTH_TIMEOUT,
    CLOSE_BAD_MESSAGES,
    CLOSE_RESTART,
    CLOSE_REVOKED,
    CLOSE_THROTTLED,
    CLOSE_TRY_LATER,
    Admission,
    Asked,
    Login,
    Rejection,
    Session,
    reject,
)
from .settings import Settings, is_loopback
from .throttle import Throttle
from .tls import Certificate

#: How often what nobody announces is looked for: expired keys, a new certificate, seconds.
HOUSEKEEPING_S: Final = 1.0

#: How many new connections the loop takes before it looks at the others again. asyncio's hundred are
#: a longer pause for everybody else.
ACCEPT_AT_ONCE: Final = 4

#: How many may wait in the kernel meanwhile.
_QUEUE: Final = 128

#: What the end of connections that were cut off may take, seconds.
_ABORT_S: Final = 0.5

_NO_STATISTICS: Final = encode(
    Error("no statistics yet; they are sent as soon as the bot writes some", "unavailable")
)

_NOT_YOURS: Final = encode(Error("this key may not see the statistics", "forbidden"))

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
        self._hub = Hub(cache)
        self._authenticator = _authenticator(settings)
        self._gate = Gate(settings.options.limits)
        self._throttle = Throttle(settings.options.limits, asyncio.get_running_loop().time)
        self._certificate = None if settings.options.tls is None else Certificate(settings.options.tls)
        self._listener: WebSocketListener | None = None
        self._housekeeping: asyncio.Task[None] | None = None
        self._connections: set[Connection] = set()
        self._admitted: dict[Connection, tuple[Principal, Visitor]] = {}
        self._ending: set[asyncio.Task[None]] = set()

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
            create_connection=Connection.factory(limits, self._gate, self._connections, self._refuse),
            process_request=self._receive_request,
            process_response=self._check_response,
            ssl=None if self._certificate is None else self._certificate.context,
            compression=None,
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
            _lengthen_queue(listening.fileno())
        self._housekeeping = asyncio.create_task(self._keep_house(), name="housekeeping")
        host, port = self._listener.sockets[0].getsockname()[:2]
        scheme = "ws" if self._certificate is None else "wss"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def publish(self, bot: str, payload: bytes) -> None:
        """Broadcast a bot's changed state."""
        self._hub.publish(bot, payload)

    def use(self, settings: Settings) -> None:
        """Take on other credentials and policies for the same address; end whom they revoke."""
        old, self.settings = self.settings, settings
        if (old.credentials, old.options.auth) == (settings.credentials, settings.options.auth):
            return  # the verifiers cost some milliseconds for each key
        self._authenticator = _authenticator(settings)
        self._revoke("credentials changed")

    async def stop(self, timeout_s: float) -> None:
        """Stop listening and close every connection with 1012, stuck or not, within the time."""
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        if self._housekeeping is not None:
            self._housekeeping.cancel()
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

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            try:
                self._audit.flush(time.monotonic())
                self._revoke("key expired")
                if self._certificate is not None:
                    self._certificate.reload_if_changed()
            except Exception:  # noqa: BLE001  one turn's bug is not to end the expiry of keys
                _log.exception("housekeeping.failed")

    def _revoke(self, reason: str) -> None:
        for connection, (principal, visitor) in tuple(self._admitted.items()):
            if not self._authenticator.is_valid(principal):
                del self._admitted[connection]
                self._record(
                    "auth.revoked", reason, connection, visitor, key=principal.key, method=principal.method
                )
                # Held by its name: the loop itself keeps weak references to its tasks only.
                task = connection.loop.create_task(connection.end(CLOSE_REVOKED, reason))
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)

    # --- one connection, in the order of its life --------------------------------------

    def _receive_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Before the handshake: answer plain HTTP, turn away who is too many or has to wait."""
        assert isinstance(connection, Connection)
        if not http.is_websocket(request):
            return http.answer(request, self._failure)
        if not http.is_path(request.path):
            self._refuse(connection, "bad handshake")
            return http.respond(HTTPStatus.BAD_REQUEST, http.NO_HANDSHAKE)
        turned = connection.turned
        if turned is not None:
            self._refuse(connection, turned.reason)
            return http.turn_away(turned.status, turned.retry_after_s)
        wait_s = self._throttle.wait_s(connection.host)
        if wait_s > 0:
            self._record("auth.throttled", "address is locked", connection, connection.visitor())
            why = "Too many failed logins from this address."
            return http.turn_away(HTTPStatus.TOO_MANY_REQUESTS, math.ceil(wait_s), why)
        origins = self.settings.options.origins
        origin = connection.visitor().origin
        if origins is not None and origin is not None and origin not in origins:
            self._refuse(connection, "origin not allowed")
            return http.respond(HTTPStatus.FORBIDDEN, "This origin may not connect.\n")
        return None

    def _check_response(
        self, connection: ServerConnection, _request: Request, response: Response
    ) -> Response | None:
        """After the library's own checks: record whom it refuses, and say no more than the status.

        Its words repeat what the stranger sent.
        """
        assert isinstance(connection, Connection)
        if connection.protocol.handshake_exc is None:
            return None
        self._refuse(connection, "bad handshake")
        return http.refuse(response)

    def _refuse(self, connection: Connection, reason: str) -> None:
        self._record("connection.refused", reason, connection, connection.visitor())

    @property
    def _failure(self) -> str | None:
        is_blocked = self._audit.failure is not None and self.settings.options.audit.required
        return "audit" if is_blocked else None

    async def _handle(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Connection)
        visitor = connection.visitor()
        try:
            connection.receive_early()
            admission = await self._admit(connection, visitor)
            if admission is not None:
                await self._converse(connection, visitor, admission)
        except ConnectionClosed:  # without a close frame: the network, or a crash at the other end
            return
        except Exception:  # noqa: BLE001  one connection's bug is not to end the others
            _log.exception("connection.failed", peer=visitor.peer, conn=visitor.conn)
            await connection.end(CloseCode.INTERNAL_ERROR, "internal error")

    async def _admit(self, connection: Connection, visitor: Visitor) -> Admission | None:
        """Hear a stranger out and record what came of it; None if it was sent away."""
        login = Login()
        deadline = connection.connected_at + self.settings.options.limits.auth_s
        try:
            async with asyncio.timeout_at(deadline):
                verdict = await self._hear(connection, login)
        except (TimeoutError, ConnectionClosed) as exc:
            event, reason = _why_unheard(exc, connection.protocol)
            if event == "auth.failure":
                self._throttle.failed(connection.host)
            self._record(event, reason, connection, visitor, method=login.method)
            await connection.end(CLOSE_AUTH_TIMEOUT, "authentication timed out")  # if it is open still
            return None
        except Exception:  # an error of ours, which `_handle` logs: an attempt it was all the same
            self._record("auth.failure", "internal error", connection, visitor, method=login.method)
            raise
        if isinstance(verdict, Admission):
            return await self._let_in(connection, visitor, verdict)
        await self._send_away(connection, visitor, verdict)
        return None

    async def _hear(self, connection: Connection, login: Login) -> Admission | Rejection:
        while True:
            frame = await connection.recv()
            wait_s = math.ceil(self._throttle.wait_s(connection.host))
            if wait_s > 0:  # locked since it connected: nothing of the frame is looked at
                return reject(
                    _LOCKED, f"Authentication failed: too many failed attempts; try again in {wait_s} s"
                )
            # Judged by the credentials that count now, in the same breath as it was read.
            verdict = login.receive(frame, self._authenticator)
            if not isinstance(verdict, Asked):
                return verdict
            connection.write(verdict.answer)

    async def _let_in(
        self, connection: Connection, visitor: Visitor, admission: Admission
    ) -> Admission | None:
        principal = admission.principal
        is_recorded = self._record(
            "auth.success", "accepted", connection, visitor, key=principal.key, method=principal.method
        )
        if not is_recorded:
            if self.settings.options.audit.required:
                self._record(
                    "auth.failure", "login cannot be recorded", connection, visitor, key=principal.key,
                    method=principal.method,
                )  # fmt: skip
                message = "Authentication failed: the server cannot record logins now; try again later"
                connection.write(reject("not recorded", message).answer)
                await connection.end(CLOSE_TRY_LATER, "logins cannot be recorded")
                return None
            _log.warning("auth.success_not_on_record", key=principal.key, peer=visitor.peer)
        connection.promote()
        if principal.method == "token" and self._authenticator.token_policy == "warn":
            _log.warning("auth.token_used", key=principal.key, peer=visitor.peer)
        return admission

    async def _send_away(self, connection: Connection, visitor: Visitor, rejection: Rejection) -> None:
        is_locked = rejection.reason == _LOCKED
        if not is_locked:
            self._throttle.failed(connection.host)
        event: AuditEvent = "auth.throttled" if is_locked else "auth.failure"
        self._record(event, rejection.reason, connection, visitor, key=rejection.key, method=rejection.method)
        connection.write(rejection.answer)
        if is_locked:
            await connection.end(CLOSE_THROTTLED, "too many failed attempts")
        else:
            await connection.end(CLOSE_AUTH_FAILED, "authentication failed")

    async def _converse(self, connection: Connection, visitor: Visitor, admission: Admission) -> None:
        limits, principal = self.settings.options.limits, admission.principal
        client = Client(connection, limits, connection.loop.time)
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
            # No await from the verdict to the join: whatever changes is either in the
            # snapshot or broadcast after it, never neither and never twice.
            connection.write(admission.answer)
            if principal.may("statistics"):
                self._hub.join(client)
                if self._cache.is_empty:
                    connection.write(_NO_STATISTICS)
            else:
                connection.write(_NOT_YOURS)
            async for frame in connection:
                answer = session.receive(frame)
                self._hub.answer(client, answer.payload)
                if answer.is_last:
                    await connection.end(CLOSE_BAD_MESSAGES, "too many bad messages")
                    return
        finally:
            self._hub.leave(client)
            self._admitted.pop(connection, None)

    def _record(
        self,
        event: AuditEvent,
        reason: str,
        connection: Connection,
        visitor: Visitor,
        *,
        key: str | None = None,
        method: str | None = None,
    ) -> bool:
        return self._audit.record(
            event,
            visitor,
            reason=reason,
            latency_s=connection.loop.time() - connection.connected_at,
            key=key,
            key_is_ours=key is not None and self._authenticator.knows(key),
            method=method,
            failures=self._throttle.failures(connection.host),
            bots=self._cache.bots,
        )

    def _may_see_secrets(self, connection: Connection, principal: Principal) -> bool:
        policy = self.settings.options.config_secrets
        is_private = connection.is_encrypted or is_loopback(connection.host)
        # A further key has scopes and an end, which the other passwords would get it around.
        is_owner = principal.credential == self.settings.credentials[0]
        return is_owner and (policy == "include" or (policy == "auto" and is_private))


#: The reason of a rejection that is no failure: the address has to wait.
_LOCKED: Final = "address is locked"


def _lengthen_queue(descriptor: int) -> None:
    """Have more connections wait in the kernel than are taken at once, which asyncio makes one number."""
    with socket.socket(fileno=os.dup(descriptor)) as again:
        again.listen(_QUEUE)


def _authenticator(settings: Settings) -> Authenticator:
    return Authenticator(settings.credentials, settings.options.auth.token)


def _why_unheard(exc: TimeoutError | ConnectionClosed, protocol: Protocol) -> tuple[AuditEvent, str]:
    """What a connection without a login stands for in the record."""
    sent = protocol.close_sent
    if sent is None and isinstance(exc, TimeoutError):
        return "auth.timeout", "no auth message in time"
    if sent is None or protocol.close_rcvd_then_sent:  # the peer ended it, or the network did
        return "auth.disconnect", "left without an auth message"
    # Sent before the deadline, even if the peer let that pass too before it closed.
    return _WHY_CLOSED.get(sent.code, ("auth.disconnect", "server stopping"))


#: What a close code that the server sent to a stranger stands for in the record.
_WHY_CLOSED: Final[Mapping[int, tuple[AuditEvent, str]]] = {
    1002: ("auth.failure", "broke the WebSocket protocol"),
    1007: ("auth.failure", "broke the WebSocket protocol"),
    1009: ("auth.failure", "message too large"),
    1011: ("auth.disconnect", "stopped answering pings"),
    CLOSE_THROTTLED: ("auth.failure", "too many frames"),
}
