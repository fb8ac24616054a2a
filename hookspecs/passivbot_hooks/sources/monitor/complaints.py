"""What is wrong with a bot's files, in the log and not all over it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

#: A bot that writes a bad file every second must not fill the log.
COMPLAINT_EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)


class Complaints:
    """Logs what is wrong with one of a bot's files, once a minute at most.

    Args:
        bot: The bot's name.
        monotonic: Seconds, for the minute.
    """

    def __init__(self, bot: str, monotonic: Callable[[], float]) -> None:
        self._bot = bot
        self._monotonic = monotonic
        self._said_at: float | None = None

    def say(self, reason: str) -> None:
        """Log it, unless there was a complaint within the last minute."""
        now = self._monotonic()
        if self._said_at is not None and now - self._said_at < COMPLAINT_EVERY_S:
            return
        self._said_at = now
        _log.error("bot %r: %s", self._bot, reason)

    def take_back(self, path: object) -> None:
        """The file is good: log that if the last that was said is that it was not."""
        if self._said_at is not None:
            self._said_at = None
            _log.info("bot %r: %s is good again", self._bot, path)
