"""A bot's state, whole or as what changed."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from .values import FromOne


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
    seq: FromOne


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
    base: FromOne
    seq: FromOne
    patch: Raw
