"""What ends a client for good, and what a request may get in place of its answer, as a tree.

::

    ClientError                 everything that the client raises on purpose
    ├── LoginError              the server did not let it in: other credentials are needed
    ├── RevokedError            it was in, and its key was changed, taken away, or is over
    ├── ServerNotProvenError    the other end could not show that it is the server: it may be somebody else
    ├── BadMessagesError        the server had enough of what the client sent: one of the two is to be mended
    ├── RequestError            the server's answer to a request, or to a subscription, is an ``error``
    └── ClosedError             it was closed, is not opened yet, or is to be opened again

A connection that is lost is no error: it is an update (`updates.Lost`), and the client tries again.
"""

from __future__ import annotations

from passivbot_ws_plugin.errors import WebSocketPluginError
from passivbot_ws_plugin.messages import Channel


class ClientError(WebSocketPluginError):
    """Base of the errors that the client raises on purpose. None holds the password or the token."""


class LoginError(ClientError):
    """The server did not let the client in. Trying again with the same credentials would lock the address."""


class RevokedError(ClientError):
    """The key was changed or taken away, or its time is over."""


class ServerNotProvenError(ClientError):
    """Whoever answered did not show that it knows the password, or has no valid certificate."""


class BadMessagesError(ClientError):
    """The server closed because of too many messages that it did not understand, or too many at all."""


class RequestError(ClientError):
    """The server answered with an ``error``.

    Attributes:
        code: For programs; docs/protocol.md has the list, and a newer server may have more.
        message: For people.
        channel: Which subscription it refuses; None: none, it answers a request.
    """

    def __init__(self, code: str, message: str, channel: Channel | None = None) -> None:
        self.code = code
        self.message = message
        self.channel = channel
        super().__init__(f"{code}: {message}")


class ClosedError(ClientError):
    """There is nobody to ask: the client was closed, or not opened yet. And it is opened once only."""
