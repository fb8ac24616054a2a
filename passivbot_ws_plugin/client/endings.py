"""What the end of a connection, or an attempt that came to nothing, means: try again, or stop. Pure."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidProxy, InvalidStatus
from websockets.frames import Close

from passivbot_ws_plugin.close_codes import (
    CLOSE_AUTH_FAILED,
    CLOSE_BAD_MESSAGES,
    CLOSE_REVOKED,
    CLOSE_THROTTLED,
    CLOSE_TRY_LATER,
)

from .errors import BadMessagesError, ClientError, LoginError, RevokedError, ServerNotProvenError
from .login import RefusedError

#: What "later" means where the server does not say, seconds.
LATER_S: Final = 5.0

#: After these it is later.
_LATER: Final = frozenset({CLOSE_THROTTLED, CLOSE_TRY_LATER})

_WORDS_MAX: Final = 200

#: What an HTTP status means here, where it means more than the number.
_STATUSES: Final[Mapping[int, str]] = {
    429: ": too many failed logins or connections from this address",
    503: ": it takes no more connections now, or is not ready",
}

#: After these the client stops: what it would try again would fail again, and count against it.
_FOR_GOOD: Final[Mapping[int, tuple[type[ClientError], str]]] = {
    CLOSE_AUTH_FAILED: (LoginError, "check key and password, and whether the server takes this method"),
    CLOSE_REVOKED: (
        RevokedError,
        "the key was changed, taken away, or is over; other credentials are needed",
    ),
    CLOSE_BAD_MESSAGES: (
        BadMessagesError,
        "the server did not take what this client sent; send less, or update it",
    ),
}


@dataclass(frozen=True, slots=True)
class Loss:
    """The client tries again.

    Attributes:
        reason: Why it must; for people.
        code: The close code or the HTTP status, if there was one.
        not_before_s: How long the server asks it to wait, seconds.
    """

    reason: str
    code: int | None = None
    not_before_s: float = 0.0


def judge(error: Exception) -> Loss:
    """What to make of it.

    Raises:
        ClientError: The client is to stop.
    """
    match error:
        case RefusedError():
            return _refused(error)
        case ConnectionClosed(rcvd=Close(code=code, reason=words)):
            return _closed(code, words)
        case ConnectionClosed(sent=sent):
            is_silent = sent is not None and sent.reason == "keepalive ping timeout"
            return Loss("the server does not answer pings" if is_silent else "the connection was cut")
        case InvalidStatus(response=response):
            status = response.status_code
            hint = "; give the address that it leads to" if 300 <= status < 400 else _STATUSES.get(status, "")
            wait_s = retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC))
            return Loss(f"the server answered HTTP {status}{hint}", status, wait_s)
        case ssl.SSLCertVerificationError():
            raise ServerNotProvenError(
                f"the server's certificate does not hold: {error.verify_message}; if it is of an authority "
                "of your own, set SSL_CERT_FILE=cert.pem in the environment, or pass "
                f"tls=ssl.create_default_context(cafile=...){_missing_cert_file()}"
            ) from error
        case InvalidProxy():  # its text holds the address, and that may hold a password
            raise ClientError("the proxy's address is none; see proxy= and HTTPS_PROXY") from None
        case _:
            return Loss(_words(str(error) or type(error).__name__) + _scheme_hint(error))


def _missing_cert_file() -> str:
    """Said because OpenSSL passes over a file that is not there."""
    path = os.environ.get("SSL_CERT_FILE")
    return f"; SSL_CERT_FILE names {path}, which is no file" if path and not os.path.isfile(path) else ""  # noqa: PTH113  it never raises


def _refused(refusal: RefusedError) -> Loss:
    """A refused login is not tried again, whatever the connection ends with, but where it was not heard."""
    code, wait_s = refusal.code, refusal.retry_after_s
    if code in _LATER or wait_s is not None:
        return Loss(_words(refusal.message), code, wait_s or LATER_S)
    return _closed(code if code is not None and code in _FOR_GOOD else CLOSE_AUTH_FAILED, refusal.message)


def _closed(code: int, words: str) -> Loss:
    words = _words(words)
    if code in _FOR_GOOD:
        kind, advice = _FOR_GOOD[code]
        raise kind(f"{words or 'closed'} ({code}): {advice}")
    return Loss(f"closed with {code}: {words}", code, LATER_S if code in _LATER else 0.0)


def retry_after_s(value: str | None, now: datetime) -> float:
    """The seconds of a ``Retry-After`` (RFC 9110 section 10.2.3), which may be a date; 0: there is none."""
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):  # no date; one without a zone; one beyond the calendar
        return 0.0


def _scheme_hint(error: Exception) -> str:
    """What to try where the address may begin with the wrong one of ws:// and wss://.

    All these are of attempts: once a connection is open, what ends it is a `ConnectionClosed`.
    """
    match error:
        case ssl.SSLError() | ConnectionResetError():
            return "; the server may not speak TLS: try ws://"
        case InvalidMessage():
            return "; the server may speak TLS: try wss://"
        case _:
            return ""


def _words(text: str) -> str:
    """Somebody else's words, fit for a line of a log."""
    return "".join(character if character.isprintable() else " " for character in text[:_WORDS_MAX])
