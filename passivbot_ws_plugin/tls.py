"""TLS: the server's certificate, loaded once and again when its files change, and its handshake."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import cast

from passivbot_hooks import UnusableFileError, open_regular

from .errors import SettingsError, TlsHandshakeError, unreadable
from .log import get_logger
from .options import Tls

_log = get_logger(__name__)


class Certificate:
    """A certificate and its key, as a context that new connections use.

    Attributes:
        context: TLS 1.2 or newer; the same object for as long as the server lives.

    Raises:
        SettingsError: The files cannot be read, or do not fit together.
    """

    def __init__(self, files: Tls) -> None:
        self._files = Tls(_expanded("cert", files.cert), _expanded("key", files.key))
        self._seen = self._signature()
        self.context = _make_context(self._files)

    def reload_if_changed(self) -> None:
        """Use what the files hold now, if that is a certificate; else keep the old one and say so."""
        signature = self._signature()
        if signature == self._seen:
            return
        self._seen = signature
        try:
            # Tried on a context of its own: half of a new pair must not spoil the one in use.
            _make_context(self._files)
            self.context.load_cert_chain(self._files.cert, self._files.key, password=_no_passphrase)
        except (SettingsError, OSError) as exc:
            _log.error("tls.not_reloaded", reason=str(exc), consequence="the old certificate stays")
            return
        _log.info("tls.reloaded", cert=self._files.cert)

    def _signature(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stat(path) for path in (self._files.cert, self._files.key))


class _Early(asyncio.Protocol):
    """Keeps what comes before anybody is there to hear it."""

    def __init__(self) -> None:
        self.data = bytearray()

    def data_received(self, data: bytes) -> None:
        self.data += data


class Threshold(_Early):
    """Where a connection waits from when it is accepted until its TLS begins.

    What comes meanwhile is for TLS. asyncio reads nothing of a transport that is paused in
    `connection_made`; uvloop begins to read after it all the same.

    Args:
        transport: The connection's, plain; of which nothing was read yet.
        protocol: What is to speak over TLS. Until TLS begins, it is told if the connection is lost.
    """

    def __init__(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._transport = transport
        self._protocol = protocol
        transport.set_protocol(self)
        transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Keep it, and have no more of it read before TLS does."""
        self._transport.pause_reading()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._protocol.connection_lost(exc)

    async def secure(
        self, context: ssl.SSLContext, *, handshake_s: float, shutdown_s: float
    ) -> tuple[asyncio.Transport, bytes]:
        """Do the server's part of a TLS handshake.

        The protocol is the new transport's from then on. It is told nothing of the handshake, its
        failure neither.

        Args:
            context: The certificate.
            handshake_s: What the handshake may take.
            shutdown_s: What the other end may take to answer the end of TLS.

        Returns:
            The transport over TLS, and what came over it already.

        Raises:
            TlsHandshakeError: There is no TLS; the plain transport is cut off.
        """
        loop, transport, early = asyncio.get_running_loop(), self._transport, _Early()
        if self.data:  # `start_tls` puts TLS's protocol in place at once, and has it read a turn later
            loop.call_soon(self._hand_over)
        try:
            secured = await loop.start_tls(
                transport, early, context, server_side=True, ssl_handshake_timeout=handshake_s,
                ssl_shutdown_timeout=shutdown_s,
            )  # fmt: skip
        except OSError as exc:  # TLS's own errors too
            transport.abort()
            is_garbage = isinstance(exc, ssl.SSLError)
            raise TlsHandshakeError("bad TLS handshake" if is_garbage else "no TLS handshake") from exc
        # asyncio has no error for a connection that was cut off meanwhile, nor for one that ended its
        # TLS in the same breath as it began it.
        if secured is None or secured.is_closing():
            transport.abort()
            raise TlsHandshakeError("no TLS handshake")
        secured.set_protocol(self._protocol)
        return secured, bytes(early.data)

    def _hand_over(self) -> None:
        """Have TLS read what was kept, as if it came now."""
        tls = cast("asyncio.BufferedProtocol", self._transport.get_protocol())
        while self.data:
            buffer = memoryview(tls.get_buffer(len(self.data)))
            size = min(len(buffer), len(self.data))
            buffer[:size] = self.data[:size]
            tls.buffer_updated(size)
            del self.data[:size]


def _expanded(name: str, path: str) -> str:
    """The path with the home folder in place of ``~``."""
    try:
        return str(Path(path).expanduser())
    except RuntimeError as exc:  # ~nobody
        raise SettingsError(f"plugins.websocket.tls.{name}", f"{path!r} is no path") from exc


def _stat(path: str) -> tuple[int, int, int] | None:
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _make_context(files: Tls) -> ssl.SSLContext:
    for name, path in (("cert", files.cert), ("key", files.key)):
        try:
            with open_regular(Path(path)):  # a FIFO in its place would hold up the whole loop
                pass
        except UnusableFileError as exc:
            raise SettingsError(f"plugins.websocket.tls.{name}", f"{path} is not a regular file") from exc
        except OSError as exc:
            raise SettingsError(f"plugins.websocket.tls.{name}", unreadable(path, exc)) from exc
        except ValueError as exc:
            raise SettingsError(f"plugins.websocket.tls.{name}", f"{path!r} is no path") from exc
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # It costs the server more than the client. OpenSSL 3 refuses it by itself, 1.1.1 does not.
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        # A passphrase would be asked for on the terminal, which a server may not have.
        context.load_cert_chain(files.cert, files.key, password=_no_passphrase)
    except (ssl.SSLError, OSError) as exc:
        raise SettingsError(
            "plugins.websocket.tls",
            f"{files.cert} and {files.key} are no certificate and its private key in PEM, "
            "without a passphrase",
        ) from exc
    return context


def _no_passphrase() -> str:
    return ""
