"""The sidecar: watches the files of unmodified bots and fires the hooks.

::

    config.hjson ───────────────▶ ConfigFollower ──▶ on_config_loaded ───────────┐
                                                                                 ├─▶ PluginHost ─▶ plugins
    monitor/<exchange>/<user>/ ─▶ MonitorFollower ─▶ on_event, on_stats_updated ─┘
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .config import BotConfig, is_name
from .errors import BotNotFoundError
from .host import PluginHost
from .newcomers import Newcomers
from .sources.config_file import ConfigFollower
from .sources.monitor import MonitorFollower
from .sources.monitor.locate import BotDirectory, find_bots

#: Seconds between two looks at the files.
POLL_S: Final = 0.2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WatchedBot:
    """One bot to watch.

    Attributes:
        name: What the hooks call it.
        config: Its config, as first read; None for a bot that was only found.
        directory: Where its monitor files are or will be.
    """

    name: str
    config: BotConfig | None
    directory: BotDirectory


class Sidecar:
    """Watches bots and tells a host about them until told to stop.

    All polling, and so every call of the host, is on the thread that calls `run`.

    Args:
        host: What is told.
        bots: The bots to watch.
        newcomers: Where to look for more of them; None: nowhere.
        poll_s: Seconds between two looks at the files.
    """

    def __init__(
        self,
        host: PluginHost,
        bots: Sequence[WatchedBot],
        *,
        newcomers: Newcomers | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        self._host = host
        self._newcomers = newcomers
        self._poll_s = poll_s
        self._failing: set[str] = set()
        self._watched: list[tuple[WatchedBot, ConfigFollower | None, MonitorFollower]] = []
        for bot in bots:
            self._watch(bot)
        self._is_first_poll = True

    def _watch(self, bot: WatchedBot, *, is_new: bool = False) -> None:
        config = None if bot.config is None else ConfigFollower(bot.config)
        monitor = MonitorFollower(bot.name, bot.directory, is_new=is_new, stays=self._newcomers is not None)
        self._watched.append((bot, config, monitor))

    def run(self, stop: threading.Event) -> None:
        """Load the plugins, then watch until ``stop`` is set, then shut the plugins down."""
        try:
            configs = {bot.name: bot.config.data for bot, _, _ in self._watched if bot.config is not None}
            self._host.load(configs)
            if not any(record.state == "on" for record in self._host.records):
                _log.warning("no plugin is on, so nobody is told; passivbot-hooks plugins CONFIG says why")
            for name, config in configs.items():
                self._host.on_config_loaded(bot=name, config=config)
            while not stop.is_set():
                self.poll()
                stop.wait(self._poll_s)
        finally:
            self._host.on_shutdown()
            for _, _, monitor in self._watched:
                monitor.close()

    def poll(self) -> None:
        """Look at every file once and fire what changed."""
        if self._newcomers is not None:
            self._look_for_newcomers(self._newcomers)
        self._is_first_poll = False
        for bot, config_follower, monitor_follower in self._watched:
            try:
                self._poll_one(bot, config_follower, monitor_follower)
            except Exception:  # noqa: BLE001  what one bot's files do is not to stop the others'
                if bot.name not in self._failing:
                    self._failing.add(bot.name)
                    _log.exception("bot %r: looking at its files failed; said once", bot.name)
            else:
                self._failing.discard(bot.name)

    def _look_for_newcomers(self, newcomers: Newcomers) -> None:
        followers = [monitor for _, _, monitor in self._watched]
        found = newcomers.poll(
            {bot.name for bot, _, _ in self._watched},
            lambda path: any(follower.directory.may_be(path) for follower in followers),
        )
        for name, directory in found:
            _log.info("bot %r: found, without a config", name)
            self._watch(WatchedBot(name, None, directory), is_new=not self._is_first_poll)

    def _poll_one(self, bot: WatchedBot, configs: ConfigFollower | None, monitor: MonitorFollower) -> None:
        config = configs.poll() if configs is not None else None
        if config is not None:
            _log.info("bot %r: %s changed; read again", bot.name, config.path)
            self._host.on_config_loaded(bot=bot.name, config=config.data)
        statistics = monitor.poll()
        for event in monitor.poll_events():
            self._host.on_event(bot=bot.name, event=event)
        if statistics is not None:
            self._host.on_stats_updated(bot=bot.name, stats=statistics)


def watched_bots(
    configs: Sequence[BotConfig], *, root: Path | None, chosen: Iterable[str] = ()
) -> list[WatchedBot]:
    """Decide which monitor directory belongs to each config, and the bots' names.

    Args:
        configs: One a bot.
        root: The monitor root; None: each config's ``monitor.root_dir``, else ``monitor``.
        chosen: ``exchange/user``, where a root holds a user twice.

    Raises:
        BotNotFoundError: A config names no user, two name the same bot, several directories
            fit and none is chosen, or a choice fits no config.
    """
    choices = [_parse_choice(text) for text in chosen]
    only_choice = choices[0] if len(choices) == len(configs) == 1 else None
    directories = [_directory(config, root, choices, only_choice) for config in configs]
    if choices:  # what no config took
        exchange, user = choices[0]
        users = ", ".join(sorted({directory.user for directory in directories}))
        why = f"no config has live.user {user!r}; there is {users}"
        if any(directory.user == user for directory in directories):
            why = f"one too many: give one for each config with live.user {user!r}"
        raise BotNotFoundError(f"--bot {exchange}/{user}: {why}")
    users_twice = {user for user, n in Counter(place.user for place in directories).items() if n > 1}
    bots: dict[str, WatchedBot] = {}
    paths: dict[str, Path] = {}
    for config, directory in zip(configs, directories, strict=True):
        name = _name(directory, is_shared=directory.user in users_twice)
        if name in bots:
            raise BotNotFoundError(
                f"{paths[name]} and {config.path} are both for bot {name!r}; give one config a "
                "bot, and --bot EXCHANGE/USER for each where two exchanges have that user"
            )
        bots[name] = WatchedBot(name, config, directory)
        paths[name] = config.path
    return list(bots.values())


def _parse_choice(text: str) -> tuple[str, str]:
    exchange, _, user = text.partition("/")
    if not (is_name(exchange) and is_name(user)):
        raise BotNotFoundError(f"--bot {text}: give EXCHANGE/USER, such as bybit/main")
    return exchange, user


def _directory(
    config: BotConfig,
    root: Path | None,
    choices: list[tuple[str, str]],
    only_choice: tuple[str, str] | None,
) -> BotDirectory:
    """Where a config's bot writes; takes its choice, if there is one, out of ``choices``."""
    monitor = config.data.get("monitor")
    if isinstance(monitor, dict) and monitor.get("enabled") is False:
        _log.warning(
            "%s: monitor.enabled is false, so this bot writes no monitor files; set it to true", config.path
        )
    user = config.user or (only_choice[1] if only_choice else None)
    if user is None:
        raise BotNotFoundError(
            f"{config.path}: has no live.user; set it to the account's name in api-keys.json"
        )
    choice = next((choice for choice in choices if choice[1] == user), None)
    if choice is not None:
        choices.remove(choice)  # a second config of this user takes the next one
    directory = BotDirectory(root or _root_of(config), user, choice[0] if choice else None)
    if os.path.lexists(directory.root) and not os.path.isdir(directory.root):  # noqa: PTH112  it never raises
        raise BotNotFoundError(
            f"{directory.root}: is no directory; the monitor root is the one that holds <exchange>/<user>"
        )
    directory.find()  # raises now, where the owner reads it, if several fit
    return directory


def _name(directory: BotDirectory, *, is_shared: bool) -> str:
    """The user, which Passivbot keeps unique; with the exchange only where two exchanges have it."""
    if directory.exchange is None:
        return directory.user
    others = {path.parent.name for path in find_bots(directory.root, directory.user)} - {directory.exchange}
    return f"{directory.exchange}/{directory.user}" if others or is_shared else directory.user


def _root_of(config: BotConfig) -> Path:
    monitor = config.data.get("monitor")
    root = monitor.get("root_dir") if isinstance(monitor, dict) else None
    return Path(root if isinstance(root, str) and root else "monitor").expanduser()
