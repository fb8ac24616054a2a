"""The paper bot: a market, a publisher, and the snapshot between them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .market import PaperFill, PaperMarket, PaperSymbol
from .payloads import filled_payload, ingested_payload, order_payload, position_payload
from .publisher import MonitorPublisher, now_ms

_SIDES = ("long", "short")


class PaperBot:
    """Trades a random walk and writes what a Passivbot would write.

    Args:
        root: The monitor root to write under.
        exchange: The exchange's name, a directory of the root.
        user: The account's name, a directory below it.
        symbols: How many symbols to trade.
        seed: For the same walk again.
    """

    def __init__(
        self,
        root: Path,
        *,
        exchange: str = "fake",
        user: str = "main",
        symbols: int = 20,
        seed: int | None = None,
    ) -> None:
        self._started_ms = now_ms()
        # After the ids of every earlier run: a fill whose id was told already is not told again.
        self.market = PaperMarket(symbols, seed=seed, first_id=self._started_ms * 1000)
        self._exchange = exchange
        self._user = user
        runtime = {"passivbot_version": f"paper {version('passivbot-hooks')}", "schema_version": 1}
        self._runtime = runtime
        self.publisher = MonitorPublisher(root, exchange, user, runtime)
        self._placed = self._cancelled = self._fills = 0
        self._pnl = 0.0

    def run(self, stop: threading.Event, *, interval_s: float = 1.0) -> None:
        """Trade a step each interval until ``stop`` is set; say start and stop in the events."""
        self.start()
        try:
            while not stop.wait(interval_s):
                self.step()
        finally:
            self.stop()

    def start(self) -> None:
        """Say that the bot started, and take the first step."""
        payload = {
            "pid": os.getpid(),
            "quote": "USDT",
            "runtime": self._runtime,
            "start_time_ms": self._started_ms,
        }
        for kind in ("bot.start", "bot.started"):
            self.publisher.record_event(kind, payload, tags=("bot", "lifecycle", "start"))
        self.step()
        self.publisher.record_event("bot.ready", {"debug_mode": False}, tags=("bot", "lifecycle", "ready"))

    def step(self) -> None:
        """Move the market once and write what came of it."""
        fills, placed, cancelled = self.market.step()
        for fill in fills:
            self._record_fill(fill)
        for kind, orders, tag in (("order.opened", placed, "open"), ("order.canceled", cancelled, "cancel")):
            for order in orders:
                self.publisher.record_event(
                    kind,
                    order_payload(order),
                    tags=("order", tag),
                    symbol=order.symbol,
                    pside=order.position_side,
                )
        self._placed += len(placed)
        self._cancelled += len(cancelled)
        self.publisher.write_snapshot(self.snapshot())

    def stop(self) -> None:
        """Say that the bot stops, in the order in which Passivbot does."""
        payload = {"reason": "shutdown_gracefully"}
        for kind in ("bot.stop", "bot.stopping"):
            self.publisher.record_event(kind, payload, tags=("bot", "lifecycle", "stop"))
        self.publisher.write_snapshot(self.snapshot())
        self.publisher.record_event("bot.stopped", payload, tags=("bot", "lifecycle", "stop"))

    def _record_fill(self, fill: PaperFill) -> None:
        order = fill.order
        self._fills += 1
        self._pnl += fill.pnl - fill.fee
        timestamp = now_ms()
        position = position_payload(
            fill, last_price=self.market.symbols[order.symbol].last_price, balance=self.market.balance
        )
        for kind, payload, tags in (
            ("order.filled", filled_payload(fill, timestamp), ("order", "fill")),
            ("fill.ingested", ingested_payload(fill, timestamp), ("fill", "order")),
            ("position.changed", position, ("account", "position")),
        ):
            self.publisher.record_event(
                kind, payload, tags=tags, symbol=order.symbol, pside=order.position_side
            )

    def snapshot(self) -> dict[str, Any]:
        """The state as ``state.latest.json`` holds it, but for ``schema_version``."""
        timestamp = now_ms()
        market = self.market
        positions = {symbol.name: self._sides(symbol) for symbol in market.symbols.values()}
        sides = [side for both in positions.values() for side in both.values()]
        orders: dict[str, list[dict[str, Any]]] = {name: [] for name in market.symbols}
        for order in market.orders.values():
            orders[order.symbol].append(order_payload(order))
        names = list(market.symbols)
        return {
            "meta": {
                "exchange": self._exchange,
                "user": self._user,
                "quote": "USDT",
                "pid": os.getpid(),
                "seq": self.publisher.seq,
                "bot_start_ts_ms": float(self._started_ms),
                "current_cycle_ts_ms": timestamp,
                "snapshot_ts_ms": timestamp,
                "runtime": self._runtime,
            },
            "account": {
                "balance_raw": market.balance,
                "balance_snapped": market.balance,
                "equity": market.balance + sum(side["upnl"] for side in sides),
                "realized_pnl_cumsum": {"current": self._pnl},
            },
            "positions": positions,
            "open_orders": orders,
            "market": {
                symbol.name: _market(symbol, timestamp, has_orders=bool(orders[symbol.name]))
                for symbol in market.symbols.values()
            },
            "health": {
                "uptime_ms": timestamp - self._started_ms,
                "last_loop_duration_ms": 1,
                "positions_long": sum(side["size"] > 0 for side in sides),
                "positions_short": sum(side["size"] < 0 for side in sides),
                "orders_placed": self._placed,
                "orders_cancelled": self._cancelled,
                "fills": self._fills,
                "pnl": self._pnl,
                "errors_last_hour": 0,
                "ws_reconnects": 0,
                "rate_limits": 0,
            },
            "modes": {
                "effective": {side: dict.fromkeys(names, "normal") for side in _SIDES},
                "runtime_forced": {side: {} for side in _SIDES},
            },
            "forager": {side: {"enabled": True, "active_symbols": names} for side in _SIDES},
            "hsl": {side: {"enabled": False, "tier": "disabled"} for side in _SIDES},
            "unstuck": {"has_open_order": False, "open_orders": [], "sides": {}},
            "trailing": {},
            "recent": {},
        }

    def _sides(self, symbol: PaperSymbol) -> dict[str, dict[str, float]]:
        return {
            name: {
                "size": side.size,
                "price": side.price,
                "last_price": symbol.last_price,
                "upnl": side.size * (symbol.last_price - side.price),
                "price_action_distance": symbol.last_price / side.price - 1 if side.size else 0.0,
                "wallet_exposure": abs(side.size) * side.price / self.market.balance,
            }
            for name, side in symbol.sides.items()
        }


def _market(symbol: PaperSymbol, timestamp: int, *, has_orders: bool) -> Mapping[str, Any]:
    unset = sys.float_info.max  # as Passivbot writes an extremum that is not set
    extrema = {"max_since_open": 0.0, "min_since_open": unset}
    return {
        "active_symbol": True,
        "tradable": True,
        "last_price": symbol.last_price,
        "last_price_ts_ms": timestamp,
        "has_position": any(side.size for side in symbol.sides.values()),
        "has_open_orders": has_orders,
        "trailing": dict.fromkeys(_SIDES, extrema),
    }
