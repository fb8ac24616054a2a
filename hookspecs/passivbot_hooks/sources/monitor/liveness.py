"""Whether a bot runs, told from the outside.

The state file holds no "stopped". A fresh snapshot means running, whatever else is said: a
bot in a container has process ids of its own. An old one means stopped if the bot's last
lifecycle event is a stop or its process is gone, else stale.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from passivbot_hooks.errors import UnusableFileError
from passivbot_hooks.models import Status
from passivbot_hooks.sources.watched_file import open_regular

#: Upstream's own figure for "old"; Passivbot v7.9 can idle 30 s between two writes.
STALE_AFTER_S: Final = 90.0

#: A stop event may be followed by the shutdown's last snapshot; a snapshot later than
#: this after the event is one of a new start.
STOP_GRACE_MS: Final = 10_000

#: The events that begin or end a run. `bot.shutdown.stage` follows a stop and is no start.
_STARTS: Final = frozenset({"bot.start", "bot.started", "bot.ready"})
_STOPS: Final = frozenset({"bot.stop", "bot.stopped"})

#: How much of the events' end is read. A stop is followed by a few kB at most.
_TAIL_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Vitals:
    """What is known of a bot at one moment.

    Attributes:
        snapshot_age_s: Seconds since the last snapshot, by whichever clock says more.
        snapshot_ts: The last snapshot's own time, milliseconds.
        stopped_at: The time of the stop event that the events end with, or None; milliseconds.
        pid: The bot's process id, in its own namespace.
        is_deleted: Whether its directory is gone.
    """

    snapshot_age_s: float
    snapshot_ts: int
    stopped_at: int | None
    pid: int | None
    is_deleted: bool = False


def judge(vitals: Vitals) -> Status:
    """Whether the bot runs."""
    said_goodbye = vitals.stopped_at is not None and vitals.snapshot_ts <= vitals.stopped_at + STOP_GRACE_MS
    if said_goodbye or vitals.is_deleted:
        return "stopped"
    if vitals.snapshot_age_s < STALE_AFTER_S:
        return "running"
    return "stopped" if is_process_gone(vitals.pid) else "stale"


def is_process_gone(pid: int | None) -> bool:
    """Whether a process surely does not exist here; False where that cannot be known."""
    if pid is None or os.name != "posix":  # elsewhere, os.kill would end the process
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it exists and is somebody else's
        return False
    return False


class StopEvent:
    """Looks at the end of ``events/current.ndjson`` for a stop, when the file changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._stopped_at: int | None = None

    def poll(self) -> int | None:
        """When the bot said that it stopped, in ms, if that is the last it said of its life."""
        try:
            status = self._path.stat()
            seen = status.st_dev, status.st_ino, status.st_size
            if seen != self._seen:
                self._seen = seen
                self._stopped_at = stop_time(_read_tail(self._path))
        except (OSError, UnusableFileError):
            self._seen = None  # just rotated, deleted or unreadable: what was said last still holds
        return self._stopped_at


def _read_tail(path: Path) -> bytes:
    with open_regular(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
        return file.read(_TAIL_BYTES)


def stop_time(tail: bytes) -> int | None:
    """The time of the stop that the events end with, in ms, or None.

    Args:
        tail: The last bytes of a file of events, which may begin and end within a line.
    """
    end = len(tail)
    # Searched backwards as bytes: the bot writes all the time, and hardly ever of its life.
    while (found := tail.rfind(b'"bot.', 0, end)) >= 0:
        start = tail.rfind(b"\n", 0, found) + 1
        line, end = tail[start:end].partition(b"\n")[0], start
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):  # half a line, or damaged
            continue
        if not isinstance(event, dict):
            continue
        kind, timestamp = event.get("kind"), event.get("ts")
        if not isinstance(kind, str):
            continue
        if kind in _STARTS:
            return None
        if kind in _STOPS and isinstance(timestamp, int):
            return timestamp
    return None
