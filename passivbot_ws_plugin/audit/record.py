"""The record of every authentication attempt: one JSON line each.

Never a token, a password or a raw message. What the peer says of itself is escaped to ASCII, so that
a line break or a terminal's control sequence cannot forge a line, and capped as it is written then: what
is nothing but escapes takes no more of the file than anything else.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final, Literal

import structlog

from passivbot_ws_plugin.addresses import network

from .chain import to_json
from .file import AuditFile
from .flood import Flood
from .sinks import Sinks

AuditEvent = Literal[
    "auth.success",
    "auth.failure",
    "auth.timeout",
    "auth.throttled",
    "auth.disconnect",
    "auth.revoked",
    "connection.refused",
]

#: What is kept of a text, as it is written: bytes of escaped ASCII, of which an escape is 2, 6 or 12.
TEXT_MAX_BYTES: Final = 200

#: Where the lines go besides the file: a stdlib logger, whose handlers are the host's business.
LOGGER_NAME: Final = "passivbot_ws_plugin.audit"

#: Each of these is written by itself, however many there are.
_NEVER_COUNTED: Final = frozenset({"auth.success", "auth.revoked"})


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
        tls: Whether the connection is encrypted.
    """

    conn: str
    peer: str
    port: int
    origin: str | None
    user_agent: str | None
    path: str
    tls: bool = False


class Audit:
    """Writes the records, in a structlog pipeline of its own: no global setting is touched.

    They go to the chained file, which nothing in the host can silence, and to the stdlib
    logger `LOGGER_NAME`. Not for several threads.

    Args:
        file: The chained file; None: the logger alone, and every record counts as on record.
        is_required: Whether nobody is let in whose login is not in the file.
        clock: For floods, seconds.
        wall_clock: For the records' time, seconds since the epoch.
    """

    def __init__(
        self,
        file: AuditFile | None = None,
        *,
        is_required: bool = True,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._is_closed = False
        self._hash_key = secrets.token_bytes(16)
        self._version = version("passivbot-ws-plugin")
        self._flood = Flood(clock)
        self._sinks = Sinks(file, logging.getLogger(LOGGER_NAME), is_required=is_required)
        # Everything is given: what is not would be taken from the host's global settings.
        self._log = structlog.wrap_logger(
            self._sinks,
            wrapper_class=structlog.BoundLogger,
            context_class=dict,
            processors=[_stamp_with(wall_clock), _cap_values, _as_one_argument],
            cache_logger_on_first_use=False,
        )

    @property
    def failure(self) -> str | None:
        """Why records cannot be written now; None if they can, as far as is known."""
        return self._sinks.failure

    def open(self) -> bool:
        """Open the file before there is a record, so that `failure` is right from the start."""
        return self._sinks.open()

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
        method: str | None = None,
        failures: int | None = None,
    ) -> bool:
        """Put an event on record.

        Of a flood the first is written at once and the others are counted, until `flush`; successes
        and revocations are always written.

        Args:
            event: What happened.
            visitor: To whom.
            reason: Exactly why, for the owner.
            latency_s: Since the connection was made, seconds.
            key: The key part that was claimed. Only one of ours is written as it is: a client
                that mixes its fields up would otherwise put its password here.
            key_is_ours: Whether it is one of ours.
            bots: The bots that are served.
            method: How it logged in or tried to: ``token``, ``scram``.
            failures: How often this address failed lately.

        Returns:
            Whether it is on record; for one that is counted, whether the last one was.
        """
        fields: dict[str, object] = {
            "event": event,
            "conn": visitor.conn,
            "peer": visitor.peer,
            "port": visitor.port,
            "origin": visitor.origin,
            "user_agent": visitor.user_agent,
            "path": visitor.path,
            "tls": visitor.tls,
            "method": method,
            "key": key if key is None or key_is_ours else self._digest(key),
            "reason": reason,
            "failures": failures,
            "latency_ms": round(latency_s * 1000),
            "bot": ", ".join(bots),
            "version": self._version,
        }
        # By network: a household has 2**64 addresses, and a line from each would fill the file.
        if event in _NEVER_COUNTED or self._flood.admits(network(visitor.peer), event, fields):
            return self._write(fields)
        return self.failure is None

    def flush(self) -> None:
        """Write what was counted and is due; to be called each second."""
        self._write_counted(self._flood.take())

    def close(self) -> None:
        """Write all that was counted, and close the file for good.

        A connection that outlives its server may still have something to record: it would open
        the file again, and keep it from the next server's record.
        """
        self._write_counted(self._flood.take_all())
        self._sinks.close()
        self._is_closed = True

    def _write_counted(self, entries: list[tuple[int, Mapping[str, object]]]) -> None:
        for count, fields in entries:
            self._write({**fields, "count": count} if count > 1 else fields)

    def _write(self, fields: Mapping[str, object]) -> bool:
        if self._is_closed:
            return False
        write = self._log.info if fields["event"] == "auth.success" else self._log.warning
        return bool(write(**fields))

    def _digest(self, text: str) -> str:
        """A short keyed hash: tells whether two attempts claimed the same, and nothing else."""
        digest = hmac.new(self._hash_key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"hash:{digest.hexdigest()[:12]}"


def _stamp_with(wall_clock: Callable[[], float]) -> structlog.typing.Processor:
    def stamp(logger: Any, method: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        now = datetime.fromtimestamp(wall_clock(), UTC).isoformat(timespec="milliseconds")
        # The time first, then what happened: a line is read from the left.
        return {"ts": now.replace("+00:00", "Z"), "event": event_dict.pop("event"), **event_dict}

    return stamp


def _cap_values(logger: Any, method: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: cut(value) if isinstance(value, str) else value for key, value in event_dict.items()}


def cut(text: str) -> str:
    """As much of a text's beginning as is `TEXT_MAX_BYTES` when it is written, and no half of an escape."""
    text = text[:TEXT_MAX_BYTES]
    if _written_bytes(text) <= TEXT_MAX_BYTES:
        return text
    lengths = range(1, len(text))
    return text[: bisect_right(lengths, TEXT_MAX_BYTES, key=lambda length: _written_bytes(text[:length]))]


def _written_bytes(text: str) -> int:
    return len(to_json(text)) - len('""')


def _as_one_argument(
    logger: Any, method: str, event_dict: MutableMapping[str, Any]
) -> tuple[tuple[MutableMapping[str, Any]], dict[str, Any]]:
    return (event_dict,), {}
