"""What is sent: a bot's statistics of some 1.7 kB with 20 positions, and how they change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from passivbot_hooks import Health, Position, Statistics
from passivbot_ws_plugin.settings.parsing import Settings, parse_settings

BOT: Final = "main"
PASSWORD: Final = "a password of some length"
KEY: Final = "client_A_key"

_COINS: Final = ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "LINK", "AVAX")

_STARTED_MS: Final = 1_678_880_000_000


def make_config(folder: Path) -> dict[str, Any]:
    """A bot's config: a server on a free port, the record in a folder, and room for everybody.

    Stuck clients stay (``buffer_soft_s``): how they weigh on the others is what is asked.
    """
    limits = {
        "connections": 20_000,
        "connections_per_address": 20_000,
        "unauthenticated": 1_000,
        "unauthenticated_per_address": 1_000,
        "handshake_s": 60,
        "auth_s": 60,
        "buffer_soft_s": 3_600,
        "ping_interval_s": 3_600,
    }
    return {
        "live": {
            "user": BOT,
            "websocket_port": 0,
            "websocket_password": PASSWORD,
            "websocket_public_key_part": KEY,
        },
        "plugins": {"websocket": {"limits": limits, "audit": {"path": str(folder / "audit.jsonl")}}},
    }


def make_settings(folder: Path) -> Settings:
    """The settings of that config."""
    return parse_settings(make_config(folder))


def make_statistics(positions: int = 20) -> Statistics:
    """A state to begin with; that of 20 positions is a message of some 3.5 kB without extras."""
    held = tuple(_position(number) for number in range(positions))
    return Statistics(
        timestamp=_STARTED_MS,
        balance=10_000.5,
        upnl=150.75,
        open_orders_count=2 * positions,
        active_symbols_count=positions,
        positions=held,
        exchange="bybit",
        quote="USDT",
        status="running",
        realized_pnl=-1.0396,
        health=Health(_STARTED_MS, 2, 6, 1, 0, 0, 0, -1.0396),
        version="8.1.0",
    )


def _position(number: int) -> Position:
    coin = _COINS[number] if number < len(_COINS) else f"COIN{number}"
    price = 10.0 + number
    return Position(f"{coin}/USDT:USDT", "long", 1.5, price, round(number * 0.25, 4), price + 0.5, 0.125)


def one_figure(state: Statistics, step: int) -> Statistics:
    """The balance is another one."""
    return replace(state, timestamp=state.timestamp + 1000, balance=10_000.5 + step)


def one_position(state: Statistics, step: int) -> Statistics:
    """One position's price moved, and with it its unrealised profit and the total."""
    moved = state.positions[0]
    price = 10.0 + step % 100 / 8
    upnl = round((price - 10.0) * 1.5, 4)
    held = (replace(moved, last_price=price, upnl=upnl), *state.positions[1:])
    return replace(state, timestamp=state.timestamp + 1000, upnl=150.75 + upnl, positions=held)


def all_prices(state: Statistics, step: int) -> Statistics:
    """Every price moved."""
    held = tuple(
        replace(p, last_price=round(p.last_price + step / 7, 4), upnl=round(step / 7 * 1.5, 4))
        for p in state.positions
        if p.last_price is not None
    )
    return replace(state, timestamp=state.timestamp + 1000, upnl=round(step / 0.7, 4), positions=held)


def states(state: Statistics) -> Iterator[Statistics]:
    """One state after the other, each with one position moved, without end."""
    step = 0
    while True:
        step += 1
        state = one_position(state, step)
        yield state
