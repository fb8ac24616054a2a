"""Credentials to a `Principal`, or to a reason. Pure: no I/O, no clock."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

from .messages import Auth

_TOKEN_SHAPE: Final = re.compile(r"[0-9a-f]{64}")

#: What a stranger is told of a wrong key part and of a wrong token alike.
WRONG_CREDENTIALS: Final = "Authentication failed: wrong token or public_key_part"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who logged in.

    Attributes:
        key: The key part, the public name of the credentials.
    """

    key: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody was not let in.

    Attributes:
        reason: Exact, for the owner's record.
        message: For the stranger.
    """

    reason: str
    message: str


def make_token(password: str, key_part: str) -> str:
    """The published token: lower-case hex of SHA-256 over the UTF-8 of password and key part."""
    return hashlib.sha256((password + key_part).encode("utf-8", "surrogatepass")).hexdigest()


class Authenticator:
    """Checks logins against one set of credentials."""

    def __init__(self, password: str, key_part: str) -> None:
        self._key_part = key_part
        self._token = make_token(password, key_part)

    def check(self, attempt: Auth) -> Principal | Refusal:
        """Check a login. A wrong key part costs the same work as a wrong token."""
        if _TOKEN_SHAPE.fullmatch(attempt.token) is None:
            return Refusal(
                "token malformed",
                "Authentication failed: bad format; token must be 64 lower-case hexadecimal digits",
            )
        key_is_right = hmac.compare_digest(_bytes(attempt.public_key_part), _bytes(self._key_part))
        token_is_right = hmac.compare_digest(attempt.token, self._token)
        if key_is_right and token_is_right:
            return Principal(self._key_part)
        return Refusal("wrong token" if key_is_right else "unknown public_key_part", WRONG_CREDENTIALS)

    def knows(self, key_part: str) -> bool:
        """Whether a key part is one of ours, and so may stand in a log."""
        return key_part == self._key_part


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
