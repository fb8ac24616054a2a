"""Watches one bot's config file."""

from __future__ import annotations

import logging
from pathlib import Path

from passivbot_hooks.config import CONFIG_MAX_BYTES, BotConfig, parse_config
from passivbot_hooks.errors import ConfigError, UnusableFileError

from .watched_file import WatchedFile

_log = logging.getLogger(__name__)


class ConfigFollower:
    """Tells a config's new content, once for each change to something readable.

    A config that cannot be read leaves the last good one in force, with one line in the
    log for each way in which it was wrong.
    """

    def __init__(self, config: BotConfig) -> None:
        self.config = config
        self._file = WatchedFile(config.path, CONFIG_MAX_BYTES)
        self._complaint: str | None = None

    def poll(self) -> BotConfig | None:
        """The config if its content changed since the last call, else None."""
        try:
            config = self._read()
        except (ConfigError, UnusableFileError, OSError) as exc:
            self._complain(_describe(self.config.path, exc))
            return None
        if config is None:
            return None
        if config.digest == self.config.digest:
            if self._complaint is not None:
                _log.info("%s: is good again, as it was", config.path)
            self._complaint = None
            return None
        self._complaint = None
        self.config = config
        return config

    def _read(self) -> BotConfig | None:
        raw = self._file.poll()
        config = None if raw is None else parse_config(self.config.path, raw)
        if config is not None and config.user != self.config.user:
            raise ConfigError(
                config.path,
                f"live.user is now {config.user!r}, another bot than {self.config.user!r}; "
                "restart to follow it",
            )
        return config

    def _complain(self, reason: str) -> None:
        if reason != self._complaint:
            self._complaint = reason
            _log.error("%s; the last good config stays in force", reason)


def _describe(path: Path, exc: Exception) -> str:
    match exc:
        case ConfigError():
            return str(exc)
        case UnusableFileError():
            return f"{path}: {exc.reason}"
        case FileNotFoundError():  # an editor may have it away for a moment
            return f"{path}: no such file"
        case _:
            return f"{path}: cannot be read: {getattr(exc, 'strerror', exc)}"
