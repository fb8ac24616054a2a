"""Passivbot's events to ours: the one place that knows their shapes.

Read in Passivbot v7.9 to v8.1: ``src/passivbot.py``, ``src/passivbot_monitor.py``,
``src/passivbot_hsl.py``, ``src/live/executor.py`` and ``src/live/event_emitters.py``. v8
has a second bus of events, which writes some things twice, and v7.9 has only the first.

Only the fields named here are taken, each with its type. An exception's message is not:
that of a failed request can hold its URL, signature included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from passivbot_hooks.models import EventKind

from .values import mapping, number, whole, words


@dataclass(frozen=True, slots=True)
class Translation:
    """What becomes of one of Passivbot's kinds.

    Attributes:
        kind: Ours.
        fields: Name in the details to (path in the payload, how to read it).
        always: Details that the kind itself tells.
    """

    kind: EventKind
    fields: Mapping[str, tuple[str, Callable[[object], object]]]
    always: Mapping[str, str] = field(default_factory=dict)

    def details(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The details of an event; what is missing or of another type is left out."""
        found = {name: read(_at(payload, path)) for name, (path, read) in self.fields.items()}
        return {**self.always, **{name: value for name, value in found.items() if value is not None}}


def _at(payload: Mapping[str, Any], path: str) -> object:
    *parents, key = path.split(".")
    for parent in parents:
        payload = mapping(payload.get(parent))
    return payload.get(key)


def _size(value: object) -> float | None:
    size = number(value)  # a short's is negative in some places
    return None if size is None else abs(size)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


_ORDER: Final = {
    "order_id": ("id", words),
    "client_order_id": ("custom_id", words),
    "order_side": ("side", words),
    "qty": ("qty", _size),
    "price": ("price", number),
    "reduce_only": ("reduce_only", _flag),
    "order_type": ("pb_order_type", words),
    "reason": ("reason", words),
}
_REJECTED: Final = {
    **{name: where for name, where in _ORDER.items() if name != "order_id"},  # it never got one
    "client_order_id": ("_live_event.client_order_id", words),
    "order_side": ("_live_event.side", words),
    "reason": ("_live_event.reason_code", words),
    "error_type": ("error_type", words),
}
_FILL: Final = {
    "fill_id": ("id", words),
    "client_order_id": ("client_order_id", words),
    "order_side": ("side", words),
    "qty": ("qty", _size),
    "price": ("price", number),
    "pnl": ("pnl", number),
    "fee": ("fee", number),
    "order_type": ("pb_order_type", words),
}
_INGESTED: Final = {
    **_FILL,
    "client_order_id": ("_live_event.client_order_id", words),
    "order_side": ("_live_event.side", words),
}
_POSITION: Final = {
    "size": ("new_size", _size),
    "previous_size": ("old_size", _size),
    "entry_price": ("new_price", number),
    "previous_entry_price": ("old_price", number),
    "last_price": ("last_price", number),
    "upnl": ("upnl", number),
    "wallet_exposure": ("wallet_exposure", number),
}
_MODE: Final = {
    "mode": ("mode", words),
    "previous_mode": ("previous_mode", words),
    "action": ("action", words),
    "source": ("source", words),
    "reason": ("_live_event.reason_code", words),
}
_RISK: Final = {
    "tier": ("metrics.tier", words),
    "previous_tier": ("previous_tier", words),
    "drawdown": ("drawdown_raw", number),
    "cooldown_until": ("cooldown_until_ms", whole),
    "reason": ("reason", words),
}
_TRANSITION: Final = {**_RISK, "drawdown": ("metrics.drawdown_raw", number)}
_RED: Final = {**_RISK, "tier": ("tier", words)}
_ERROR: Final = {
    "error_type": ("error_type", words),
    "source": ("source", words),
    "stage": ("stage", words),
    "status": ("status", words),
    "code": ("code", words),
    "endpoint": ("endpoint", words),
}
_STARTED: Final = {"version": ("runtime.passivbot_version", words), "quote": ("quote", words)}
_STOPPED: Final = {
    "reason": ("reason", words),
    "stage": ("stage", words),
    "error_type": ("error_type", words),
}

#: Passivbot's kinds that become events. `position.changed` is told apart by its sizes.
TRANSLATIONS: Final[Mapping[str, Translation]] = {
    "order.filled": Translation("fill", _FILL),
    "fill.ingested": Translation("fill", _INGESTED),
    "order.opened": Translation("order.placed", _ORDER),
    "order.canceled": Translation("order.cancelled", _ORDER),
    "execution.create_rejected": Translation("order.rejected", _REJECTED),
    "execution.create_failed": Translation("order.rejected", _REJECTED),
    "position.changed": Translation("position.changed", _POSITION),
    "risk.mode_changed": Translation("mode.changed", _MODE),
    "hsl.transition": Translation("risk.changed", _TRANSITION, {"change": "tier"}),
    "hsl.red_triggered": Translation("risk.changed", _RED, {"change": "red"}),
    "hsl.red_finalized_without_order": Translation("risk.changed", _RED, {"change": "red_finalized"}),
    "hsl.cooldown_started": Translation("risk.changed", _RISK, {"change": "cooldown_started"}),
    "hsl.cooldown_ended": Translation("risk.changed", _RISK, {"change": "cooldown_ended"}),
    "error.bot": Translation("error", _ERROR, {"scope": "bot"}),
    "error.exchange": Translation("error", _ERROR, {"scope": "exchange"}),
    "bot.start": Translation("bot.started", _STARTED),
    "bot.started": Translation("bot.started", _STARTED),
    "bot.ready": Translation("bot.ready", {}),
    "bot.stop": Translation("bot.stopping", _STOPPED),
    "bot.stopping": Translation("bot.stopping", _STOPPED),
    "bot.stopped": Translation("bot.stopped", _STOPPED),
}
