"""Bots that nobody named, found under the monitor roots as they appear."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Final

from .sources.monitor.locate import BotDirectory, all_bots, real_path

#: Seconds between two looks at the roots.
SCAN_EVERY_S: Final = 2.0

#: More bots than this are not taken; one costs a few `stat` calls a poll and an open file.
BOTS_MAX: Final = 256

_log = logging.getLogger(__name__)


class Newcomers:
    """Finds the bots below some monitor roots that are not watched yet, and names them.

    A bot's name is its user, or ``exchange/user`` where another bot has that user too. A
    name once given stays, whatever appears later.

    Args:
        roots: The monitor roots.
        every_s: Seconds between two looks.
        monotonic: Seconds.
    """

    def __init__(
        self,
        roots: Iterable[Path],
        *,
        every_s: float = SCAN_EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._roots = sorted({real_path(root) for root in roots})
        self._every_s = every_s
        self._monotonic = monotonic
        self._looked_at: float | None = None
        self._taken: set[Path] = set()
        self._said: set[str] = set()

    def poll(
        self, names: Collection[str], is_watched: Callable[[Path], bool]
    ) -> list[tuple[str, BotDirectory]]:
        """The bots that appeared since the last look, with their names; none if it is too early to look.

        Args:
            names: The names that are taken.
            is_watched: Whether a bot's directory belongs to a bot that is watched already.
        """
        now = self._monotonic()
        if self._looked_at is not None and now - self._looked_at < self._every_s:
            return []
        self._looked_at = now
        found = [path for root in self._roots for path in all_bots(root)]
        users = Counter(path.name for path in found)
        new: dict[str, BotDirectory] = {}
        for path in found:
            if path in self._taken or is_watched(path):
                continue
            user, exchange = path.name, path.parent.name
            is_shared = users[user] > 1 or user in names or user in new
            name = f"{exchange}/{user}" if is_shared else user
            if name in names or name in new:
                self._say_once(f"{path}: is not watched: a bot {name!r} of another folder is")
            elif len(self._taken) >= BOTS_MAX:
                self._say_once(f"more than {BOTS_MAX} bots without a config; the others are not watched")
            else:
                self._taken.add(path)
                new[name] = BotDirectory(path.parents[1], user, exchange)
        return list(new.items())

    def _say_once(self, sentence: str) -> None:
        if sentence not in self._said and len(self._said) < BOTS_MAX:
            self._said.add(sentence)
            _log.warning("%s", sentence)
