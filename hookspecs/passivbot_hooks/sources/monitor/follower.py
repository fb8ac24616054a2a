"""Follows one bot's monitor files, poll by poll."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from passivbot_hooks.errors import BotNotFoundError, UnusableFileError
from passivbot_hooks.models import Event, Statistics
from passivbot_hooks.sources.watched_file import WatchedFile

from .complaints import Complaints
from .events import EventFollower
from .liveness import StopEvent, Vitals, judge
from .locate import BotDirectory
from .state import STATE_MAX_BYTES, MonitorState, parse_state

_log = logging.getLogger(__name__)


class MonitorFollower:
    """Turns one bot's monitor files into `Statistics` and `Event`s, for as long as it is asked.

    It may be asked before the bot ever ran, and through its stops, restarts and deletion.
    A file that cannot be used is logged, once a minute at most, and the last good
    statistics stay in force.

    Not thread-safe: poll it from one thread. Close it when done.

    Args:
        bot: The bot's name.
        directory: Where its files are or will be.
        is_new: Whether the bot appeared just now, so that all of its events are news. Those
            that are in the files of another bot at the first `poll` are history.
        stays: Whether it stays with the exchange that it found first; else a bot that is
            deleted may come back on another one.
        wall_clock: Seconds since the epoch.
        monotonic: Seconds.
    """

    def __init__(
        self,
        bot: str,
        directory: BotDirectory,
        *,
        is_new: bool = False,
        stays: bool = False,
        wall_clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bot = bot
        self.directory = directory
        self._stays = stays
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._file: WatchedFile | None = None
        self._stop_event: StopEvent | None = None
        self._events: EventFollower | None = None
        self._is_first_look = not is_new
        self._is_deleted = False
        self._state: MonitorState | None = None
        self._told: Statistics | None = None
        self._changed_at = 0.0
        self._complaints = Complaints(bot, monotonic)
        self._event_complaints = Complaints(bot, monotonic)

    def poll(self) -> Statistics | None:
        """The statistics if there is a new snapshot or another status since the last call, else None."""
        if self._file is None:
            self._locate()
        self._is_first_look = False
        state = self._read() or self._state
        if state is None:
            return None
        is_new = state is not self._state
        if is_new:
            self._state, self._changed_at = state, self._monotonic()
            self._is_deleted = False
            _log.debug("bot %r: snapshot %d", self.bot, state.statistics.timestamp)
        status = judge(self._vitals(state))
        if not is_new and self._told is not None and status == self._told.status:
            return None  # which most looks end with: nothing of the snapshot was looked at
        statistics = replace(state.statistics, status=status)
        if statistics == self._told:
            return None
        self._told = statistics
        return statistics

    def poll_events(self) -> list[Event]:
        """The events since the last call, in order.

        Call it after `poll` and tell what it returns before what that returned: so an
        event comes before the snapshot that shows what came of it.
        """
        if self._events is None:
            return []
        health = self._state.statistics.health if self._state else None
        return self._events.poll(started_at=health.started_at if health else None)

    def close(self) -> None:
        """Close what is open."""
        if self._events is not None:
            self._events.close()
        self._file = self._stop_event = self._events = None

    def _locate(self) -> None:
        try:
            path = self.directory.find()
        except BotNotFoundError as exc:
            self._complaints.say(str(exc))
            return
        if path is None:
            return
        if self._stays:
            self.directory = replace(self.directory, exchange=path.parent.name)
        self._file = WatchedFile(path / "state.latest.json", STATE_MAX_BYTES)
        events = path / "events" / "current.ndjson"
        self._stop_event = StopEvent(events)
        if self._events is not None:
            self._events.close()
        self._events = EventFollower(
            events, from_end=self._is_first_look, complain=self._event_complaints.say
        )
        _log.info("bot %r: following %s", self.bot, path.absolute())

    def _read(self) -> MonitorState | None:
        if self._file is None:
            return None
        try:
            raw = self._file.poll()
            if raw is None:
                return None
            state = parse_state(raw)
        except FileNotFoundError:  # not written yet, or deleted; the status will tell
            if not self._file.path.parent.is_dir():
                _log.warning("bot %r: %s is gone; waiting for it", self.bot, self._file.path.parent)
                self._file = None  # to be looked for
                self._is_deleted = True
            elif self._state is not None and not self._is_deleted:  # Passivbot replaces it, never removes it
                self._complain("is gone")
            return None
        except UnusableFileError as exc:
            self._complain(exc.reason)
            return None
        except OSError as exc:
            self._complain(f"cannot be read: {exc.strerror}")
            return None
        self._complaints.take_back(self._file.path)
        return state

    def _complain(self, what: str) -> None:
        assert self._file is not None
        held = "the last good snapshot stays in force" if self._state else "no statistics until that changes"
        self._complaints.say(f"{self._file.path}: {what}; {held}")

    def _vitals(self, state: MonitorState) -> Vitals:
        # Two clocks: the wall clock knows a snapshot that was old when we came; the
        # monotonic one is right when the wall clock, ours or the bot's, was set.
        wall_age = self._wall_clock() - state.statistics.timestamp / 1000
        return Vitals(
            snapshot_age_s=max(wall_age, self._monotonic() - self._changed_at),
            snapshot_ts=state.statistics.timestamp,
            stopped_at=self._stop_event.poll() if self._stop_event else None,
            pid=state.pid,
            is_deleted=self._is_deleted,
        )
