"""What the server says, as the structs of `messages`. Pure.

A newer server may say more: unknown members are ignored, and so are unknown types. A known type that
does not hold is neither: to ignore it would show an old state as the latest.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from passivbot_ws_plugin.errors import WebSocketPluginError
from passivbot_ws_plugin.messages import (
    AuthResult,
    Bots,
    Challenge,
    ConfigChanged,
    ConfigMessage,
    EventMessage,
    Gap,
    Pong,
    StatisticsDelta,
    StatisticsMessage,
    Subscribed,
    Unsubscribed,
)


class UnusableError(WebSocketPluginError):
    """What the server says cannot be used; the text does not repeat it."""


class Failure(Struct, frozen=True, tag_field="type", tag="error"):
    """An ``error``, with a code that may be newer than this client."""

    message: str
    code: str = "internal"
    id: Raw | UnsetType = UNSET


Answer = ConfigMessage | Bots | Pong | Subscribed | Unsubscribed | Failure
Incoming = (
    AuthResult | Challenge | StatisticsMessage | StatisticsDelta | EventMessage | Gap | ConfigChanged | Answer
)


class _Typed(Struct):
    type: str


_decoder: Final = msgspec.json.Decoder(Incoming)
_type_decoder: Final = msgspec.json.Decoder(_Typed)
_KNOWN: Final = frozenset(kind.__struct_config__.tag for kind in Incoming.__args__)


def decode(frame: str | bytes) -> Incoming | None:
    """Read a message; None if it is of a type that is not known here.

    Raises:
        UnusableError: It is no message of this protocol.
    """
    try:
        message: Incoming = _decoder.decode(frame)
        return message
    except msgspec.ValidationError as exc:
        if _is_of_unknown_type(frame):
            return None
        # msgspec's text names the place in the message and the types, not the value.
        raise UnusableError(f"the server sent a message that does not hold: {exc}") from exc
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise UnusableError("the server sent something that is not JSON, or nests too deep") from exc


def _is_of_unknown_type(frame: str | bytes) -> bool:
    try:
        return _type_decoder.decode(frame).type not in _KNOWN
    except (msgspec.DecodeError, RecursionError):
        return False


def answered_id(message: Incoming) -> str | int | None:
    """The id of the request that a message answers; None if it answers none."""
    raw = getattr(message, "id", UNSET)
    if raw is UNSET:
        return None
    try:
        return msgspec.json.decode(raw, type=str | int)
    except msgspec.ValidationError:  # none of ours
        return None
