"""Which bots there are, and how they are."""

from __future__ import annotations

from msgspec import UNSET, Raw, Struct, UnsetType

from .values import FromZero


class ListBots(Struct, frozen=True):
    """A request for the bots, and how they are."""

    id: bytes | None = None


class BotData(Struct, frozen=True):
    """One bot in the answer to ``list_bots``.

    Attributes:
        bot: Its name.
        status: ``running``, ``stale``, ``stopped``, or None while it has no statistics.
        timestamp: Of its last snapshot, changed or not, milliseconds.
        age_ms: How old that is now.
        exchange: Its exchange.
        has_config: Whether ``get_config`` can be answered.
        seq: Of its last ``statistics``; 0: none.
        event_seq: Of its last ``event``; 0: none.
    """

    bot: str
    status: str | None
    timestamp: int | None
    age_ms: FromZero | None
    exchange: str | None
    has_config: bool
    seq: FromZero
    event_seq: FromZero


class Bots(Struct, frozen=True, tag_field="type", tag="bots"):
    """The answer to ``list_bots``.

    Attributes:
        data: Each bot that is known, those too that are gone.
        epoch: As in `StatisticsMessage`.
        id: The request's id.
    """

    data: list[BotData]
    epoch: str
    id: Raw | UnsetType = UNSET
