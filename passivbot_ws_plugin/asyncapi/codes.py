"""What each close code and each code of an ``error`` means; docs/protocol.md has the same tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from passivbot_ws_plugin import close_codes
from passivbot_ws_plugin.errors import ErrorCode


class CloseCode(NamedTuple):
    """A close code.

    Attributes:
        meaning: Why the server closed.
        reconnect: Whether to come back, and when.
    """

    meaning: str
    reconnect: str


_NEW_CREDENTIALS: Final = "no: other credentials are needed"
_SAME_AGAIN: Final = "yes; if it comes again, mend the client"

CLOSE_CODES: Final[Mapping[int, CloseCode]] = {
    1000: CloseCode("normal", "as you like"),
    1001: CloseCode("normal", "as you like"),
    1002: CloseCode("a frame was against RFC 6455", _SAME_AGAIN),
    1007: CloseCode("a text was no UTF-8", _SAME_AGAIN),
    1009: CloseCode(
        "a message was too large (8 KiB before the login, 64 KiB after it)", "yes, with smaller ones"
    ),
    1011: CloseCode("pings were not answered, or an error of the server's own", "yes"),
    close_codes.CLOSE_RESTART: CloseCode("the server restarts or moves", "yes, after a random pause"),
    close_codes.CLOSE_TRY_LATER: CloseCode(
        "logins cannot be recorded now, too many others were about to log in, or too many use the key",
        "yes, later",
    ),
    close_codes.CLOSE_BAD_MESSAGES: CloseCode("too many bad messages", "no: mend the client"),
    close_codes.CLOSE_AUTH_FAILED: CloseCode("authentication failed", _NEW_CREDENTIALS),
    close_codes.CLOSE_REVOKED: CloseCode(
        "the key was changed, taken away, or is over, or the token is denied now", _NEW_CREDENTIALS
    ),
    close_codes.CLOSE_AUTH_TIMEOUT: CloseCode("no `auth` message in time", "yes"),
    close_codes.CLOSE_TOO_SLOW: CloseCode(
        "too slow (it may show as a reset connection: a client that does not read does not read this either)",
        "yes",
    ),
    close_codes.CLOSE_THROTTLED: CloseCode(
        "throttled: the address failed too often, or too many frames",
        "yes, later; after `retry_after_s` where the `auth_result` had it",
    ),
}

ERROR_CODES: Final[Mapping[ErrorCode, str]] = {
    "invalid_json": (
        "not JSON; nested deeper than 16; more than 2,000 objects and lists; a key twice; NaN, Infinity or a "
        "number beyond all floats"
    ),
    "invalid_message": (
        "not an object, no `type`, wrong arguments, a wrong `id`, a binary frame, `auth` again"
    ),
    "unknown_type": "no such request",
    "unavailable": "nothing is known yet",
    "forbidden": "the key has not the scope for it",
    "rate_limited": "too many messages",
    "too_large": "reserved",
    "internal": "reserved",
}
