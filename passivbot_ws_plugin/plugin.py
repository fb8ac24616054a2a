"""The four hooks. The host calls them on one thread of this plugin's own."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

from passivbot_hooks import Event, Statistics, hookimpl

from .errors import NotConfiguredError, SettingsError
from .log import get_logger
from .messages import clean, event_data, statistics_data
from .redaction import without_metadata
from .server.worker import Worker
from .settings.parsing import ServerSection, Settings, parse_settings, server_section

#: What stopping may take: the server's own bound, and a little for the thread.
STOP_S: Final = 3.8

_log = get_logger(__name__)


class WebSocketPlugin:
    """Shows bots to their owners over an authenticated WebSocket.

    The first bot whose config it hears owns the server: its settings are the server's. Other
    bots of the same host are shown by it too.

    Nothing is started until the first config comes, so importing this costs nothing.
    """

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._owner: str | None = None
        self._is_refused = False  # the last settings, so that their mending is worth a line
        self._sections: dict[str, ServerSection] = {}
        self._settings: Settings | None = None  # the last good ones
        self._address: str | None = None
        self._address_changed = threading.Condition()

    @hookimpl
    def on_config_loaded(self, bot: str, config: Mapping[str, Any]) -> None:
        """Hand the config out from now on, and serve as it says."""
        worker = self._started()
        if self._owner is None:
            self._owner = bot
        if bot == self._owner:  # first: who may see a config is never judged by older settings than its own
            self._configure(worker, bot, config)
        self._say_what_is_not_used(bot, config)
        worker.put_config(bot, clean(without_metadata(config)))

    @hookimpl
    def on_stats_updated(self, bot: str, stats: Statistics) -> None:
        """Hand the snapshot to the server's loop."""
        self._started().put_statistics(bot, statistics_data(stats))

    @hookimpl
    def on_event(self, bot: str, event: Event) -> None:
        """Hand the event to the server's loop."""
        self._started().put_event(bot, event.seq, event_data(event))

    @hookimpl
    def on_shutdown(self) -> None:
        """Stop the server, stuck clients or not."""
        worker, self._worker, self._owner, self._settings = self._worker, None, None, None
        self._is_refused = False
        self._sections.clear()
        if worker is not None and not worker.stop(STOP_S):
            _log.error("worker.left_behind", reason=f"did not stop in {STOP_S} s")

    def wait_listening(self, timeout_s: float) -> str | None:
        """Wait for the server's address, such as ``ws://127.0.0.1:8765``; None if there is none in time."""
        with self._address_changed:
            self._address_changed.wait_for(lambda: self._address is not None, timeout_s)
            return self._address

    def _set_address(self, address: str | None) -> None:
        with self._address_changed:
            self._address = address
            self._address_changed.notify_all()

    def _started(self) -> Worker:
        if self._worker is None:
            worker = Worker(self._set_address)
            worker.start()
            self._worker = worker
        return self._worker

    def _say_what_is_not_used(self, bot: str, config: Mapping[str, Any]) -> None:
        """One line for a bot whose settings are others than the server's, and again when they change."""
        own, before = server_section(config), self._sections.get(bot)
        self._sections[bot] = own
        if any(own) and own not in (before, self._sections[self._owner or bot]):
            _log.warning(
                "settings.not_used",
                bot=bot,
                reason=f"the server of bot {self._owner!r} shows this bot too; its settings alone count",
            )

    def _configure(self, worker: Worker, bot: str, config: Mapping[str, Any]) -> None:
        settings: Settings | None
        try:
            settings = parse_settings(config)
        except NotConfiguredError as exc:  # without credentials nobody may come in: close the door
            _log.warning("server.off", bot=bot, reason=str(exc))
            settings = self._settings = None
            self._is_refused = False
        except SettingsError as exc:
            consequence = "the server stays off"
            settings = self._settings
            if settings is not None:
                consequence = "the last good ones stay; clients see no secrets of the config meanwhile"
                settings = settings.without_secrets()
            _log.error("settings.refused", bot=bot, reason=str(exc), consequence=consequence)
            self._is_refused = True
        else:
            self._settings = settings
            if self._is_refused:
                _log.info("settings.in_force", bot=bot)
            self._is_refused = False
        for warning in () if settings is None else settings.warnings:
            _log.warning("settings.unwise", bot=bot, reason=warning)
        worker.configure(settings)


#: What the entry point announces: a host finds this instance.
plugin: Final = WebSocketPlugin()
