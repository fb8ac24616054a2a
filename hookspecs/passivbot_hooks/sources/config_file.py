"""Watches one bot's config file."""

from __future__ import annotations

import logging

from passivbot_hooks.config import CONFIG_MAX_BYTES, BotConfig, parse_config
from passivbot_hooks.errors import ConfigError, UnusableFileError

from .watched_file import WatchedFile

_log = logging.getLogger(__name__)


class ConfigFollower:
    """Tells a config's new content, once for each change to something readable.

    A config that cannot be read leaves the last good one in force, with one line in the
    log for each change that was refused.
    """

    def __init__(self, config: BotConfig) -> None:
        self.config = config
        self._file = WatchedFile(config.path, CONFIG_MAX_BYTES)
        self._is_missing = False

    def poll(self) -> BotConfig | None:
        """The config if its content changed since the last call, else None."""
        try:
            raw = self._file.poll()
            self._is_missing = False
            config = None if raw is None else parse_config(self.config.path, raw)
            if config is None or config.digest == self.config.digest:
                return None
            if config.user != self.config.user:
                raise ConfigError(
                    config.path,
                    f"live.user is now {config.user!r}, another bot than {self.config.user!r}; "
                    "restart to follow it",
                )
        except FileNotFoundError:
            if not self._is_missing:  # an editor may have it away for a moment
                self._is_missing = True
                self._complain(f"{self.config.path}: no such file")
            return None
        except ConfigError as exc:
            self._complain(str(exc))
            return None
        except UnusableFileError as exc:
            self._complain(f"{self.config.path}: {exc.reason}")
            return None
        except OSError as exc:
            self._complain(f"{self.config.path}: cannot be read: {exc.strerror}")
            return None
        self.config = config
        return config

    @staticmethod
    def _complain(reason: str) -> None:
        _log.error("%s; the last good config stays in force", reason)
