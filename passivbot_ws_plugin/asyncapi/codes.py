"""What each close code and each code of an ``error`` means; docs/protocol.md has the same table."""

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

CLOSE_CODES: Final[Mapping[int, CloseCode]] = {
    1000: CloseCode("normal", "as you like"),
    1001: CloseCode("normal", "as you like"),
    1009: CloseCode("a message was too large", "yes, with smaller ones"),
    close_codes.CLOSE_RESTART: CloseCode("the server restarts or moves", "yes, after a random pause"),
    close_codes.CLOSE_TRY_LATER: CloseCode("logins cannot be recorded now", "yes, later"),
    close_codes.CLOSE_BAD_MESSAGES: CloseCode("too many bad messages", "no: mend the client"),
    close_codes.CLOSE_AUTH_FAILED: CloseCode("authentication failed", _NEW_CREDENTIALS),
    close_codes.CLOSE_REVOKED: CloseCode("the key was changed, taken away, or is over", _NEW_CREDENTIALS),
    close_codes.CLOSE_AUTH_TIMEOUT: CloseCode("no auth message in time", "yes"),
    close_codes.CLOSE_TOO_SLOW: CloseCode("the client reads too slowly", "yes"),
    close_codes.CLOSE_THROTTLED: CloseCode(
        "throttled: the address failed too often, or too many frames", "yes, later"
    ),
}

ERROR_CODES: Final[Mapping[ErrorCode, str]] = {
    "invalid_json": "not JSON; nested too deep; a key twice; NaN, Infinity or a number beyond all floats",
    "invalid_message": "no object, no `type`, wrong arguments, a wrong `id`, a binary frame, `auth` again",
    "unknown_type": "no such request",
    "unavailable": "nothing is known yet",
    "forbidden": "the key has not the scope for it",
    "rate_limited": "too many messages",
    "too_large": "reserved",
    "internal": "reserved",
}
