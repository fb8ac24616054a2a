"""For the tests of plugins and sources: values to fire, and a plugin that remembers.

::

    def test_my_plugin() -> None:
        with PluginHost() as host:
            host.register(my_plugin, "mine")
            host.on_stats_updated(bot="main", stats=make_statistics(balance=1.0))
            assert host.wait_idle()
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from .markers import hookimpl
from .models import Event, Position, Statistics


def make_statistics(**changes: Any) -> Statistics:
    """Plausible statistics: two positions, five orders; ``changes`` replace fields.

    Raises:
        TypeError: A change names no field.
    """
    values: dict[str, Any] = {
        "timestamp": 1_678_886_400_000,
        "balance": 10_000.5,
        "upnl": 150.75,
        "open_orders_count": 5,
        "active_symbols_count": 2,
        "positions": (
            Position("BTC/USDT:USDT", "long", 0.1, 25_000.0, upnl=100.0),
            Position("ETH/USDT:USDT", "short", 2.0, 1_800.0, upnl=50.75),
        ),
        "exchange": "fake",
        "quote": "USDT",
        "status": "running",
    }
    return Statistics(**{**values, **changes})


def make_event(**changes: Any) -> Event:
    """A plausible event, a fill; ``changes`` replace fields.

    Raises:
        TypeError: A change names no field.
    """
    values: dict[str, Any] = {
        "timestamp": 1_678_886_400_000,
        "kind": "fill",
        "symbol": "BTC/USDT:USDT",
        "side": "long",
        "details": {"order_id": "1", "order_side": "buy", "qty": 0.1, "price": 25_000.0, "pnl": 0.0},
    }
    return Event(**{**values, **changes})


class RecordingPlugin:
    """Remembers every call, in order, and lets a test wait for one.

    Attributes:
        calls: ``(hook, bot, argument)``; bot and argument are None for `on_shutdown`.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str | None, Any]] = []
        self._called = threading.Condition()

    @hookimpl
    def on_config_loaded(self, bot: str, config: Mapping[str, Any]) -> None:
        """Remember it."""
        self._remember("on_config_loaded", bot, config)

    @hookimpl
    def on_stats_updated(self, bot: str, stats: Statistics) -> None:
        """Remember it."""
        self._remember("on_stats_updated", bot, stats)

    @hookimpl
    def on_event(self, bot: str, event: Event) -> None:
        """Remember it."""
        self._remember("on_event", bot, event)

    @hookimpl
    def on_shutdown(self) -> None:
        """Remember it."""
        self._remember("on_shutdown", None, None)

    def _remember(self, hook: str, bot: str | None, argument: object) -> None:
        with self._called:
            self.calls.append((hook, bot, argument))
            self._called.notify_all()

    def hooks(self) -> list[str]:
        """The names of the hooks called so far, in order."""
        with self._called:
            return [hook for hook, _, _ in self.calls]

    def statistics(self) -> list[Statistics]:
        """The statistics told so far, in order."""
        with self._called:
            return [argument for hook, _, argument in self.calls if hook == "on_stats_updated"]

    def events(self) -> list[Event]:
        """The events told so far, in order."""
        with self._called:
            return [argument for hook, _, argument in self.calls if hook == "on_event"]

    def wait_for(
        self, predicate: Callable[[list[tuple[str, str | None, Any]]], bool], timeout_s: float = 5.0
    ) -> bool:
        """Wait until the calls satisfy the predicate; False if they do not in time."""
        with self._called:
            return self._called.wait_for(lambda: predicate(self.calls), timeout_s)
