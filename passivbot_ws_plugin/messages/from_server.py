"""What the server says: one struct for each message, one encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from passivbot_ws_plugin.errors import ErrorCode

#: What a client can subscribe to.
Channel = Literal["statistics", "events", "config"]

#: Whether statistics come whole, or as merge patches where that is shorter.
Mode = Literal["full", "delta"]

# Bounds of what is sent are facts for the schema; nothing is checked by them here.
_FromZero = Annotated[int, Meta(ge=0)]
_FromOne = Annotated[int, Meta(ge=1)]
_Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class AuthResult(Struct, frozen=True, tag_field="type", tag="auth_result"):
    """The answer to ``auth``, and the only message that a stranger ever gets unasked.

    Attributes:
        success: Whether the client is in.
        message: For people.
        data: After SCRAM: the server's own proof (RFC 5802, server-final-message).
        id: The request's id.
    """

    success: bool
    message: str
    data: str | UnsetType = UNSET
    id: Raw | UnsetType = UNSET


class Challenge(Struct, frozen=True, tag_field="type", tag="challenge"):
    """The answer to ``hello``.

    Attributes:
        data: SCRAM's server-first-message (RFC 5802).
        id: The request's id.
    """

    data: str
    id: Raw | UnsetType = UNSET


class PositionData(Struct, frozen=True):
    """One held side of one symbol.

    Attributes:
        symbol: CCXT's unified symbol, such as ``BTC/USDT:USDT``.
        side: ``long`` or ``short``.
        size: In the base currency or in contracts; absolute.
        entry_price: The average one, in the quote currency.
        upnl: Unrealised profit and loss, in the quote currency.
        last_price: The last one that the bot knows, in the quote currency.
        wallet_exposure: Size times entry price over balance.
    """

    symbol: str
    side: str
    size: float | None
    entry_price: float | None
    upnl: float | None = None
    last_price: float | None = None
    wallet_exposure: float | None = None

    @property
    def key(self) -> str:
        """Its name in the keyed form of the state, ``SYMBOL|side``."""
        return f"{self.symbol}|{self.side}"


class HealthData(Struct, frozen=True):
    """The bot's counters since it started.

    Attributes:
        started_at: When it started, milliseconds since 1970 UTC.
        fills: Orders filled.
        orders_placed: Orders placed.
        orders_cancelled: Orders cancelled.
        errors_last_hour: Errors in the last hour.
        ws_reconnects: Reconnections to the exchange's stream.
        rate_limits: Times that the exchange limited the bot's rate.
        pnl: Realised profit and loss since the start, in the quote currency.
    """

    started_at: int | None = None
    fills: int | None = None
    orders_placed: int | None = None
    orders_cancelled: int | None = None
    errors_last_hour: int | None = None
    ws_reconnects: int | None = None
    rate_limits: int | None = None
    pnl: float | None = None


class StatisticsData(Struct, frozen=True):
    """One snapshot of a bot: the six published fields, then the extras.

    Attributes:
        timestamp: When the bot took it, milliseconds since 1970 UTC.
        balance: The wallet balance, in the quote currency.
        upnl: Unrealised profit and loss of all positions, in the quote currency; None if that of
            any is unknown.
        open_orders_count: Orders that wait at the exchange.
        active_symbols_count: Symbols that the bot manages now.
        positions: The held sides, in the order of ``symbol|side``.
        exchange: The exchange's name, such as ``bybit``.
        quote: The quote currency, such as ``USDT``.
        status: ``running``, ``stale`` (no fresh snapshot for 90 s) or ``stopped``.
        realized_pnl: Realised profit and loss that the bot knows of, in the quote currency.
        health: The bot's counters.
        version: The bot's version.
    """

    timestamp: int | None
    balance: float | None
    upnl: float | None
    open_orders_count: int | None
    active_symbols_count: int | None
    positions: list[PositionData]
    exchange: str | None = None
    quote: str | None = None
    status: str | None = None
    realized_pnl: float | None = None
    health: HealthData | None = None
    version: str | None = None

    def differs_from(self, other: StatisticsData | None) -> bool:
        """Whether anything but the timestamp differs; True against None."""
        return other is None or self != msgspec.structs.replace(other, timestamp=self.timestamp)


class StatisticsMessage(Struct, frozen=True, tag_field="type", tag="statistics"):
    """A bot's whole state.

    Attributes:
        data: The state.
        bot: The bot's name.
        epoch: New at each start of the server; ``seq`` counts within it.
        seq: Counts up by one for each change of this bot, from 1.
    """

    data: StatisticsData
    bot: str
    epoch: str
    seq: _FromOne


class StatisticsDelta(Struct, frozen=True, tag_field="type", tag="statistics_delta"):
    """What changed in a bot's state from ``base`` to ``seq``, as a merge patch (RFC 7396).

    Attributes:
        bot: The bot's name.
        epoch: As in `StatisticsMessage`.
        base: The state that it is to be applied to.
        seq: The state that it makes.
        patch: What to apply.
    """

    bot: str
    epoch: str
    base: _FromOne
    seq: _FromOne
    patch: Raw


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
        seq: Counts this bot's events, from 1, those too that this client filters out.
    """

    data: EventData
    bot: str
    epoch: str
    seq: _FromOne


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
    first: _FromOne
    last: _FromOne | None
    channel: Literal["events"] = "events"


class ConfigMessage(Struct, frozen=True, tag_field="type", tag="config"):
    """The answer to ``get_config``.

    Attributes:
        data: The whole config, without Passivbot's own ``_`` keys.
        bot: The bot's name.
        hash: As in `ConfigChanged`.
        id: The request's id.
    """

    data: Raw
    bot: str
    hash: _Sha256
    id: Raw | UnsetType = UNSET


class ConfigChanged(Struct, frozen=True, tag_field="type", tag="config_changed"):
    """A bot's config is another one now; right after ``subscribed``: it is this one.

    Attributes:
        bot: The bot's name.
        hash: SHA-256 of the config as this key would get it by ``get_config``, hexadecimal: of the
            JSON text with sorted keys and no blanks. A key without the scope ``config``: of the
            masked one.
        paths: What changed, as JSON pointers (RFC 6901), sorted; None: it may be anything.
        values: The new values of those paths that still exist; only with the scope ``config``.
    """

    bot: str
    hash: _Sha256
    paths: list[str] | None
    values: dict[str, Any] | UnsetType = UNSET


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
    age_ms: _FromZero | None
    exchange: str | None
    has_config: bool
    seq: _FromZero
    event_seq: _FromZero


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


class Place(Struct, frozen=True):
    """How far a client got with a bot.

    Attributes:
        epoch: Of the last message of this channel that it got of the bot.
        seq: Of the same message; 0: it got none.
    """

    epoch: Annotated[str, Meta(max_length=64)]
    seq: Annotated[int, Meta(ge=0, le=2**53)]


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


class Unsubscribed(Struct, frozen=True, tag_field="type", tag="unsubscribed"):
    """The answer to ``unsubscribe``: nothing more comes of that channel.

    Attributes:
        channel: Of what.
        id: The request's id.
    """

    channel: Channel
    id: Raw | UnsetType = UNSET


class Pong(Struct, frozen=True, tag_field="type", tag="pong"):
    """The answer to ``ping``."""

    id: Raw | UnsetType = UNSET


class Error(Struct, frozen=True, tag_field="type", tag="error"):
    """The answer to what cannot be done.

    Attributes:
        message: For people.
        code: For programs.
        id: The request's id.
    """

    message: str
    code: ErrorCode
    id: Raw | UnsetType = UNSET


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
