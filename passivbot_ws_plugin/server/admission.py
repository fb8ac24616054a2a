"""The stranger's half of a connection: from its request to its login, or to its end.

What counts as a login is `login`'s to say, who has to wait `throttle`'s; here each attempt is heard,
answered and put on record.
"""

from __future__ import annotations

import asyncio
import math
from http import HTTPStatus
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from passivbot_ws_plugin.access.auth import Authenticator, Principal
from passivbot_ws_plugin.access.login import Admission, Asked, Login, Rejection, reject
from passivbot_ws_plugin.access.throttle import Throttle
from passivbot_ws_plugin.audit import Audit, AuditEvent, Visitor
from passivbot_ws_plugin.close_codes import (
    CLOSE_AUTH_FAILED,
    CLOSE_AUTH_TIMEOUT,
    CLOSE_THROTTLED,
    CLOSE_TRY_LATER,
)
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.log import get_logger
from passivbot_ws_plugin.rate import TokenBucket
from passivbot_ws_plugin.settings.parsing import Settings

from . import http
from .arrival import Arrival
from .connection import Connection
from .unheard import LEFT, why_unheard

#: The reason of a rejection that is no failure: the address has to wait.
_LOCKED: Final = "address is locked"

#: When a login that cannot be recorded may be tried again, seconds.
_RECORD_S: Final = 5

#: How often a limited key may log in, in the long run.
_LOGINS_PER_S: Final = 1.0

_log = get_logger(__name__)


class AdmissionControl:
    """Decides who comes in, by the settings that count now.

    Args:
        settings: The first ones.
        cache: Whose bots are named in the record.
        audit: The record.

    Attributes:
        throttle: Which addresses have to wait.
    """

    def __init__(self, settings: Settings, cache: Cache, audit: Audit) -> None:
        self._settings = settings
        self._cache = cache
        self._audit = audit
        self._authenticator = _authenticator(settings)
        self._logins: dict[str, TokenBucket] = {}  # by key, of those that are limited
        self.throttle = Throttle(settings.options.limits, asyncio.get_running_loop().time)

    def use(self, settings: Settings) -> bool:
        """Judge by other settings from now on; whether some that logged in may have to go."""
        old, self._settings = self._settings, settings
        if (old.credentials, old.options.auth) == (settings.credentials, settings.options.auth):
            return False  # the verifiers cost some milliseconds for each key
        self._authenticator = _authenticator(settings)
        known = {credential.key for credential in settings.credentials}
        self._logins = {key: bucket for key, bucket in self._logins.items() if key in known}
        return True

    def why_revoked(self, principal: Principal) -> str | None:
        """Why who logged in may not stay; None: it may."""
        return self._authenticator.why_revoked(principal)

    # --- the handshake -----------------------------------------------------------------

    def receive_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Before the handshake: answer plain HTTP, turn away who is too many or has to wait."""
        assert isinstance(connection, Connection)
        if not http.is_websocket(request):
            return http.answer(request, self._failure)
        if not (http.is_path(request.path) and http.are_lists_short(request)):
            self.refuse(connection, "bad handshake")
            return http.respond(HTTPStatus.BAD_REQUEST, http.NO_HANDSHAKE)
        turned = connection.turned
        if turned is not None:
            self.refuse(connection, turned.reason)
            return http.turn_away(turned.status, turned.retry_after_s)
        wait_s = self.throttle.wait_s(connection.host)
        if wait_s > 0:
            self.record("auth.throttled", _LOCKED, connection, connection.visitor())
            why = "Too many failed logins from this address."
            return http.turn_away(HTTPStatus.TOO_MANY_REQUESTS, math.ceil(wait_s), why)
        origins = self._settings.options.origins
        origin = connection.visitor().origin
        if origins is not None and origin is not None and origin not in origins:
            self.refuse(connection, "origin not allowed")
            return http.respond(HTTPStatus.FORBIDDEN, "This origin may not connect.\n")
        return None

    def check_response(
        self, connection: ServerConnection, _request: Request, response: Response
    ) -> Response | None:
        """After the library's own checks: record whom it refuses, and say no more than the status.

        Its words repeat what the stranger sent.
        """
        assert isinstance(connection, Connection)
        if connection.protocol.handshake_exc is None:
            return None
        self.refuse(connection, "bad handshake")
        return http.refuse(response)

    @property
    def _failure(self) -> str | None:
        is_blocked = self._audit.failure is not None and self._settings.options.audit.required
        return "audit" if is_blocked else None

    # --- the login ---------------------------------------------------------------------

    async def admit(self, connection: Connection, visitor: Visitor) -> Admission | None:
        """Hear a stranger out and record what came of it; None if it was sent away."""
        login = Login()
        deadline = connection.connected_at + self._settings.options.limits.auth_s
        try:
            if connection.loop.time() >= deadline:  # what is there already would be heard without a wait
                raise TimeoutError
            async with asyncio.timeout_at(deadline):
                verdict = await self._hear(connection, login)
        except (TimeoutError, ConnectionClosed) as exc:
            event, reason = why_unheard(exc, connection.protocol)
            if event == "auth.failure":
                self.throttle.failed(connection.host)
            self.record(event, reason, connection, visitor, method=login.method)
            await connection.close(CLOSE_AUTH_TIMEOUT, "authentication timed out")  # if it is open still
            return None
        except Exception:  # an error of ours, which the server logs: an attempt it was all the same
            self.record("auth.failure", "internal error", connection, visitor, method=login.method)
            raise
        if isinstance(verdict, Admission):
            return await self._let_in(connection, visitor, verdict)
        await self._send_away(connection, visitor, verdict)
        return None

    async def _hear(self, connection: Connection, login: Login) -> Admission | Rejection:
        while True:
            frame = await connection.recv()
            wait_s = math.ceil(self.throttle.wait_s(connection.host))
            if wait_s > 0:  # locked since it connected: nothing of the frame is looked at
                message = f"Authentication failed: too many failed attempts; try again in {wait_s} s"
                return reject(_LOCKED, message, retry_after_s=wait_s)
            # Judged by the credentials that count now, in the same breath as it was read.
            verdict = login.receive(frame, self._authenticator)
            if not isinstance(verdict, Asked):
                return verdict
            connection.send_text(verdict.answer)

    async def _let_in(
        self, connection: Connection, visitor: Visitor, admission: Admission
    ) -> Admission | None:
        principal = admission.principal
        if not self._may_use(principal, connection):
            self.record(
                "auth.throttled", "connections_per_key", connection, visitor, key=principal.key,
                method=principal.method,
            )  # fmt: skip
            message = "Authentication failed: too many connections with this key; try again later"
            connection.send_text(reject("connections_per_key", message).answer)
            await connection.close(CLOSE_TRY_LATER, "too many connections with this key")
            return None
        is_recorded = self.record(
            "auth.success", "accepted", connection, visitor, key=principal.key, method=principal.method
        )
        if not is_recorded:
            if self._settings.options.audit.required:
                self.record(
                    "auth.failure", "login cannot be recorded", connection, visitor, key=principal.key,
                    method=principal.method,
                )  # fmt: skip
                message = "Authentication failed: the server cannot record logins now; try again later"
                connection.send_text(reject("not recorded", message, retry_after_s=_RECORD_S).answer)
                await connection.close(CLOSE_TRY_LATER, "logins cannot be recorded")
                return None
            _log.warning("auth.success_not_on_record", key=principal.key, peer=visitor.peer)
        if principal.method == "token" and self._authenticator.token_policy == "warn":
            _log.warning("auth.token_used", key=principal.key, peer=visitor.peer)
        return admission

    def _may_use(self, principal: Principal, connection: Connection) -> bool:
        """Whether one more connection is not too many for a key, nor its logins for the record."""
        if principal.credential == self._settings.credentials[0]:
            return connection.promote(None)
        burst = self._settings.options.limits.connections_per_key
        bucket = TokenBucket(_LOGINS_PER_S, burst, connection.loop.time)
        return self._logins.setdefault(principal.key, bucket).take() and connection.promote(principal.key)

    async def _send_away(self, connection: Connection, visitor: Visitor, rejection: Rejection) -> None:
        is_locked = rejection.reason == _LOCKED
        if not is_locked:
            self.throttle.failed(connection.host)
        event: AuditEvent = "auth.throttled" if is_locked else "auth.failure"
        self.record(event, rejection.reason, connection, visitor, key=rejection.key, method=rejection.method)
        connection.send_text(rejection.answer)
        if is_locked:
            await connection.close(CLOSE_THROTTLED, "too many failed attempts")
        else:
            await connection.close(CLOSE_AUTH_FAILED, "authentication failed")

    # --- the record --------------------------------------------------------------------

    def refuse(self, connection: Arrival, reason: str) -> None:
        """Put on record that a connection was turned away."""
        self.record("connection.refused", reason, connection, connection.visitor())

    def gone(self, connection: Arrival) -> None:
        """Put on record that one that asked rightly was gone before it was answered."""
        self.record(*LEFT, connection, connection.visitor())

    def record(
        self,
        event: AuditEvent,
        reason: str,
        connection: Arrival,
        visitor: Visitor,
        *,
        key: str | None = None,
        method: str | None = None,
    ) -> bool:
        """Put it on record; whether that could be done."""
        return self._audit.record(
            event,
            visitor,
            reason=reason,
            latency_s=connection.loop.time() - connection.connected_at,
            key=key,
            # One that is revoked was ours a moment ago.
            key_is_ours=key is not None and (event == "auth.revoked" or self._authenticator.knows(key)),
            method=method,
            failures=self.throttle.failures(connection.host),
            bots=tuple(self._cache.bots),
        )


def _authenticator(settings: Settings) -> Authenticator:
    return Authenticator(settings.credentials, settings.options.auth.token)
