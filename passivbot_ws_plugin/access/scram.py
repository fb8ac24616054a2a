"""SCRAM-SHA-256 (RFC 5802, RFC 7677), by the library scramp: mutual proof, and no secret on the wire.

::

    client  hello      {"mechanism": "SCRAM-SHA-256", "data": client-first-message}
    server  challenge  {"data": server-first-message}
    client  auth       {"data": client-final-message}
    server  auth_result {"success": true, "data": server-final-message}

The user name is the key part. The server's last message proves that it knows the password too.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from scramp import ScramException, ScramMechanism

from passivbot_ws_plugin.errors import WebSocketPluginError
from passivbot_ws_plugin.log import get_logger
from passivbot_ws_plugin.settings.credentials import Credential

MECHANISM: Final = "SCRAM-SHA-256"

#: RFC 7677 asks for 4096 at least; more would slow a browser's login, and the password is long.
ITERATIONS: Final = 4096

_mechanism: Final = ScramMechanism(MECHANISM)

_log = get_logger(__name__)

#: What scramp needs to check a proof: salt, stored key, server key, iterations.
_AuthInfo = tuple[bytes, bytes, bytes, int]


class ScramError(WebSocketPluginError):
    """An exchange that does not prove the password, for whatever reason."""


class ScramVerifiers:
    """What is kept of each credential to check its proofs; made once, since it costs some ms each."""

    def __init__(self, credentials: Sequence[Credential]) -> None:
        self._secret = secrets.token_bytes(32)
        self._infos: dict[str, _AuthInfo] = {}
        self.credentials = {credential.key: credential for credential in credentials}
        for credential in credentials:
            try:
                info = _mechanism.make_auth_info(
                    credential.password, iteration_count=ITERATIONS, salt=self._salt(credential.key)
                )
            except ScramException:  # SASLprep (RFC 4013) forbids some characters
                _log.warning(
                    "scram.unavailable", key=credential.key, reason="its password is no SASLprep text"
                )
                continue
            self._infos[credential.key] = info

    def exchange(self) -> ScramExchange:
        """A new exchange with one client."""
        return ScramExchange(self)

    def info(self, key: str) -> _AuthInfo:
        """What to check a key's proof against.

        An unknown key gets a salt of its own, the same each time, and keys that nobody has the
        password of: it fails at the end and not before, as a wrong password does. They are made
        for a known one too: how long it takes tells nothing.
        """
        made_up = self._salt(key), self._random(key, "stored"), self._random(key, "server"), ITERATIONS
        return self._infos.get(key, made_up)

    def _salt(self, key: str) -> bytes:
        return self._random(key, "salt")[:16]

    def _random(self, key: str, purpose: str) -> bytes:
        text = f"{purpose}\0{key}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, text, hashlib.sha256).digest()


class ScramExchange:
    """One client's proof, in two steps.

    Attributes:
        key: The key part that the client claims, after the first step.
        credential: Whose proof it is, if that is one of ours. The settings may change before the
            proof comes: it is this one's, and no newer one's of the same name.
    """

    def __init__(self, verifiers: ScramVerifiers) -> None:
        self.key: str | None = None
        self.credential: Credential | None = None
        self._verifiers = verifiers
        self._server = _mechanism.make_server(self._info)

    def _info(self, key: str) -> _AuthInfo:
        self.key, self.credential = key, self._verifiers.credentials.get(key)
        return self._verifiers.info(key)

    def challenge(self, client_first: str) -> str:
        """The server's first message.

        Raises:
            ScramError: The client's is none.
        """
        try:
            self._server.set_client_first(client_first)
            first: str = self._server.get_server_first()
        except SCRAM_FAILURES as exc:
            raise ScramError("client-first-message malformed") from exc
        return first

    def finish(self, client_final: str) -> str:
        """The server's final message, which proves the server.

        Raises:
            ScramError: The client's proves nothing.
        """
        try:
            self._server.set_client_final(client_final)
            final: str = self._server.get_server_final()
        except SCRAM_FAILURES as exc:
            raise ScramError("wrong proof") from exc
        return final


# scramp raises its own for what the RFC foresees; a stranger's text finds the rest, such as
# characters that cannot be encoded.
SCRAM_FAILURES: Final = (ScramException, ValueError, LookupError, TypeError, AttributeError)
