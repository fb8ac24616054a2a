"""What a hook is given: frozen values, safe to keep and to share between threads.

Amounts are in the bot's quote currency unless a field says otherwise; times are
milliseconds since the Unix epoch. ``None`` means that the source does not know,
never zero; NaN and the infinities are None too, because NaN differs even from itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

#: Which side of a hedge-mode market a position is on.
Side = Literal["long", "short"]

#: ``running``: fresh snapshots arrive. ``stale``: they stopped arriving and nobody
#: knows why. ``stopped``: the bot said goodbye, its folder was deleted,
#: or there was no fresh snapshot for a while and its process is gone.
Status = Literal["running", "stale", "stopped"]

#: What an `Event` may tell of; docs/hooks.md lists the details of each.
EventKind = Literal[
    "fill",
    "order.placed",
    "order.cancelled",
    "order.rejected",
    "position.opened",
    "position.changed",
    "position.closed",
    "mode.changed",
    "risk.changed",
    "error",
    "bot.started",
    "bot.ready",
    "bot.stopping",
    "bot.stopped",
]

#: All of them, in that order.
EVENT_KINDS: Final[tuple[EventKind, ...]] = get_args(EventKind)


@dataclass(frozen=True, slots=True)
class Position:
    """One held side of one symbol.

    Attributes:
        symbol: CCXT's unified symbol, such as ``"BTC/USDT:USDT"``.
        side: ``"long"`` or ``"short"``.
        size: Absolute size in the base currency or in contracts; never negative.
        entry_price: Average entry price, in the quote currency.
        upnl: Unrealised profit and loss, in the quote currency.
        last_price: The last price the bot knows, in the quote currency.
        wallet_exposure: Size times entry price over balance (Passivbot's WE).
    """

    symbol: str
    side: Side
    size: float | None
    entry_price: float | None
    upnl: float | None = None
    last_price: float | None = None
    wallet_exposure: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """The bot's own counters since it started.

    Figures that move with every snapshot (uptime, loop time, memory) are left out:
    they would make every snapshot a change. The uptime is ``now - started_at``.

    Attributes:
        started_at: When the bot started, milliseconds.
        fills: Orders filled.
        orders_placed: Orders placed.
        orders_cancelled: Orders cancelled.
        errors_last_hour: Errors in the last hour, against the bot's error budget.
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


@dataclass(frozen=True, slots=True)
class Statistics:
    """One snapshot of a bot.

    Attributes:
        timestamp: When the bot took the snapshot, milliseconds.
        balance: The wallet balance, in the quote currency.
        upnl: Unrealised profit and loss of all positions; None if that of any is unknown.
        open_orders_count: Orders that wait at the exchange.
        active_symbols_count: Symbols that the bot manages now.
        positions: The held sides, in the source's order.
        exchange: The exchange's name, such as ``"bybit"``.
        quote: The quote currency, such as ``"USDT"``.
        status: Whether the bot runs; see `Status`.
        realized_pnl: Realised profit and loss that the bot knows of.
        health: The bot's own counters.
        version: The bot's version, where it tells.
    """

    timestamp: int
    balance: float | None
    upnl: float | None
    open_orders_count: int
    active_symbols_count: int
    positions: tuple[Position, ...] = ()
    exchange: str | None = None
    quote: str | None = None
    status: Status | None = None
    realized_pnl: float | None = None
    health: Health | None = None
    version: str | None = None

    def differs_from(self, other: Statistics | None) -> bool:
        """Whether anything but the timestamp differs; True against None."""
        return other is None or self != replace(other, timestamp=self.timestamp)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a bot.

    Attributes:
        timestamp: When it happened at the bot, milliseconds.
        kind: What happened; one of `EVENT_KINDS`.
        symbol: CCXT's unified symbol, such as ``"BTC/USDT:USDT"``, if it concerns one.
        side: The side of the position that it concerns, ``"long"`` or ``"short"``.
        details: More of it, flat: texts, numbers, booleans and None by name. Which
            names a kind has is in docs/hooks.md; one that the source does not know is
            left out. Read-only; ``dict(event.details)`` is a copy of your own.
        seq: Counts up by one for each event of this bot, from 1 at each start of the
            host, which numbers them. A plugin that missed some sees the gap.
    """

    timestamp: int
    kind: EventKind
    symbol: str | None = None
    side: Side | None = None
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)
    seq: int = 0

    def __post_init__(self) -> None:
        # A copy behind a read-only view: one event is shared by all plugins and their threads.
        object.__setattr__(self, "details", MappingProxyType(dict(self.details)))

    def __reduce__(self) -> tuple[type[Event], tuple[object, ...]]:
        """How to copy and pickle it: a read-only view by itself cannot be."""
        return Event, (self.timestamp, self.kind, self.symbol, self.side, dict(self.details), self.seq)
