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

from importlib import import_module

# As type checkers know it; to import typing would be half of what Ctrl-C may meet before main.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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

_HOMES = {
    "BotConfig": ".config",
    "load_config": ".config",
    "BotNotFoundError": ".errors",
    "ConfigError": ".errors",
    "HooksError": ".errors",
    "PluginError": ".errors",
    "UnusableFileError": ".errors",
    "PluginHost": ".host",
    "PluginRecord": ".host",
    "ENTRY_POINT_GROUP": ".markers",
    "PROJECT_NAME": ".markers",
    "hookimpl": ".markers",
    "hookspec": ".markers",
    "EVENT_KINDS": ".models",
    "Event": ".models",
    "EventKind": ".models",
    "Health": ".models",
    "Position": ".models",
    "Side": ".models",
    "Statistics": ".models",
    "Status": ".models",
    "open_regular": ".sources.watched_file",
    "did_you_mean": ".toggles",
    "plugin_options": ".toggles",
    "type_name": ".toggles",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: the command is to hear Ctrl-C while it imports the rest."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
