"""The server's certificate, loaded once and again when its files change."""

from __future__ import annotations

import ssl
from pathlib import Path

from passivbot_hooks import UnusableFileError, open_regular
from passivbot_ws_plugin.errors import SettingsError
from passivbot_ws_plugin.log import get_logger
from passivbot_ws_plugin.settings.options import Tls
from passivbot_ws_plugin.settings.paths import expanded, unreadable

_log = get_logger(__name__)


class Certificate:
    """A certificate and its key, as a context that new connections use.

    Attributes:
        context: TLS 1.2 or newer; the same object for as long as the server lives.

    Raises:
        SettingsError: The files cannot be read, or do not fit together.
    """

    def __init__(self, files: Tls) -> None:
        self._files = Tls(
            cert=expanded(files.cert, "plugins.websocket.tls.cert"),
            key=expanded(files.key, "plugins.websocket.tls.key"),
        )
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
