"""Every message on the wire: one struct each, one encoder, one decoder. No I/O.

JSON text frames, UTF-8, one object a message. The published messages are ``auth``,
``auth_result``, ``statistics``, ``get_config``, ``config``, ``ping``, ``pong`` and ``error``;
their published fields come first and never change, what was added comes after them.
"""

from __future__ import annotations

from .basics import Error, Ping, Pong
from .bots import BotData, Bots, ListBots
from .configs import ConfigChanged, ConfigMessage, GetConfig
from .conversion import event_data, statistics_data
from .events import EventData, EventMessage, Gap
from .from_client import (
    ID_MAX_CHARS,
    REQUESTS,
    SUBSCRIPTIONS_MAX,
    Request,
    decode,
    decode_subscription,
    echo,
    glance_at_id,
)
from .from_server import ServerMessage, encode, encode_value
from .logins import Auth, AuthProof, AuthResult, Challenge, Hello
from .statistics import HealthData, PositionData, StatisticsData, StatisticsDelta, StatisticsMessage
from .strict_json import DEPTH_MAX
from .subscriptions import (
    CHANNELS_OF,
    Channel,
    Mode,
    Place,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from .values import clean, clean_text

__all__ = [
    "CHANNELS_OF",
    "DEPTH_MAX",
    "ID_MAX_CHARS",
    "REQUESTS",
    "SUBSCRIPTIONS_MAX",
    "Auth",
    "AuthProof",
    "AuthResult",
    "BotData",
    "Bots",
    "Challenge",
    "Channel",
    "ConfigChanged",
    "ConfigMessage",
    "Error",
    "EventData",
    "EventMessage",
    "Gap",
    "GetConfig",
    "HealthData",
    "Hello",
    "ListBots",
    "Mode",
    "Ping",
    "Place",
    "Pong",
    "PositionData",
    "Request",
    "ServerMessage",
    "StatisticsData",
    "StatisticsDelta",
    "StatisticsMessage",
    "Subscribe",
    "Subscribed",
    "Unsubscribe",
    "Unsubscribed",
    "clean",
    "clean_text",
    "decode",
    "decode_subscription",
    "echo",
    "encode",
    "encode_value",
    "event_data",
    "glance_at_id",
    "statistics_data",
]
