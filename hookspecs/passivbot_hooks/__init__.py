"""Hooks for trading bots: the contract, and the host that calls its implementations.

A plugin needs `hookimpl` and the models::

    from passivbot_hooks import Statistics, hookimpl

    class Printer:
        @hookimpl
        def on_stats_updated(self, bot: str, stats: Statistics) -> None:
            print(bot, stats.balance)

    plugin = Printer()

A bot of your own needs `PluginHost`. An unmodified Passivbot needs ``passivbot-hooks run``.
"""

from __future__ import annotations

from .config import BotConfig, load_config
from .errors import BotNotFoundError, ConfigError, HooksError, PluginError, UnusableFileError
from .host import PluginHost, PluginRecord
from .markers import ENTRY_POINT_GROUP, PROJECT_NAME, hookimpl, hookspec
from .models import EVENT_KINDS, Event, EventKind, Health, Position, Side, Statistics, Status
from .sources.watched_file import open_regular
from .toggles import did_you_mean, plugin_options, type_name

__all__ = [
    "ENTRY_POINT_GROUP",
    "EVENT_KINDS",
    "PROJECT_NAME",
    "BotConfig",
    "BotNotFoundError",
    "ConfigError",
    "Event",
    "EventKind",
    "Health",
    "HooksError",
    "PluginError",
    "PluginHost",
    "PluginRecord",
    "Position",
    "Side",
    "Statistics",
    "Status",
    "UnusableFileError",
    "did_you_mean",
    "hookimpl",
    "hookspec",
    "load_config",
    "open_regular",
    "plugin_options",
    "type_name",
]
