"""What a client tells: of the bots, and of its own connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from passivbot_ws_plugin.messages import ConfigChanged, EventData, StatisticsData


@dataclass(frozen=True, slots=True)
class _Numbered:
    """What there is of one bot, by number.

    Attributes:
        bot: The bot's name.
        epoch: Which run of the server.
        seq: Counts within it.
    """

    bot: str
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class StatisticsUpdate(_Numbered):
    """A bot's state, whole, whether it came whole or as a delta.

    ``seq`` counts the changes of this bot. One may be missing: the latest state counts.

    Attributes:
        data: The state.
    """

    data: StatisticsData


@dataclass(frozen=True, slots=True)
class EventUpdate(_Numbered):
    """Something that happened to a bot; each comes once, in order.

    ``seq`` counts the bot's events, those too that were not asked for. With ``epoch`` it is what
    `Subscribe.since` takes, for a program that wants to go on there after its own restart.

    Attributes:
        data: The event.
    """

    data: EventData


@dataclass(frozen=True, slots=True)
class GapUpdate:
    """Events of a bot that this client will not get: it was away, or too slow, for too long.

    Attributes:
        bot: The bot's name.
        epoch: Of which run of the server they were.
        first: The first that is lost.
        last: The last one; None where nobody knows: that run of the server is over.
    """

    bot: str
    epoch: str
    first: int
    last: int | None


@dataclass(frozen=True, slots=True)
class Connecting:
    """The client tries to reach the server.

    Attributes:
        attempt: Counts from 1 since the connection last held.
    """

    attempt: int


@dataclass(frozen=True, slots=True)
class Live:
    """The client is in, the server has proved itself, and what changes comes as it changes."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is lost, or did not come about: what is shown is old from now on.

    Attributes:
        reason: For people.
        code: The WebSocket close code, or the HTTP status, if there was one.
        retry_in_s: When the client tries again, seconds.
    """

    reason: str
    code: int | None
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class Config:
    """A bot's config, as this key may see it.

    Attributes:
        bot: The bot's name.
        hash: Of the config, to be compared with `ConfigChanged.hash`.
        data: The config.
    """

    bot: str
    hash: str
    data: Mapping[str, Any]


ConnectionUpdate = Connecting | Live | Lost
Update = StatisticsUpdate | EventUpdate | GapUpdate | ConfigChanged | ConnectionUpdate
