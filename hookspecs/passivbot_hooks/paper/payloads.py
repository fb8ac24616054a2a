"""Payloads of the paper bot's events, with the keys that Passivbot v8.1 writes."""

from __future__ import annotations

import hashlib
from typing import Any

from .market import PaperFill, PaperOrder


def order_payload(order: PaperOrder) -> dict[str, Any]:
    """Of ``order.opened`` and ``order.canceled``."""
    return {
        "id": order.id,
        "custom_id": _client_order_id(order),
        "side": order.side,
        "position_side": order.position_side,
        "qty": order.qty,
        "price": order.price,
        "reduce_only": order.reduce_only,
        "pb_order_type": order_type(order),
        "source": "POST",
    }


def order_type(order: PaperOrder) -> str:
    """Passivbot's name for an order's part in the grid."""
    kind = "close_grid" if order.reduce_only else "entry_grid_normal"
    return f"{kind}_{order.position_side}"


def filled_payload(fill: PaperFill, timestamp: int) -> dict[str, Any]:
    """Of ``order.filled``; a fee that was paid is negative."""
    order = fill.order
    return {
        "id": f"f{order.id}",
        "client_order_id": _client_order_id(order),
        "timestamp": timestamp,
        "symbol": order.symbol,
        "side": order.side,
        "position_side": order.position_side,
        "qty": order.qty if order.side == "buy" else -order.qty,
        "price": order.price,
        "pnl": fill.pnl,
        "fee": -fill.fee,
        "pb_order_type": order_type(order),
        "source_ids": [f"f{order.id}"],
    }


def ingested_payload(fill: PaperFill, timestamp: int) -> dict[str, Any]:
    """Of ``fill.ingested``, which Passivbot writes of the same fill."""
    filled = filled_payload(fill, timestamp)
    kept = {key: filled[key] for key in ("timestamp", "qty", "price", "pnl", "fee", "pb_order_type")}
    return _live(
        "fill.ingested",
        {
            **kept,
            "client_order_id_short": filled["client_order_id"],
            "fill_id_hash": hashlib.sha256(filled["id"].encode()).hexdigest(),
            "operator_visible": True,
            "pnl_status": "complete",
            "source_ids_count": 1,
        },
        client_order_id=filled["client_order_id"],
        reason_code="new_fill",
        side=filled["side"],
    )


def position_payload(fill: PaperFill, *, last_price: float, balance: float) -> dict[str, Any]:
    """Of ``position.changed``; sizes are absolute here, for a short too."""
    old, new = fill.before, fill.after
    action = "new" if not old.size else "closed" if not new.size else "changed"
    return _live(
        "position.changed",
        {
            "action": action,
            "old_size": abs(old.size),
            "new_size": abs(new.size),
            "size_delta": abs(new.size) - abs(old.size),
            "old_price": old.price,
            "new_price": new.price,
            "last_price": last_price,
            "upnl": new.size * (last_price - new.price),
            "wallet_exposure": abs(new.size) * new.price / balance,
            "price_action_distance": last_price / new.price - 1 if new.size else 0.0,
        },
        reason_code=action,
    )


def _client_order_id(order: PaperOrder) -> str:
    return f"paper-{order.id}"


def _live(kind: str, data: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """As the second of Passivbot's event buses nests a copy of the data."""
    return {**data, "_live_event": {"event_type": kind, "status": "succeeded", "data": data, **keys}}
