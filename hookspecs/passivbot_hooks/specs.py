"""The contract: the hooks that a plugin may implement.

An implementation takes only the arguments it wants; pluggy matches them by name.
What it returns is ignored.

**Thread.** Each plugin has one thread of its own, made by the host. All hooks of a plugin
are called there, one at a time, in order; a plugin needs no lock between its own hooks.

**Time budget.** A hook should return within 100 ms. A slower one delays only its own
plugin, is logged, and misses snapshots: the host keeps the latest, not a queue. Events
alone are queued, 1,024 of them.

**Exceptions.** One that leaves a hook is logged and counted; the other plugins never
notice. After five in a row the implementation is switched off until the next start, with
one ERROR line: catch what may pass by itself, such as a full disk, in the hook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .markers import hookspec
from .models import Event, Statistics


@hookspec
def on_config_loaded(bot: str, config: Mapping[str, Any]) -> None:
    """The bot's config was read: before the first statistics, and again at each change.

    Fires once for each bot before the first `on_stats_updated` of that bot, even if
    the bot has never run yet; then whenever the file's content changes to something
    readable. Changes that follow each other faster than the plugin takes them are
    reduced to the last one. A bot that the host watches without a config (``passivbot-hooks
    run --all``) has no such call: its statistics and events come without one.

    Args:
        bot: The name its owner gave the bot: the config's ``live.user``, or
            ``exchange/user`` where one monitor root holds that user twice.
        config: The whole config, as parsed. A copy for this plugin alone.

    .. versionadded:: 0.1
    """


@hookspec
def on_stats_updated(bot: str, stats: Statistics) -> None:
    """The source has a new snapshot of the bot, or its status changed.

    A busy Passivbot writes about one snapshot a second; an idle one may pause for
    30 s. A snapshot that differs from the last one only in its timestamp fires too:
    compare with `Statistics.differs_from` where that matters. If snapshots arrive
    faster than the plugin takes them, it gets the latest.

    Args:
        bot: As in `on_config_loaded`.
        stats: The snapshot. Frozen, shared by all plugins.

    .. versionadded:: 0.1
    """


@hookspec
def on_event(bot: str, event: Event) -> None:
    """Something happened at the bot: a fill, an order, a position, an error, a start or stop.

    Fires once for each event, in the order in which the bot told them; they are never
    reduced to the last one. What happened before the host started watching is not told, nor
    is a fill of before the bot's own start, which Passivbot reads anew each time.

    What waits for a plugin is delivered in this order: configs, then events, then
    snapshots. So a bot's config comes before its first event, and an event before the
    snapshot that shows what came of it. The statistics are the truth of the moment: an
    event tells what changed, and need not be added up.

    At most 1,024 events wait for a plugin, those of all its bots together. If it takes
    them more slowly than they come, the oldest is dropped, which the log says once, and
    `Event.seq` has a gap. A plugin that is switched on later gets no old events.

    Args:
        bot: As in `on_config_loaded`.
        event: What happened. Frozen, shared by all plugins.

    .. versionadded:: 0.1
    """


@hookspec
def on_shutdown() -> None:
    """The host is stopping. Fires once, always, whatever else failed.

    It is the last call that a plugin gets, and comes after everything that was
    waiting for it was delivered. A plugin that its toggle switches off while the host
    runs is shut down too; if it is switched on again, it starts anew with a config.

    The host waits a bounded time, 4 s for all plugins together, and then leaves: let go
    of sockets and files quickly.

    .. versionadded:: 0.1
    """
