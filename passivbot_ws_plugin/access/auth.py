"""Credentials to a `Principal`, or to a reason. No I/O; the wall clock is given."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from passivbot_ws_plugin.messages import Auth
from passivbot_ws_plugin.settings.credentials import Credential
from passivbot_ws_plugin.settings.options import Scope, TokenPolicy

from .scram import ScramError, ScramExchange, ScramVerifiers

_TOKEN_SHAPE: Final = re.compile(r"[0-9a-f]{64}")

#: What a stranger is told of a wrong key part, a wrong token and a wrong proof alike.
WRONG_CREDENTIALS: Final = "Authentication failed: wrong token or public_key_part"

#: Reasons, for the owner's record, of a login that is refused and of one that is revoked alike.
_EXPIRED: Final = "key expired"
_TOKEN_DENIED: Final = "token denied by auth.token"

Method = Literal["token", "scram"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who logged in.

    Attributes:
        credential: By what. It is revoked when this is no longer among the settings'.
        method: How.
    """

    credential: Credential
    method: Method

    @property
    def key(self) -> str:
        """The key part, the public name of the credential."""
        return self.credential.key

    def may(self, scope: Scope) -> bool:
        """Whether it may see something."""
        return scope in self.credential.scopes


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
    return hashlib.sha256(_bytes(password + key_part)).hexdigest()


class Authenticator:
    """Checks logins against the settings' credentials.

    Attributes:
        token_policy: Whether the published token is accepted.
    """

    def __init__(
        self,
        credentials: Sequence[Credential],
        token_policy: TokenPolicy = "allow",
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.token_policy = token_policy
        self._wall_clock = wall_clock
        self._credentials = tuple(credentials)
        self._tokens = tuple(make_token(credential.password, credential.key) for credential in credentials)
        self._verifiers = ScramVerifiers(credentials)

    def check_token(self, attempt: Auth) -> Principal | Refusal:
        """Check a login by token. A wrong key part costs the same work as a wrong token."""
        if self.token_policy == "deny":
            return Refusal(
                _TOKEN_DENIED,
                "Authentication failed: this server takes SCRAM-SHA-256 only, not the token",
            )
        if _TOKEN_SHAPE.fullmatch(attempt.token) is None:
            return Refusal(
                "token malformed",
                "Authentication failed: bad format; token must be 64 lower-case hexadecimal digits",
            )
        found: Credential | None = None
        is_key_known = False
        claimed = _bytes(attempt.public_key_part)
        # Every credential is compared, the right one too: how long it takes tells nothing.
        for credential, token in zip(self._credentials, self._tokens, strict=True):
            key_is_right = hmac.compare_digest(claimed, _bytes(credential.key))
            token_is_right = hmac.compare_digest(attempt.token, token)
            is_key_known |= key_is_right
            if key_is_right and token_is_right:
                found = credential
        if found is None:
            return Refusal("wrong token" if is_key_known else "unknown public_key_part", WRONG_CREDENTIALS)
        return self._admit(found, "token")

    def scram(self) -> ScramExchange:
        """A new SCRAM exchange."""
        return self._verifiers.exchange()

    def finish_scram(self, exchange: ScramExchange, client_final: str) -> tuple[Principal, str] | Refusal:
        """Check a proof; the principal and the server's own proof, or why not."""
        credential = exchange.credential
        try:
            server_final = exchange.finish(client_final)
        except ScramError as exc:
            reason = str(exc) if credential is not None else "unknown public_key_part"
            return Refusal(reason, WRONG_CREDENTIALS)
        if credential is None:  # nobody has the password of the made-up keys
            return Refusal("unknown public_key_part", WRONG_CREDENTIALS)
        if credential not in self._credentials:
            return Refusal("credentials changed during the login", WRONG_CREDENTIALS)
        verdict = self._admit(credential, "scram")
        return verdict if isinstance(verdict, Refusal) else (verdict, server_final)

    def _admit(self, credential: Credential, method: Method) -> Principal | Refusal:
        if credential.has_expired(self._wall_clock()):
            return Refusal(_EXPIRED, WRONG_CREDENTIALS)
        return Principal(credential, method)

    def why_revoked(self, principal: Principal) -> str | None:
        """Why one that logged in may not stay; None: by today's settings, it could log in again."""
        if principal.credential not in self._credentials:
            return "credentials changed"
        if principal.credential.has_expired(self._wall_clock()):
            return _EXPIRED
        if principal.method == "token" and self.token_policy == "deny":
            return _TOKEN_DENIED
        return None

    def knows(self, key_part: str) -> bool:
        """Whether a key part is one of ours, and so may stand in a log."""
        return any(credential.key == key_part for credential in self._credentials)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
