"""The keyed form of a bot's state, which merge patches are made of and applied to. Pure.

The ``data`` of a ``statistics`` message, with ``positions`` as an object: each position under
``SYMBOL|side``. A patch can then name one position; in a list it could only replace them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .messages import StatisticsData


def to_keyed(data: StatisticsData) -> dict[str, Any] | None:
    """The keyed form of a state; None where two positions have one key."""
    state: dict[str, Any] = msgspec.to_builtins(data)
    positions = {
        position.key: item for position, item in zip(data.positions, state["positions"], strict=True)
    }
    if len(positions) != len(data.positions):
        return None
    state["positions"] = positions
    return state


def from_keyed(state: Mapping[str, Any]) -> StatisticsData:
    """The state of a keyed form, with the positions in the order of their keys.

    Raises:
        msgspec.ValidationError: It is not the keyed form of a state.
    """
    positions = state.get("positions")
    items = dict(sorted(positions.items())) if isinstance(positions, Mapping) else {}
    return msgspec.convert({**state, "positions": list(items.values())}, StatisticsData)
