"""Keeps a server where the settings say: through taken ports and changed settings.

Lives on the worker's loop; not thread-safe.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from passivbot_ws_plugin.audit import Audit, AuditFile
from passivbot_ws_plugin.errors import SettingsError
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.log import get_logger
from passivbot_ws_plugin.messages import Channel
from passivbot_ws_plugin.settings.parsing import Settings
from passivbot_ws_plugin.settings.paths import expanded

from .certificate import Certificate
from .server import Server

#: Pauses between two tries to bind, seconds; each is twice the one before.
RETRY_FIRST_S: Final = 0.5
RETRY_MAX_S: Final = 30.0

_log = get_logger(__name__)


class Serving:
    """One server at most, started, moved, retried and stopped as the settings ask.

    Args:
        cache: What the server serves.
        on_address: Told the server's address when it listens, and None when it does not.
    """

    def __init__(self, cache: Cache, on_address: Callable[[str | None], None]) -> None:
        self._cache = cache
        self._on_address = on_address
        self._wanted: Settings | None = None
        self._changed = asyncio.Event()
        self._server: Server | None = None
        self._place: tuple[object, ...] = ()
        self._is_refused = False  # the latest settings
        self._audit: Audit | None = None

    def configure(self, settings: Settings | None) -> None:
        """Serve with these settings from now on; None: do not serve.

        What they revoke is revoked when this returns; moving and stopping take longer, and the server
        that is left hands out no secrets meanwhile.
        """
        if self._server is None or self._use(self._server, settings):
            self._wanted = settings
            self._changed.set()

    def _use(self, server: Server, settings: Settings | None) -> bool:
        """Have the running server judge by other settings at once; whether they are to count."""
        if settings is None:
            server.use(server.settings.without_secrets())
        elif _place(settings) == self._place:
            server.use(settings)
        elif (why := _why_unusable(settings)) is not None:
            consequence = "the last good ones stay; clients see no secrets of the config meanwhile"
            _log.error("settings.refused", reason=why, consequence=consequence)
            server.use(server.settings.without_secrets())
            self._is_refused = True
            return False
        else:
            server.use(settings.without_secrets())  # until it has moved
        if self._is_refused:
            _log.info("settings.in_force")
        self._is_refused = False
        return True

    def publish(self, channel: Channel, bot: str) -> None:
        """Tell the subscribers of a channel that there is something new of a bot, if there is a server."""
        if self._server is not None:
            self._server.publish(channel, bot)

    async def run(self) -> None:
        """Do as the settings ask until cancelled, then stop the server."""
        pause_s = RETRY_FIRST_S
        try:
            while True:
                self._changed.clear()
                await self._adopt()
                wanted = self._wanted  # what is asked for now: a server may have taken its time to stop
                if wanted is None or self._server is not None:
                    pause_s = RETRY_FIRST_S
                    await self._changed.wait()
                    continue
                if await self._try_start(wanted, pause_s):
                    continue
                try:
                    async with asyncio.timeout(pause_s):
                        await self._changed.wait()
                    pause_s = RETRY_FIRST_S  # other settings: another address, perhaps
                except TimeoutError:
                    pause_s = min(pause_s * 2, RETRY_MAX_S)
        finally:
            await self._stop()

    async def _adopt(self) -> None:
        """Stop the running server if it is to be elsewhere, or otherwise, or nowhere."""
        if self._server is None:
            return
        if self._wanted is not None and _place(self._wanted) == self._place:
            self._server.use(self._wanted)  # those that came while it was started
            return
        # Stopped before its successor is bound: 127.0.0.1:8765 cannot be bound while
        # 0.0.0.0:8765 listens, and an owner who closes a door wants it closed.
        await self._stop()

    async def _stop(self) -> None:
        if self._server is None:
            return
        server, self._server = self._server, None
        self._on_address(None)
        try:
            await server.stop(server.settings.options.limits.shutdown_s)
        finally:
            if self._audit is not None:
                self._audit.close()
        _log.info("server.stopped")

    async def _try_start(self, settings: Settings, pause_s: float) -> bool:
        audit: Audit | None = None
        server: Server | None = None
        try:
            audit = _make_audit(settings)
            server = Server(settings, self._cache, audit)
            address = await server.start()
            # Not before it listens: another sidecar's file is locked while its server has the port.
            # A file that cannot be opened is tried again at each record.
            if not audit.open() and settings.options.audit.required:
                _log.error(
                    "server.refuses_logins",
                    reason=audit.failure,
                    consequence="nobody can log in until it can be written; see plugins.websocket.audit",
                )
        except (OSError, ValueError, SettingsError) as exc:  # a host or a path that is none: a NUL, two dots
            if server is not None:
                await server.stop(settings.options.limits.shutdown_s)
            if audit is not None:
                audit.close()
            # One error, then quiet: the owner needs to know once, not at every try.
            level = _log.error if pause_s == RETRY_FIRST_S else _log.debug
            reason = _why(exc, settings) if isinstance(exc, OSError) else str(exc)
            level("server.cannot_listen", reason=reason, next_try_s=pause_s)
            return False
        self._server, self._audit, self._place = server, audit, _place(settings)
        _log.info("server.listening", address=address)
        self._on_address(address)
        return True


def _place(settings: Settings) -> tuple[object, ...]:
    """What a running server cannot change."""
    options = settings.options
    return settings.host, settings.port, options.tls, options.audit, options.limits


def _why_unusable(settings: Settings) -> str | None:
    """What is wrong with what the settings name; None if nothing is."""
    try:
        if settings.options.tls is not None:
            Certificate(settings.options.tls)
    except SettingsError as exc:
        return str(exc)
    return None


def _make_audit(settings: Settings) -> Audit:
    options = settings.options.audit
    path = Path(expanded(options.path, "plugins.websocket.audit.path"))
    file = AuditFile(path, max_bytes=options.max_bytes, keep=options.keep)
    return Audit(file, is_required=options.required)


def _why(exc: OSError, settings: Settings) -> str:
    where = f"{settings.host}:{settings.port}"
    if exc.errno == errno.EADDRINUSE:
        return (
            f"{where} is taken, by another sidecar or by Passivbot's own monitor-relay (its default "
            "port is 8765 too); stop that, or set another live.websocket_port; trying again until it is free"
        )
    # Python 3.13 leaves out the number where no address could be bound.
    if exc.errno == errno.EADDRNOTAVAIL or "could not bind on any address" in str(exc):
        return f"{settings.host} is no address of this machine now; set live.websocket_host to one that is"
    if exc.errno == errno.EACCES:
        return f"{where} needs more rights; set live.websocket_port to 1024 or more"
    if isinstance(exc, socket.gaierror):
        return f"{settings.host} cannot be resolved; set live.websocket_host to an address of this machine"
    return f"{where} cannot be bound: {exc.strerror}"
