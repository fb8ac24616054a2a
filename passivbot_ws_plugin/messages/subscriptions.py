"""What a client wants to hear of, from where on, and what counts from then on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from passivbot_hooks import EVENT_KINDS

#: What a client can subscribe to.
Channel = Literal["statistics", "events", "config"]

#: Whether statistics come whole, or as merge patches where that is shorter.
Mode = Literal["full", "delta"]

#: What belongs to some channels only.
CHANNELS_OF: Final[Mapping[str, tuple[Channel, ...]]] = {
    "mode": ("statistics",),
    "max_rate": ("statistics",),
    "since": ("statistics", "events"),
    "kinds": ("events",),
    "symbols": ("events",),
}

_Names = Annotated[list[Annotated[str, Meta(max_length=256)]], Meta(max_length=1000)]

# The enumeration is for the schema only: the decoder says in its answer what there is.
_Kind = Annotated[str, Meta(max_length=256, extra_json_schema={"enum": list(EVENT_KINDS)})]
_Kinds = Annotated[list[_Kind], Meta(max_length=1000)]


class Place(Struct, frozen=True):
    """How far a client got with a bot.

    Attributes:
        epoch: Of the last message of this channel that it got of the bot.
        seq: Of the same message; 0: it got none.
    """

    epoch: Annotated[str, Meta(max_length=64)]
    seq: Annotated[int, Meta(ge=0, le=2**53)]


class Subscribe(Struct, frozen=True):
    """A request for a channel, in place of what the client had of it.

    Attributes:
        channel: Of what.
        bots: Which; None: all, those too that come later.
        mode: Statistics only: whole, or as merge patches where that is shorter.
        max_rate: Statistics only: how many of one bot a second at most.
        since: Statistics and events: go on from there, bot by bot.
        kinds: Events only: of these kinds.
        symbols: Events only: of these symbols.
        id: Echoed.
    """

    channel: Channel
    bots: _Names | None = None
    mode: Mode | None = None
    max_rate: Annotated[float, Meta(ge=0.001, le=1000)] | None = None
    since: Annotated[dict[str, Place], Meta(max_length=1000)] | None = None
    kinds: _Kinds | None = None
    symbols: _Names | None = None
    id: bytes | None = None


class Subscribed(Struct, frozen=True, tag_field="type", tag="subscribed"):
    """The answer to ``subscribe``: what counts from now on. Absent: not this channel's.

    Attributes:
        channel: Of what.
        epoch: As in `StatisticsMessage`.
        bots: Which; None: all, those too that come later.
        mode: How statistics come.
        max_rate: How many statistics of one bot come a second at most; None: each change.
        kinds: Which kinds of events; None: all.
        symbols: Events of which symbols; None: all, and those of none.
        since: Where the events begin: of each known bot, the last one that does not come.
        id: The request's id.
    """

    channel: Channel
    epoch: str
    bots: list[str] | None
    mode: Mode | UnsetType = UNSET
    max_rate: float | UnsetType | None = UNSET
    kinds: list[str] | UnsetType | None = UNSET
    symbols: list[str] | UnsetType | None = UNSET
    since: dict[str, Place] | UnsetType = UNSET
    id: Raw | UnsetType = UNSET


class Unsubscribe(Struct, frozen=True):
    """A request for nothing more of a channel.

    Attributes:
        channel: Of what.
        id: Echoed.
    """

    channel: Channel
    id: bytes | None = None


class Unsubscribed(Struct, frozen=True, tag_field="type", tag="unsubscribed"):
    """The answer to ``unsubscribe``: nothing more comes of that channel.

    Attributes:
        channel: Of what.
        id: The request's id.
    """

    channel: Channel
    id: Raw | UnsetType = UNSET
