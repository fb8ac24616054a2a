"""The Python client: a bot's state, live, and again after every loss of the connection.

::

    async for update in connect("ws://127.0.0.1:8765", key="phone", password="..."):
        match update:
            case StatisticsUpdate(bot=bot, data=data):
                print(bot, data.balance)
            case Lost(reason=reason):
                print("what is shown is old:", reason)
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from passivbot_ws_plugin.messages import (
    BotData,
    Channel,
    ConfigChanged,
    EventData,
    HealthData,
    Place,
    PositionData,
    StatisticsData,
    Subscribe,
)

from .errors import (
    BadMessagesError,
    ClientError,
    ClosedError,
    LoginError,
    RequestError,
    RevokedError,
    ServerNotProvenError,
)
from .login import Method
from .state import State
from .target import Target, Timing
from .updates import Config, Connecting, EventUpdate, GapUpdate, Live, Lost, StatisticsUpdate, Update
from .watcher import Client

__all__ = [
    "BadMessagesError",
    "BotData",
    "Channel",
    "Client",
    "ClientError",
    "ClosedError",
    "Config",
    "ConfigChanged",
    "Connecting",
    "EventData",
    "EventUpdate",
    "GapUpdate",
    "HealthData",
    "Live",
    "LoginError",
    "Lost",
    "Place",
    "PositionData",
    "RequestError",
    "RevokedError",
    "ServerNotProvenError",
    "StatisticsData",
    "StatisticsUpdate",
    "Subscribe",
    "Timing",
    "Update",
    "connect",
]


def connect(
    url: str,
    *,
    key: str,
    password: str,
    method: Method = "scram",
    subscriptions: Sequence[Channel | Subscribe] = ("statistics",),
    events_max: int = 1024,
    allow_plaintext_token: bool = False,
    tls: ssl.SSLContext | None = None,
    proxy: str | Literal[True] | None = True,
    timing: Timing | None = None,
) -> Client:
    """A client of a server. It connects when it is iterated over, or entered by ``async with``.

    Args:
        url: The server's address, such as ``ws://127.0.0.1:8765`` or ``wss://bot.example.org``.
        key: The key part (``websocket_public_key_part``, or one of ``plugins.websocket.keys``).
        password: Its password.
        method: ``scram`` proves the password and has the server prove that it knows it too; nothing that
            goes over the wire lets anybody log in. ``token`` sends the published token: for a password
            that SCRAM cannot say.
        subscriptions: What to hear of: channels by name, or `Subscribe` with its wishes; one for each. By
            its name alone, ``statistics`` come as deltas. The state is whole for the caller either way.
        events_max: So many events wait to be taken at most; then the server keeps them.
        allow_plaintext_token: Send the token by ``ws://`` to another machine, for everybody between to read.
        tls: For ``wss://``: whom to trust; None: the system's authorities.
        proxy: The address of a proxy; True: what the environment names (``HTTPS_PROXY``, ``NO_PROXY``);
            None: none. To this machine itself there is none in any case.
        timing: How long to wait for what.

    Raises:
        ValueError: It cannot work so, or would give the password away; the text says what to do.
    """
    target = Target(
        url=url,
        key=key,
        password=password,
        method=method,
        allow_plaintext_token=allow_plaintext_token,
        tls=tls,
        proxy=proxy,
        timing=timing or Timing(),
    )
    if events_max < 1:
        raise ValueError("events_max must be 1 or more")
    wishes = [_wish(subscription) for subscription in subscriptions]
    channels = [wish.channel for wish in wishes]
    if len(set(channels)) < len(channels):
        raise ValueError("one subscription a channel: a second one would replace the first")
    if unknown := set(channels) - set(get_args(Channel)):
        raise ValueError(
            f"no such channel: {', '.join(sorted(unknown))}; there is {', '.join(get_args(Channel))}"
        )
    try:
        msgspec.json.encode(wishes)
    except UnicodeEncodeError:
        raise ValueError("a name in a subscription holds half a surrogate pair") from None
    return Client(target, State(wishes), events_max)


def _wish(subscription: Channel | Subscribe) -> Subscribe:
    if isinstance(subscription, Subscribe):
        return subscription
    return Subscribe(subscription, mode="delta" if subscription == "statistics" else None)
