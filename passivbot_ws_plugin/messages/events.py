"""What happened to a bot, and what of it is lost to a client."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from .values import FromOne


class EventData(Struct, frozen=True):
    """Something that happened to a bot.

    Attributes:
        timestamp: When, milliseconds since 1970 UTC.
        kind: What, such as ``fill``; docs/hooks.md lists the kinds. There may be more of them later.
        symbol: CCXT's unified symbol, if it concerns one.
        side: The side of the position that it concerns, ``long`` or ``short``, if it concerns one.
        details: More of it, by name; docs/hooks.md lists what each kind has.
    """

    timestamp: int
    kind: str
    symbol: str | None
    side: str | None
    details: dict[str, Any]


class EventMessage(Struct, frozen=True, tag_field="type", tag="event"):
    """An event.

    Attributes:
        data: What happened.
        bot: The bot's name.
        epoch: As in `StatisticsMessage`.
        seq: Counts this bot's events, those too that this client filters out.
    """

    data: EventData
    bot: str
    epoch: str
    seq: FromOne


class Gap(Struct, frozen=True, tag_field="type", tag="gap"):
    """Events that this client will not get: it was away, or too slow, for too long.

    Attributes:
        bot: The bot's name.
        epoch: Of which start of the server they were.
        first: The first ``seq`` that is lost.
        last: The last one; None where nobody knows.
        channel: Always ``events``.
    """

    bot: str
    epoch: str
    first: FromOne
    last: FromOne | None
    channel: Literal["events"] = "events"
