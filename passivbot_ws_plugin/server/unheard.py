"""What a connection that never logged in stands for in the record. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from websockets.exceptions import ConnectionClosed
from websockets.protocol import Protocol

from passivbot_ws_plugin.audit import AuditEvent
from passivbot_ws_plugin.close_codes import CLOSE_THROTTLED, CLOSE_TRY_LATER

#: What a stranger who goes by itself stands for in the record.
LEFT: Final[tuple[AuditEvent, str]] = ("auth.disconnect", "left without an auth message")

#: What a close code that the server sent to a stranger stands for in the record.
_WHY_CLOSED: Final[Mapping[int, tuple[AuditEvent, str]]] = {
    1002: ("auth.failure", "broke the WebSocket protocol"),
    1007: ("auth.failure", "broke the WebSocket protocol"),
    1009: ("auth.failure", "message too large"),
    1011: ("auth.disconnect", "stopped answering pings"),
    CLOSE_THROTTLED: ("auth.failure", "too many frames"),
    CLOSE_TRY_LATER: ("auth.disconnect", "made way for another address"),
}


def why_unheard(exc: TimeoutError | ConnectionClosed, protocol: Protocol) -> tuple[AuditEvent, str]:
    """What a connection without a login stands for in the record."""
    sent = protocol.close_sent
    if sent is None and isinstance(exc, TimeoutError):
        return "auth.timeout", "no auth message in time"
    if sent is None or protocol.close_rcvd_then_sent:  # the peer ended it, or the network did
        return LEFT
    # Sent before the deadline, even if the peer let that pass too before it closed.
    return _WHY_CLOSED.get(sent.code, ("auth.disconnect", "server stopping"))
