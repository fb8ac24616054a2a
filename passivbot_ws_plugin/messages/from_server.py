"""All that the server says, and its encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from .basics import Error, Pong
from .bots import Bots
from .configs import ConfigChanged, ConfigMessage
from .events import EventMessage, Gap
from .logins import AuthResult, Challenge
from .statistics import StatisticsDelta, StatisticsMessage
from .subscriptions import Subscribed, Unsubscribed

ServerMessage = (
    AuthResult
    | Challenge
    | StatisticsMessage
    | StatisticsDelta
    | EventMessage
    | Gap
    | ConfigMessage
    | ConfigChanged
    | Bots
    | Subscribed
    | Unsubscribed
    | Pong
    | Error
)

_encoder: Final = msgspec.json.Encoder()


def encode(message: ServerMessage) -> bytes:
    """A message as UTF-8 JSON."""
    return _encoder.encode(message)


def encode_value(value: Mapping[str, Any]) -> Raw:
    """A part of a message, made of `clean` values, as JSON."""
    return Raw(_encoder.encode(value))
