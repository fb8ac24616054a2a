"""What can go wrong, as a tree.

::

    WebSocketPluginError        everything this package raises on purpose
    ├── SettingsError           a setting that is missing, unknown or wrong
    │   └── NotConfiguredError  no password or key part: the owner does not want a server
    ├── ProtocolError           a message from a client that breaks the protocol
    ├── TlsHandshakeError       a connection that did not get as far as TLS
    ├── AuditFileError          an audit file that cannot be opened or trusted (`audit.store`)
    ├── ClientError             what ends the Python client (`client.errors`, with a tree of its own)
    └── ...                     never seen outside: ScramError, UnsayableError; in the client RefusedError,
                                UnusableError, LostError
"""

from __future__ import annotations

from typing import Literal

#: The stable codes of an ``error`` message.
ErrorCode = Literal[
    "invalid_json",
    "invalid_message",
    "unknown_type",
    "unavailable",
    "forbidden",
    "rate_limited",
    "too_large",
    "internal",
]


class WebSocketPluginError(Exception):
    """Base of the errors that this package raises on purpose."""


class SettingsError(WebSocketPluginError):
    """A setting is missing, unknown or wrong.

    Attributes:
        path: The key in the config, such as ``plugins.websocket.limits.auth_s``.
        reason: What is wrong and what would be right. Never holds a secret.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")


class NotConfiguredError(SettingsError):
    """The config has no password or key part, so there is to be no server."""


class ProtocolError(WebSocketPluginError):
    """A client's message breaks the protocol.

    Attributes:
        code: The stable code for programs.
        message: For people. Holds nothing of the message and no exception's text.
        id: The request's ``id`` as JSON text, to be echoed, if it had a valid one.
    """

    def __init__(self, code: ErrorCode, message: str, *, id: bytes | None = None) -> None:  # noqa: A002
        self.code = code
        self.message = message
        self.id = id
        super().__init__(f"{code}: {message}")


class TlsHandshakeError(WebSocketPluginError):
    """A connection did not get as far as TLS; the text is the reason for the owner's record."""
