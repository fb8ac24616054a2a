"""The WebSocket plugin: a running bot, live, for the people who own it.

The entry point ``websocket`` of the group ``passivbot.plugins`` announces ``plugin.plugin``.
"""

from __future__ import annotations

from importlib import import_module

# As type checkers know it; to import typing would be half of what Ctrl-C may meet before main.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .access.auth import make_token
    from .plugin import WebSocketPlugin

__all__ = ["WebSocketPlugin", "make_token"]

_HOMES = {"WebSocketPlugin": ".plugin", "make_token": ".access.auth"}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: the command is to hear Ctrl-C in its half second of imports."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
