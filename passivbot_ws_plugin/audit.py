"""The record of every authentication attempt: one JSON line each.

Never a token, a password or a raw message. What the peer says of itself is capped, and
escaped to ASCII, so that a line break or a terminal's control sequence cannot forge a line.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final, Literal

import structlog

AuditEvent = Literal["auth.success", "auth.failure", "auth.timeout", "auth.disconnect", "auth.revoked"]

#: What is kept of a value that the peer chose, in characters.
PEER_TEXT_MAX: Final = 200

#: Where the lines go: a stdlib logger, whose handlers are the host's business.
LOGGER_NAME: Final = "passivbot_ws_plugin.audit"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is at the other end of a connection, as far as it shows.

    Attributes:
        conn: This connection's name in the logs, random.
        peer: The address, without the port.
        port: The peer's port.
        origin: The ``Origin`` header.
        user_agent: The ``User-Agent`` header.
        path: The request's path, without the query, which may hold anything.
    """

    conn: str
    peer: str
    port: int
    origin: str | None
    user_agent: str | None
    path: str


class Audit:
    """Writes the records, in a structlog pipeline of its own: no global setting is touched."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._hash_key = secrets.token_bytes(16)
        self._version = version("passivbot-ws-plugin")
        self._log = structlog.wrap_logger(
            logger or logging.getLogger(LOGGER_NAME),
            wrapper_class=structlog.stdlib.BoundLogger,
            processors=[
                _add_timestamp,
                _cap_values,
                structlog.processors.JSONRenderer(ensure_ascii=True),
            ],
            cache_logger_on_first_use=False,
        )

    def record(
        self,
        event: AuditEvent,
        visitor: Visitor,
        *,
        reason: str,
        latency_s: float,
        key: str | None = None,
        key_is_ours: bool = False,
        bots: tuple[str, ...] = (),
    ) -> None:
        """Write one record.

        Args:
            event: What happened.
            visitor: To whom.
            reason: Exactly why, for the owner.
            latency_s: Since the connection was made, seconds.
            key: The key part that was claimed. Only one of ours is written as it is: a client
                that mixes its fields up would otherwise put its password here.
            key_is_ours: Whether it is one of ours.
            bots: The bots that are served.
        """
        write = self._log.info if event == "auth.success" else self._log.warning
        write(
            event,
            conn=visitor.conn,
            peer=visitor.peer,
            port=visitor.port,
            origin=visitor.origin,
            user_agent=visitor.user_agent,
            path=visitor.path,
            tls=False,
            method="token",
            key=key if key is None or key_is_ours else self._digest(key),
            reason=reason,
            latency_ms=round(latency_s * 1000),
            bot=", ".join(bots),
            version=self._version,
        )

    def _digest(self, text: str) -> str:
        """A short keyed hash: tells whether two attempts claimed the same, and nothing else."""
        digest = hmac.new(self._hash_key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"hash:{digest.hexdigest()[:12]}"


def _add_timestamp(
    logger: Any, method: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    # The time first, then what happened: a line is read from the left.
    return {"ts": now, "event": event_dict.pop("event"), **event_dict}


def _cap_values(logger: Any, method: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {
        key: value[:PEER_TEXT_MAX] if isinstance(value, str) else value for key, value in event_dict.items()
    }
