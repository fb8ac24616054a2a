"""The WebSocket plugin: a running bot, live, for the people who own it.

The entry point ``websocket`` of the group ``passivbot.plugins`` announces ``plugin.plugin``.
"""

from __future__ import annotations

from .auth import make_token
from .plugin import WebSocketPlugin

__all__ = ["WebSocketPlugin", "make_token"]
