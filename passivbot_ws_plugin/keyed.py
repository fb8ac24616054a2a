"""The keyed form of a bot's state, which merge patches are made of and applied to. Pure.

The ``data`` of a ``statistics`` message, with ``positions`` as an object: each position under
``SYMBOL|side``. A patch can then name one position; in a list it could only replace them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .messages import StatisticsData


def to_keyed(
    data: StatisticsData, before: StatisticsData | None = None, keyed_before: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """The keyed form of a state; None where two positions have one key.

    Args:
        data: The state.
        before: Another one, if there is.
        keyed_before: Its keyed form, which this one shares the positions with that are the same: most are,
            and `merge_patch.diff` sees that at once.
    """
    held = {position.key: position for position in data.positions}
    if len(held) != len(data.positions):
        return None
    known, shared = {}, {}
    if before is not None and keyed_before is not None:
        shared = keyed_before["positions"]
        known = dict(zip(shared, before.positions, strict=True))
    state: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(data, positions=[]))
    state["positions"] = {
        key: shared[key] if known.get(key) == position else msgspec.to_builtins(position)
        for key, position in held.items()
    }
    return state


def from_keyed(state: Mapping[str, Any]) -> StatisticsData:
    """The state of a keyed form, with the positions in the order of their keys.

    Raises:
        msgspec.ValidationError: It is not the keyed form of a state.
    """
    positions = state.get("positions")
    items = dict(sorted(positions.items())) if isinstance(positions, Mapping) else {}
    return msgspec.convert({**state, "positions": list(items.values())}, StatisticsData)
