"""The login, by the published token or by SCRAM-SHA-256: what both sides say of it."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType

from .values import FromOne


class Auth(Struct, frozen=True):
    """A login with the published token: lower-case hex SHA-256 of password and key part.

    Attributes:
        token: The token.
        public_key_part: The key part.
        subscribe: Subscriptions that begin with the login, in place of the published one: each an
            object with the fields of `Subscribe`, and checked as one; None: the published one.
        id: Echoed.
    """

    token: str
    public_key_part: str
    subscribe: list[Any] | None = None
    id: bytes | None = None


class Hello(Struct, frozen=True):
    """The beginning of a SCRAM login.

    Attributes:
        mechanism: ``SCRAM-SHA-256``; there is no other.
        data: The client-first-message (RFC 5802); the user name in it is the key part.
        id: Echoed.
    """

    mechanism: str
    data: str
    id: bytes | None = None


class Challenge(Struct, frozen=True, tag_field="type", tag="challenge"):
    """The answer to ``hello``.

    Attributes:
        data: SCRAM's server-first-message (RFC 5802).
        id: The request's id.
    """

    data: str
    id: Raw | UnsetType = UNSET


class AuthProof(Struct, frozen=True):
    """The end of a SCRAM login: an ``auth`` with a proof in place of the token.

    Attributes:
        data: The client-final-message (RFC 5802).
        subscribe: As in `Auth`.
        id: Echoed.
    """

    data: str
    subscribe: list[Any] | None = None
    id: bytes | None = None


class AuthResult(Struct, frozen=True, tag_field="type", tag="auth_result"):
    """The answer to ``auth``, and the only message that a stranger ever gets unasked.

    Attributes:
        success: Whether the client is in.
        message: For people.
        data: After SCRAM: the server's own proof (RFC 5802, server-final-message).
        retry_after_s: Where the login was not heard, because the address failed too often or logins cannot be
            recorded: when to try again, seconds. Without it, other credentials are needed.
        id: The request's id.
    """

    success: bool
    message: str
    data: str | UnsetType = UNSET
    retry_after_s: FromOne | UnsetType = UNSET
    id: Raw | UnsetType = UNSET
