"""Monitor files of the shape that a Passivbot writes, for tests."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest


def side(size: float = 0.0, price: float = 0.0, **extras: Any) -> dict[str, Any]:
    return {"size": size, "price": price, "wallet_exposure": 0.0, **extras}


def state(timestamp: int | None = None, **sections: Any) -> dict[str, Any]:
    """A state with one long of 0.02 BTC, one short of 0.8 ETH and three orders."""
    return {
        "schema_version": 1,
        "meta": {
            "exchange": "fake",
            "user": "main",
            "quote": "USDT",
            "pid": 1,
            "seq": 290,
            "bot_start_ts_ms": 1795408027880.97,
            "snapshot_ts_ms": now_ms() if timestamp is None else timestamp,
            "runtime": {"passivbot_version": "8.1.0"},
        },
        "account": {
            "balance_raw": 10_000.0,
            "balance_snapped": 9_900.0,
            "equity": 10_016.0,
            "realized_pnl_cumsum": {"current": -1.0396},
        },
        "positions": {
            "BTC/USDT:USDT": {
                "long": side(0.02, 99_500.0, upnl=14.0, last_price=100_200.0, wallet_exposure=0.199),
                "short": side(upnl=0.0),
            },
            "ETH/USDT:USDT": {
                "long": side(),
                "short": side(-0.8, 4_010.0, upnl=10.25, last_price=3_997.0),
            },
        },
        "open_orders": {"BTC/USDT:USDT": [{"id": "1"}, {"id": "2"}], "ETH/USDT:USDT": [{"id": "3"}]},
        "market": {
            "BTC/USDT:USDT": {"active_symbol": True},
            "ETH/USDT:USDT": {"active_symbol": True},
            "SOL/USDT:USDT": {"active_symbol": False},
        },
        "health": {"fills": 2, "orders_placed": 6, "orders_cancelled": 1, "uptime_ms": 12.5, "pnl": -1.0},
        "modes": {},
        **sections,
    }


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def write_state(directory: Path, document: object) -> None:
    """Replace the state file atomically, as Passivbot does."""
    replace(directory / "state.latest.json", json.dumps(document).encode())


def replace(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(raw)
    temporary.replace(path)


def append_event(directory: Path, kind: str, timestamp: int, **payload: Any) -> None:
    append_events(directory, event_line(kind, timestamp, payload))


def event_line(kind: str, timestamp: int, payload: object, **keys: Any) -> bytes:
    """A line as Passivbot writes it, but for its checksum."""
    event = {"ts": timestamp, "kind": kind, "payload": payload, **keys}
    return json.dumps(event, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def append_events(directory: Path, raw: bytes) -> None:
    path = directory / "events" / "current.ndjson"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(raw)


def rotate_events(directory: Path) -> None:
    """As Passivbot's publisher does: rename, compress, delete, and only then make the new file."""
    current = directory / "events" / "current.ndjson"
    rotated = directory / "events" / f"2026-01-01T00-00-{time.monotonic_ns()}.ndjson"
    current.replace(rotated)
    rotated.with_suffix(".ndjson.gz").write_bytes(gzip.compress(rotated.read_bytes()))
    rotated.unlink()
    current.touch()


def published_figures(document: Any) -> dict[str, Any]:
    """The published fields of a state, by hand."""
    positions = [
        {"symbol": symbol, "side": side, "size": abs(values["size"]), "entry_price": values["price"]}
        for symbol, sides in document["positions"].items()
        for side, values in sides.items()
        if values["size"] != 0
    ]
    return {
        "balance": document["account"]["balance_raw"],
        "upnl": pytest.approx(
            sum(v["upnl"] for sides in document["positions"].values() for v in sides.values() if v["size"])
        ),
        "open_orders_count": sum(len(orders) for orders in document["open_orders"].values()),
        "active_symbols_count": sum(market["active_symbol"] for market in document["market"].values()),
        "positions": positions,
    }


def shown(data: dict[str, Any]) -> dict[str, Any]:
    """The same fields of a statistics message."""
    fields = ("balance", "upnl", "open_orders_count", "active_symbols_count")
    keys = ("symbol", "side", "size", "entry_price")
    positions = [{key: position[key] for key in keys} for position in data["positions"]]
    return {**{field: data[field] for field in fields}, "positions": positions}
