"""The one attempt of a stranger to log in. No I/O: frames in, frames and verdicts out.

Only a `Login` returns an `Admission`, and only an `Admission`'s principal makes a `session.Session`:
nothing that a session hands out can reach a connection that did not log in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import UNSET

from passivbot_ws_plugin.errors import ProtocolError
from passivbot_ws_plugin.messages import Auth, AuthProof, AuthResult, Challenge, Hello, decode, echo, encode

from .auth import Authenticator, Method, Principal, Refusal
from .scram import MECHANISM, ScramError, ScramExchange

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
    """A stranger proved to be the principal; ``answer`` tells it so.

    Attributes:
        subscribe: The subscriptions that it asked for with its login, not checked yet.
    """

    principal: Principal
    answer: bytes
    subscribe: Sequence[object] | None = None


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
    retry_after_s: int | None = None,
) -> Rejection:
    """A rejection with its answer.

    Args:
        reason: Exact, for the owner's record.
        message: For the stranger.
        request_id: The request's id, to be echoed.
        key: The key part that was claimed.
        method: How it tried.
        retry_after_s: How long it has to wait, if it has to, seconds.
    """
    wait_s = UNSET if retry_after_s is None else retry_after_s
    answer = AuthResult(False, message, retry_after_s=wait_s, id=echo(request_id))
    return Rejection(reason, encode(answer), key, method)


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
        answer = encode(AuthResult(True, _SUCCESS, id=echo(attempt.id)))
        return Admission(verdict, answer, attempt.subscribe)

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
        return Admission(principal, encode(answer), proof.subscribe)
