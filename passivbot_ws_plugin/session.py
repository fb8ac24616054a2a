"""What one connection may do next. No I/O: frames in, frames and verdicts out.

A connection begins as a stranger with a `Login`. Only that returns an `Admission`, and only
an `Admission`'s principal makes a `Session`: nothing that a session hands out can reach a
connection that did not log in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .auth import Authenticator, Method, Principal, Refusal
from .cache import Cache
from .errors import ErrorCode, ProtocolError
from .messages import (
    Auth,
    AuthProof,
    AuthResult,
    Challenge,
    ConfigMessage,
    Error,
    GetConfig,
    Hello,
    Ping,
    Pong,
    decode,
    echo,
    encode,
)
from .rate import TokenBucket
from .scram import MECHANISM, ScramError, ScramExchange

#: WebSocket close codes of this protocol (RFC 6455 section 7.4.2, the private range).
CLOSE_BAD_MESSAGES: Final = 4400
CLOSE_AUTH_FAILED: Final = 4401
CLOSE_REVOKED: Final = 4403
CLOSE_AUTH_TIMEOUT: Final = 4408
CLOSE_TOO_SLOW: Final = 4410
CLOSE_THROTTLED: Final = 4429
CLOSE_RESTART: Final = 1012
CLOSE_TRY_LATER: Final = 1013

_SUCCESS: Final = "Authentication successful"

_FIRST_MESSAGE: Final = (
    'Authentication failed: bad format; the first message must be {"type":"auth","token":...,'
    '"public_key_part":...}, both strings'
)
_HELLO: Final = (
    'Authentication failed: bad format; send {"type":"hello","mechanism":"SCRAM-SHA-256",'
    '"data":client-first-message}'
)
_PROOF: Final = (
    'Authentication failed: bad format; after a challenge send {"type":"auth","data":client-final-message}'
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
        method: How it tried, as far as it got.
    """

    reason: str
    answer: bytes
    key: str | None = None
    method: Method | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A stranger began SCRAM; ``answer`` is the challenge, and one more frame is due."""

    answer: bytes


def reject(
    reason: str,
    message: str,
    request_id: bytes | None = None,
    *,
    key: str | None = None,
    method: Method | None = None,
) -> Rejection:
    """A rejection with its answer.

    Args:
        reason: Exact, for the owner's record.
        message: For the stranger.
        request_id: The request's id, to be echoed.
        key: The key part that was claimed.
        method: How it tried.
    """
    return Rejection(reason, encode(AuthResult(False, message, id=echo(request_id))), key, method)


class Login:
    """The one attempt of a stranger: a token, or a hello and a proof."""

    def __init__(self) -> None:
        self._exchange: ScramExchange | None = None

    @property
    def method(self) -> Method | None:
        """How it tries, as far as it got."""
        return None if self._exchange is None else "scram"

    def receive(self, frame: str | bytes, authenticator: Authenticator) -> Admission | Rejection | Asked:
        """Judge a frame, by the credentials that count now."""
        try:
            request = decode(frame)
        except ProtocolError as exc:
            return reject(
                exc.message, _PROOF if self._exchange else _FIRST_MESSAGE, exc.id, method=self.method
            )
        match request:
            case Auth() if self._exchange is None:
                return self._check_token(request, authenticator)
            case Hello() if self._exchange is None:
                return self._begin(request, authenticator)
            case AuthProof() if self._exchange is not None:
                return self._check_proof(request, self._exchange, authenticator)
        if self._exchange is not None:
            return reject("no proof after the challenge", _PROOF, request.id, method="scram")
        return reject("a request before auth", _FIRST_MESSAGE, request.id)

    @staticmethod
    def _check_token(attempt: Auth, authenticator: Authenticator) -> Admission | Rejection:
        verdict = authenticator.check_token(attempt)
        key = attempt.public_key_part
        if isinstance(verdict, Refusal):
            return reject(verdict.reason, verdict.message, attempt.id, key=key, method="token")
        return Admission(verdict, encode(AuthResult(True, _SUCCESS, id=echo(attempt.id))))

    def _begin(self, hello: Hello, authenticator: Authenticator) -> Rejection | Asked:
        if hello.mechanism != MECHANISM:
            return reject("unknown mechanism", _HELLO, hello.id, method="scram")
        exchange = authenticator.scram()
        try:
            data = exchange.challenge(hello.data)
        except ScramError as exc:
            return reject(str(exc), _HELLO, hello.id, key=exchange.key, method="scram")
        self._exchange = exchange
        return Asked(encode(Challenge(data, id=echo(hello.id))))

    @staticmethod
    def _check_proof(
        proof: AuthProof, exchange: ScramExchange, authenticator: Authenticator
    ) -> Admission | Rejection:
        verdict = authenticator.finish_scram(exchange, proof.data)
        if isinstance(verdict, Refusal):
            return reject(verdict.reason, verdict.message, proof.id, key=exchange.key, method="scram")
        principal, server_final = verdict
        answer = AuthResult(True, _SUCCESS, data=server_final, id=echo(proof.id))
        return Admission(principal, encode(answer))


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
        include_secrets: Whether a config is sent to this client as it is; asked each time, because
            the owner may change it meanwhile.
        bad_messages_max: At which bad message the conversation ends.
        rate: How fast it may speak.
    """

    def __init__(
        self,
        principal: Principal,
        cache: Cache,
        *,
        include_secrets: Callable[[], bool],
        bad_messages_max: int,
        rate: TokenBucket,
    ) -> None:
        self.principal = principal
        self._cache = cache
        self._include_secrets = include_secrets
        self._bad_messages_max = bad_messages_max
        self._bad_messages = 0
        self._rate = rate

    def receive(self, frame: str | bytes) -> Answer:
        """Answer a frame."""
        try:
            if not self._rate.take():  # before it is parsed: that is the work that is limited
                raise ProtocolError("rate_limited", "too many messages; send fewer")
            return Answer(self._answer(frame))
        except ProtocolError as exc:
            self._bad_messages += 1
            payload = encode(Error(exc.message, exc.code, echo(exc.id)))
            return Answer(payload, is_last=self._bad_messages >= self._bad_messages_max)

    def _answer(self, frame: str | bytes) -> bytes:
        request = decode(frame)
        match request:
            case Ping():
                return encode(Pong(echo(request.id)))
            case GetConfig():
                return self._config(request)
            case _:
                raise ProtocolError("invalid_message", "already authenticated", id=request.id)

    def _config(self, request: GetConfig) -> bytes:
        if not self.principal.may("config"):
            return self._refuse("forbidden", "this key may not see the config", request)
        name = self._cache.first_bot() if request.bot is None else request.bot
        config = None if name is None else self._cache.config(name, include_secrets=self._include_secrets())
        if name is None or config is None:
            which = "no config is known yet" if request.bot is None else "no config is known of that bot"
            return self._refuse("unavailable", which, request)
        return encode(ConfigMessage(config, name, echo(request.id)))

    @staticmethod
    def _refuse(code: ErrorCode, message: str, request: GetConfig) -> bytes:
        return encode(Error(message, code, echo(request.id)))
