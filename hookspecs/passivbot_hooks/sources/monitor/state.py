"""``state.latest.json`` to `Statistics`: the one place that knows that file's shape.

Read in Passivbot v7.9 to v8.1, ``src/passivbot_monitor.py`` (``_build_monitor_snapshot``)
and ``src/monitor_publisher.py``. All have ``schema_version`` 1.

Two kinds of wrong are told apart. A figure that is no number although the schema says so
refuses the whole snapshot: showing the rest would make a position or an order disappear
without a word. A figure that is not there, or NaN or infinite, is unknown: None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from passivbot_hooks.errors import UnusableFileError
from passivbot_hooks.models import Health, Position, Side, Statistics

from .document import load_document
from .values import mapping, number, text, whole

#: The only version there has been, and what is refused otherwise.
SCHEMA_VERSION: Final = 1

#: Some 7 kB a symbol; this is room for thousands of symbols.
STATE_MAX_BYTES: Final = 32 * 1_048_576

#: No exchange lists as many.
SYMBOLS_MAX: Final = 10_000

_SIDES: Final[tuple[Side, ...]] = ("long", "short")


@dataclass(frozen=True, slots=True)
class MonitorState:
    """What is read from one ``state.latest.json``.

    Attributes:
        statistics: Without a status, which the file does not hold.
        pid: The bot's process, in the bot's own PID namespace.
    """

    statistics: Statistics
    pid: int | None


def parse_state(raw: bytes) -> MonitorState:
    """Read the content of a ``state.latest.json``.

    Raises:
        UnusableFileError: It is not JSON, not that schema, or a figure in it is no number.
    """
    try:
        document = load_document(raw)
    except RecursionError as exc:
        raise UnusableFileError("nested too deeply") from exc
    except ValueError as exc:  # not JSON, not UTF-8, or a number of thousands of digits
        raise UnusableFileError(f"not valid JSON: {exc}") from exc
    if not isinstance(document, dict):
        raise UnusableFileError("not a JSON object")
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UnusableFileError(
            f"schema_version is {version!r:.40}; this reads version {SCHEMA_VERSION} (Passivbot v7.9 to v8.1)"
        )
    meta, account = _object(document, "meta"), _object(document, "account")
    if len(_object(document, "positions")) > SYMBOLS_MAX:
        raise UnusableFileError(f"positions: more than {SYMBOLS_MAX} symbols; is it a bot's state?")
    positions = tuple(_positions(_object(document, "positions")))
    # A NaN or missing timestamp cannot be compared with a clock: refuse it.
    timestamp = _number(meta, "snapshot_ts_ms", "meta")
    if timestamp is None:
        raise UnusableFileError("meta.snapshot_ts_ms: missing; it must be milliseconds")
    statistics = Statistics(
        timestamp=int(timestamp),
        balance=_number(account, "balance_raw", "account"),
        upnl=_total_upnl(positions),
        open_orders_count=_count_orders(_object(document, "open_orders")),
        active_symbols_count=_count_active(_object(document, "market")),
        positions=positions,
        exchange=text(meta.get("exchange")),
        quote=text(meta.get("quote")),
        realized_pnl=number(mapping(account.get("realized_pnl_cumsum")).get("current")),
        health=_health(mapping(document.get("health")), meta),
        version=text(mapping(meta.get("runtime")).get("passivbot_version")),
    )
    pid = meta.get("pid")
    return MonitorState(statistics, pid if isinstance(pid, int) and 0 < pid < 2**31 else None)


def _positions(section: Mapping[str, Any]) -> Iterator[Position]:
    for symbol in section:
        sides = _object(section, symbol, "positions")
        for side in _SIDES:
            if side not in sides:
                continue
            where = f"positions[{symbol!r:.60}]"
            values, where = _object(sides, side, where), f"{where}.{side}"
            size = _number(values, "size", where)
            if size == 0:
                continue
            yield Position(
                symbol=symbol,
                side=side,
                size=None if size is None else abs(size),
                entry_price=_number(values, "price", where),
                upnl=number(values.get("upnl")),
                last_price=number(values.get("last_price")),
                wallet_exposure=number(values.get("wallet_exposure")),
            )


def _total_upnl(positions: tuple[Position, ...]) -> float | None:
    # Not equity - balance: Passivbot's equity moves only when the wallet does.
    total = 0.0
    for position in positions:
        if position.upnl is None:
            return None
        total += position.upnl
    return total if math.isfinite(total) else None


def _count_orders(section: Mapping[str, Any]) -> int:
    for symbol, orders in section.items():
        if not isinstance(orders, list):
            raise UnusableFileError(f"open_orders[{symbol!r:.60}]: must be a list of orders")
    return sum(len(orders) for orders in section.values())


def _count_active(section: Mapping[str, Any]) -> int:
    return sum(_object(section, symbol, "market").get("active_symbol") is True for symbol in section)


def _health(section: Mapping[str, Any], meta: Mapping[str, Any]) -> Health:
    return Health(
        started_at=whole(meta.get("bot_start_ts_ms")),
        fills=whole(section.get("fills")),
        orders_placed=whole(section.get("orders_placed")),
        orders_cancelled=whole(section.get("orders_cancelled")),
        errors_last_hour=whole(section.get("errors_last_hour")),
        ws_reconnects=whole(section.get("ws_reconnects")),
        rate_limits=whole(section.get("rate_limits")),
        pnl=number(section.get("pnl")),
    )


def _object(parent: Mapping[str, Any], key: str, where: str = "") -> Mapping[str, Any]:
    value = parent.get(key)
    if not isinstance(value, dict):
        path = f"{where}[{key!r:.60}]" if where else key
        raise UnusableFileError(f"{path}: {'missing' if value is None else 'must be an object'}")
    return value


def _number(parent: Mapping[str, Any], key: str, where: str) -> float | None:
    """A number that the schema demands: None if absent, null or not finite; an error if no number."""
    value = parent.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnusableFileError(f"{where}.{key}: must be a number, not {value!r:.40}")
    return number(value)
