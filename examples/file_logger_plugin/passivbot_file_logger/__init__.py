"""A line of JSON in a file for each change of a bot's statistics.

``plugin`` is what the entry point ``file_logger`` of the group ``passivbot.plugins`` announces.
The host calls all three hooks on one thread, so there is no lock here.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from passivbot_hooks import Statistics, did_you_mean, hookimpl, plugin_options

DEFAULT_PATH: Final = "logs/statistics.jsonl"

#: A file that has grown to this is renamed to ``<name>.1``, over the one before: twice this is all.
FILE_MAX_BYTES: Final = 10_000_000

_log = logging.getLogger(__name__)


class FileLogger:
    """Appends to the file that each bot's own config names."""

    def __init__(self) -> None:
        self._paths: dict[str, Path] = {}  # by the bot's name
        self._last: dict[str, Statistics] = {}
        self._broken: set[Path] = set()  # files that could not be written the last time

    @hookimpl
    def on_config_loaded(self, bot: str, config: Mapping[str, Any]) -> None:
        """Take the path, and write that there is a config; its values are nobody's business here."""
        kept = self._paths.get(bot)
        try:
            self._paths[bot] = path = read_path(config)
        except ValueError as exc:
            _log.error("bot %r: %s; %s", bot, exc, f"{kept} stays in use" if kept else "nothing is written")
            return
        self._append(path, "config", bot=bot)

    @hookimpl
    def on_stats_updated(self, bot: str, stats: Statistics) -> None:
        """Write the snapshot if it differs from the last one in more than its time."""
        if bot in self._paths and stats.differs_from(self._last.get(bot)):
            self._append(self._paths[bot], "statistics", bot=bot, statistics=asdict(stats))
            self._last[bot] = stats

    @hookimpl
    def on_shutdown(self) -> None:
        """Write the last line of each file, and forget: a plugin may be switched on again later."""
        for path in sorted(set(self._paths.values())):
            self._append(path, "shutdown")
        self._paths.clear()
        self._last.clear()

    def _append(self, path: Path, event: str, **data: object) -> None:
        # Opened for each line, about one a second: a file that was moved or deleted meanwhile is
        # made anew, and there is nothing to close. NaN raises, for it is no JSON: the host logs it.
        line = json.dumps({"time": time.time_ns() // 1_000_000, "event": event, **data}, allow_nan=False)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                is_full = file.tell() >= FILE_MAX_BYTES
                file.write(line + "\n")
            _log.debug("%s: %s written", path, event)
            if is_full:
                old = path.replace(path.with_name(path.name + ".1"))
                _log.info("%s: full; renamed to %s", path, old.name)
        except OSError as exc:  # a full disk is not a bug that the host should switch us off for
            if path not in self._broken:
                _log.error("%s: cannot be written: %s; trying again with each line", path, exc.strerror)
            self._broken.add(path)
        else:
            self._broken.discard(path)


def read_path(config: Mapping[str, Any]) -> Path:
    """The file that ``plugins.file_logger`` names.

    Args:
        config: The bot's whole config.

    Raises:
        ValueError: An option is unknown or wrong; the message has the path of its key.
    """
    options = plugin_options(config, "file_logger")
    path = options.pop("path", DEFAULT_PATH)
    for name in options:
        raise ValueError(f"plugins.file_logger.{name}: is not an option{did_you_mean(name, ['path'])}")
    if not isinstance(path, str) or not path:
        raise ValueError(f"plugins.file_logger.path: must be a path, such as {DEFAULT_PATH!r}, not {path!r}")
    return Path(path).expanduser()


#: The instance that a host finds.
plugin = FileLogger()
