"""The WebSocket plugin: a running bot, live, for the people who own it.

``plugin`` is what the entry point ``websocket`` of the group ``passivbot.plugins`` announces.
"""

from __future__ import annotations

from .auth import make_token
from .plugin import WebSocketPlugin

#: The instance that a host finds.
plugin = WebSocketPlugin()

__all__ = ["WebSocketPlugin", "make_token", "plugin"]
