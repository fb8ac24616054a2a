"""The simulated part: prices that walk at random, and limit orders that they fill."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from passivbot_hooks.models import Side

#: The first symbols' names and prices; the rest are invented.
_KNOWN: Final = (
    ("BTC", 100_000.0),
    ("ETH", 4_000.0),
    ("SOL", 200.0),
    ("XRP", 2.5),
    ("DOGE", 0.35),
    ("ADA", 0.9),
    ("LINK", 22.0),
    ("AVAX", 40.0),
)

_VOLATILITY: Final = 0.0006  # standard deviation of one step's log return
_SPACING: Final = 0.0010  # distance of an order from the price it was placed at
_FEE: Final = 0.0002  # maker fee, of a fill's cost
_WALLET_EXPOSURE_LIMIT: Final = 2.0  # all sides together
_ENTRIES_MAX: Final = 5  # fills of entry orders that a side may hold
_START_BALANCE: Final = 10_000.0

_SIDES: Final[tuple[Side, ...]] = ("long", "short")


@dataclass(slots=True)
class PaperOrder:
    """A limit order that waits. ``price`` and ``qty`` in quote and base currency."""

    id: str
    symbol: str
    position_side: Side
    side: str  # buy or sell
    qty: float
    price: float
    reduce_only: bool


@dataclass(slots=True)
class PaperSide:
    """One side of one symbol: a signed size (short is negative) and its average price."""

    size: float = 0.0
    price: float = 0.0


@dataclass(slots=True)
class PaperFill:
    """An order that was filled, what it realised, in the quote currency, and its side before and after."""

    order: PaperOrder
    pnl: float
    fee: float
    before: PaperSide
    after: PaperSide


@dataclass(slots=True)
class PaperSymbol:
    """One symbol: its last price and both of its sides."""

    name: str
    last_price: float
    sides: dict[Side, PaperSide] = field(default_factory=lambda: {"long": PaperSide(), "short": PaperSide()})


class PaperMarket:
    """A wallet, some symbols and the orders of a simple grid on each side of each.

    Args:
        symbols: How many symbols to trade.
        seed: For the same walk again.
        first_id: The first order's id; an exchange never gives one twice.

    Attributes:
        balance: The wallet, in the quote currency.
        symbols: The symbols, by name.
        orders: The orders that wait, by id.
    """

    def __init__(self, symbols: int, *, seed: int | None = None, first_id: int = 1) -> None:
        self._random = random.Random(seed)
        self._next_id = first_id
        self._entry_cost = _START_BALANCE * _WALLET_EXPOSURE_LIMIT / (symbols * 2 * _ENTRIES_MAX)
        self.balance = _START_BALANCE
        self.orders: dict[str, PaperOrder] = {}
        self.symbols = {
            symbol.name: symbol for symbol in (self._make_symbol(index) for index in range(symbols))
        }

    def _make_symbol(self, index: int) -> PaperSymbol:
        if index < len(_KNOWN):
            coin, price = _KNOWN[index]
        else:
            coin, price = f"COIN{index + 1}", 10 ** self._random.uniform(-2, 3)
        return PaperSymbol(f"{coin}/USDT:USDT", price)

    def step(self) -> tuple[list[PaperFill], list[PaperOrder], list[PaperOrder]]:
        """Move each price once; tell what was filled, placed and cancelled by it."""
        fills: list[PaperFill] = []
        for symbol in self.symbols.values():
            symbol.last_price *= math.exp(self._random.gauss(0.0, _VOLATILITY))
        for order in list(self.orders.values()):
            price = self.symbols[order.symbol].last_price
            if price <= order.price if order.side == "buy" else price >= order.price:
                fills.append(self._fill(self.orders.pop(order.id)))
        cancelled = self._cancel_outdated({fill.order.symbol for fill in fills})
        return fills, list(self._place_missing()), cancelled

    def _fill(self, order: PaperOrder) -> PaperFill:
        side = self.symbols[order.symbol].sides[order.position_side]
        signed = order.qty if order.side == "buy" else -order.qty
        fee = order.qty * order.price * _FEE
        pnl = 0.0
        before = replace(side)
        if order.reduce_only:
            pnl = -signed * (order.price - side.price)
            side.size, side.price = 0.0, 0.0
        else:
            total = side.size + signed
            side.price = (side.size * side.price + signed * order.price) / total
            side.size = total
        self.balance += pnl - fee
        return PaperFill(order, pnl, fee, before, replace(side))

    def _cancel_outdated(self, filled_symbols: set[str]) -> list[PaperOrder]:
        """A fill changes a side's size and price, so its symbol's orders are placed anew.

        An entry order that the price ran away from is moved after it.
        """
        outdated = [
            order
            for order in self.orders.values()
            if order.symbol in filled_symbols
            or (
                not order.reduce_only
                and abs(self.symbols[order.symbol].last_price / order.price - 1) > 3 * _SPACING
            )
        ]
        for order in outdated:
            del self.orders[order.id]
        return outdated

    def _place_missing(self) -> Iterator[PaperOrder]:
        present = {(o.symbol, o.position_side, o.reduce_only) for o in self.orders.values()}
        for symbol in self.symbols.values():
            for name in _SIDES:
                side = symbol.sides[name]
                entries = abs(side.size) * side.price / self._entry_cost
                if entries < _ENTRIES_MAX - 0.5 and (symbol.name, name, False) not in present:
                    yield self._place(symbol, name, self._entry_cost / symbol.last_price, reduce_only=False)
                if side.size and (symbol.name, name, True) not in present:
                    yield self._place(symbol, name, abs(side.size), reduce_only=True)

    def _place(self, symbol: PaperSymbol, side: Side, qty: float, *, reduce_only: bool) -> PaperOrder:
        is_buy = (side == "long") != reduce_only
        anchor = symbol.last_price
        if reduce_only:  # never close at a loss
            best = max if side == "long" else min
            anchor = best(anchor, symbol.sides[side].price)
        order = PaperOrder(
            id=str(self._next_id),
            symbol=symbol.name,
            position_side=side,
            side="buy" if is_buy else "sell",
            qty=qty,
            price=anchor * (1 - _SPACING if is_buy else 1 + _SPACING),
            reduce_only=reduce_only,
        )
        self._next_id += 1
        self.orders[order.id] = order
        return order
