"""What a source tells, as it goes on the wire: what JSON cannot say does not pass."""

from __future__ import annotations

from passivbot_hooks import Event, Health, Position, Statistics

from .events import EventData
from .statistics import HealthData, PositionData, StatisticsData
from .values import clean, clean_text, integer, number, text


def statistics_data(stats: Statistics) -> StatisticsData:
    """A source's statistics as they go on the wire.

    What JSON cannot say (NaN, an infinity, half a surrogate pair) does not pass: numbers
    become null, text is repaired. Decimal and other numbers become JSON numbers.
    """
    positions = [_position_data(position) for position in stats.positions]
    return StatisticsData(
        timestamp=integer(stats.timestamp),
        balance=number(stats.balance),
        upnl=number(stats.upnl),
        open_orders_count=integer(stats.open_orders_count),
        active_symbols_count=integer(stats.active_symbols_count),
        # In an order that does not depend on history: who applies patches gets the same list.
        positions=sorted(positions, key=lambda position: position.key),
        exchange=text(stats.exchange),
        quote=text(stats.quote),
        status=text(stats.status),
        realized_pnl=number(stats.realized_pnl),
        health=None if stats.health is None else _health_data(stats.health),
        version=text(stats.version),
    )


def _position_data(position: Position) -> PositionData:
    return PositionData(
        symbol=clean_text(str(position.symbol)),
        side=clean_text(str(position.side)),
        size=number(position.size),
        entry_price=number(position.entry_price),
        upnl=number(position.upnl),
        last_price=number(position.last_price),
        wallet_exposure=number(position.wallet_exposure),
    )


def _health_data(health: Health) -> HealthData:
    counts = {name: integer(getattr(health, name)) for name in HealthData.__struct_fields__ if name != "pnl"}
    return HealthData(**counts, pnl=number(health.pnl))


def event_data(event: Event) -> EventData:
    """A source's event as it goes on the wire, of values that JSON can say."""
    return EventData(
        timestamp=integer(event.timestamp) or 0,
        kind=clean_text(str(event.kind)),
        symbol=text(event.symbol),
        side=text(event.side),
        details=clean(event.details),
    )
