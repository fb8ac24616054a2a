"""Which server, as whom, and how long to wait for it: what a client is made of, checked once."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from passivbot_ws_plugin.addresses import is_loopback

from .login import Method, check_scram

_METHODS: Final = ("scram", "token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long the client waits; seconds.

    Attributes:
        open_s: For the connection and its opening handshake, through a proxy too.
        login_s: For the login after that.
        ping_interval_s: Between two keepalive pings.
        ping_timeout_s: For the answer to one; then the connection counts as lost.
        retry_first_s: The bound of the first pause between attempts; each is a random part of its bound.
        retry_max_s: What the bound doubles up to.
        stable_s: How long a connection has to hold for the bound to begin anew.
        patience_s: How long nothing is read when there is no room for events, before the client does
            without them until there is.
    """

    open_s: float = 10.0
    login_s: float = 10.0
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 10.0
    retry_first_s: float = 0.5
    retry_max_s: float = 30.0
    stable_s: float = 30.0
    patience_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which server, and as whom.

    Attributes:
        url: The server's address, ``ws://`` or ``wss://``.
        key: The key part.
        password: The password; not in the repr.
        method: How to log in.
        allow_plaintext_token: Send the token unencrypted to another machine.
        tls: For ``wss://``: whom to trust, if not the system's authorities.
        proxy: The proxy's address; True: what the environment names; None: none.
        timing: How long to wait.

    Raises:
        ValueError: It cannot work, or would give the password away.
    """

    url: str
    key: str
    password: str = field(repr=False)
    method: Method
    allow_plaintext_token: bool
    tls: ssl.SSLContext | None
    proxy: str | Literal[True] | None = field(repr=False)  # may hold a password too
    timing: Timing

    def __post_init__(self) -> None:
        parts = _parts(self.url)
        # Not the address itself: a password may stand in its place, or in it.
        if parts is None or parts.scheme not in {"ws", "wss"} or not parts.hostname:
            raise ValueError("an address begins with ws:// or wss:// and a host, such as ws://127.0.0.1:8765")
        if not _has_port(parts):
            raise ValueError("the port of the address must be a number from 0 to 65535")
        if parts.username is not None or parts.password is not None:
            raise ValueError("no credentials in url: it stands in logs; pass key and password")
        if parts.scheme == "ws" and self.tls is not None:
            raise ValueError("tls is for wss://; ws:// is not encrypted")
        if not self.key or not self.password:
            raise ValueError("key and password must not be empty")
        if self.method not in _METHODS:
            raise ValueError(f"method must be one of {', '.join(_METHODS)}")
        if self.method == "scram":
            check_scram(self.key, self.password)
        elif parts.scheme == "ws" and not self.is_loopback and not self.allow_plaintext_token:
            raise ValueError(
                "the token is as good as the password for whoever sees it, and ws:// shows it to everybody "
                'between here and there: use wss:// or method="scram", or pass allow_plaintext_token=True'
            )

    @property
    def is_encrypted(self) -> bool:
        """Whether it is ``wss://``."""
        return urlsplit(self.url).scheme == "wss"

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine; a proxy has no business there."""
        return is_loopback(urlsplit(self.url).hostname or "")


def _parts(url: str) -> SplitResult | None:
    """An address's parts, if its host can be asked for."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
    except ValueError:  # a bracket, an empty or too long part of a name
        return None
    return parts if (parts.hostname or "").isprintable() else None


def _has_port(parts: SplitResult) -> bool:
    """Whether the port is one, or left out."""
    try:
        return parts.port is None or parts.port >= 0
    except ValueError:
        return False
