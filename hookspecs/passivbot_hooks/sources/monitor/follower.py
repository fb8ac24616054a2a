"""Follows one bot's monitor files, poll by poll."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from passivbot_hooks.errors import BotNotFoundError, UnusableFileError
from passivbot_hooks.models import Statistics
from passivbot_hooks.sources.watched_file import WatchedFile

from .liveness import StopEvent, Vitals, judge
from .locate import BotDirectory
from .state import STATE_MAX_BYTES, MonitorState, parse_state

#: A bot that writes a bad file every second must not fill the log.
COMPLAINT_EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)


class MonitorFollower:
    """Turns one bot's monitor files into `Statistics`, for as long as it is asked.

    It may be asked before the bot ever ran, and through its stops, restarts and deletion.
    A file that cannot be used is logged, once a minute at most, and the last good
    statistics stay in force.

    Not thread-safe: poll it from one thread.
    """

    def __init__(
        self,
        bot: str,
        directory: BotDirectory,
        *,
        wall_clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bot = bot
        self._directory = directory
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._file: WatchedFile | None = None
        self._stop_event: StopEvent | None = None
        self._state: MonitorState | None = None
        self._told: Statistics | None = None
        self._changed_at = 0.0
        self._complained_at: float | None = None

    def poll(self) -> Statistics | None:
        """The statistics if there is a new snapshot or another status since the last call, else None."""
        if self._file is None:
            self._locate()
        state = self._read() or self._state
        if state is None:
            return None
        if state is not self._state:
            self._state, self._changed_at = state, self._monotonic()
            _log.debug("bot %r: snapshot %d", self.bot, state.statistics.timestamp)
        statistics = replace(state.statistics, status=judge(self._vitals(state)))
        if statistics == self._told:
            return None
        self._told = statistics
        return statistics

    def _locate(self) -> None:
        try:
            path = self._directory.find()
        except BotNotFoundError as exc:
            self._complain(str(exc))
            return
        if path is None:
            return
        self._file = WatchedFile(path / "state.latest.json", STATE_MAX_BYTES)
        self._stop_event = StopEvent(path / "events" / "current.ndjson")
        _log.info("bot %r: following %s", self.bot, path)

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
                self._file = None  # the bot may come back on another exchange
            return None
        except UnusableFileError as exc:
            self._complain(f"{self._file.path}: {exc.reason}; the last good snapshot stays in force")
            return None
        except OSError as exc:
            self._complain(f"{self._file.path}: cannot be read: {exc.strerror}")
            return None
        if self._complained_at is not None:
            self._complained_at = None
            _log.info("bot %r: %s is good again", self.bot, self._file.path)
        return state

    def _vitals(self, state: MonitorState) -> Vitals:
        # Two clocks: the wall clock knows a snapshot that was old when we came; the
        # monotonic one is right when the wall clock, ours or the bot's, was set.
        wall_age = self._wall_clock() - state.statistics.timestamp / 1000
        return Vitals(
            snapshot_age_s=max(wall_age, self._monotonic() - self._changed_at),
            snapshot_ts=state.statistics.timestamp,
            stopped_at=self._stop_event.poll() if self._stop_event else None,
            pid=state.pid,
        )

    def _complain(self, reason: str) -> None:
        now = self._monotonic()
        if self._complained_at is not None and now - self._complained_at < COMPLAINT_EVERY_S:
            return
        self._complained_at = now
        _log.error("bot %r: %s", self.bot, reason)
