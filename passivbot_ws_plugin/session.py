"""What one connection may do next. No I/O: frames in, frames and verdicts out.

A connection begins as a stranger whose one frame goes to `authenticate`. Only that
returns an `Admission`, and only an `Admission`'s principal makes a `Session`: nothing
that a session hands out can reach a connection that did not log in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .auth import Authenticator, Principal, Refusal
from .cache import Cache
from .errors import ProtocolError
from .messages import (
    Auth,
    AuthResult,
    ConfigMessage,
    Error,
    GetConfig,
    Ping,
    Pong,
    decode,
    echo,
    encode,
)

#: WebSocket close codes of this protocol (RFC 6455 section 7.4.2, the private range).
CLOSE_BAD_MESSAGES: Final = 4400
CLOSE_AUTH_FAILED: Final = 4401
CLOSE_REVOKED: Final = 4403
CLOSE_AUTH_TIMEOUT: Final = 4408
CLOSE_TOO_SLOW: Final = 4410
CLOSE_RESTART: Final = 1012

_FIRST_MESSAGE: Final = (
    'Authentication failed: bad format; the first message must be {"type":"auth","token":...,'
    '"public_key_part":...}, both strings'
)


@dataclass(frozen=True, slots=True)
class Admission:
    """A stranger proved to be the principal; ``answer`` tells it so."""

    principal: Principal
    answer: bytes


@dataclass(frozen=True, slots=True)
class Rejection:
    """A stranger did not get in; ``answer`` tells it so, ``reason`` is for the owner.

    Attributes:
        key: The key part that was claimed, if any; it may hold anything.
    """

    reason: str
    answer: bytes
    key: str | None


def authenticate(frame: str | bytes, authenticator: Authenticator) -> Admission | Rejection:
    """Judge the one frame of a stranger."""
    try:
        attempt = decode(frame)
    except ProtocolError as exc:
        return _reject(exc.message, _FIRST_MESSAGE, exc.id)
    if not isinstance(attempt, Auth):
        return _reject("a request before auth", _FIRST_MESSAGE, attempt.id)
    verdict = authenticator.check(attempt)
    if isinstance(verdict, Refusal):
        return _reject(verdict.reason, verdict.message, attempt.id, key=attempt.public_key_part)
    result = AuthResult(True, "Authentication successful", echo(attempt.id))
    return Admission(verdict, encode(result))


def _reject(reason: str, message: str, request_id: bytes | None, key: str | None = None) -> Rejection:
    return Rejection(reason, encode(AuthResult(False, message, echo(request_id))), key)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send, and whether the connection is to be closed after it with 4400."""

    payload: bytes
    is_last: bool = False


class Session:
    """The conversation with one client that logged in.

    Args:
        principal: Who it is.
        cache: What is known of the bots.
        include_secrets: Whether a config is sent to this client as it is.
        bad_messages_max: At which bad message the conversation ends.
    """

    def __init__(
        self, principal: Principal, cache: Cache, *, include_secrets: bool, bad_messages_max: int
    ) -> None:
        self.principal = principal
        self._cache = cache
        self._include_secrets = include_secrets
        self._bad_messages_max = bad_messages_max
        self._bad_messages = 0

    def receive(self, frame: str | bytes) -> Answer:
        """Answer a frame."""
        try:
            match decode(frame):
                case Ping(id=request_id):
                    return Answer(encode(Pong(echo(request_id))))
                case GetConfig(bot=bot, id=request_id):
                    return Answer(self._config(bot, request_id))
                case Auth(id=request_id):
                    raise ProtocolError("invalid_message", "already authenticated", id=request_id)
        except ProtocolError as exc:
            self._bad_messages += 1
            payload = encode(Error(exc.message, exc.code, echo(exc.id)))
            return Answer(payload, is_last=self._bad_messages >= self._bad_messages_max)

    def _config(self, bot: str | None, request_id: bytes | None) -> bytes:
        name = self._cache.first_bot() if bot is None else bot
        config = None if name is None else self._cache.config(name, include_secrets=self._include_secrets)
        if name is None or config is None:
            message = "no config is known yet" if bot is None else "no config is known of that bot"
            return encode(Error(message, "unavailable", echo(request_id)))
        return encode(ConfigMessage(config, name, echo(request_id)))
