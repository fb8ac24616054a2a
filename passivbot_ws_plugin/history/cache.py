"""What is known of every bot.

Lives on the worker's loop; not thread-safe.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from passivbot_ws_plugin.messages import EventData, StatisticsData

from .config import ConfigHistory
from .events import EventHistory
from .statistics import StatisticsHistory


class BotHistory:
    """What is known of one bot."""

    def __init__(self, bot: str, epoch: str) -> None:
        self.statistics = StatisticsHistory(bot, epoch)
        self.events = EventHistory(bot, epoch)
        self.config = ConfigHistory(bot)


class Cache:
    """The bots, the one that was known first first.

    Attributes:
        epoch: Random; tells this run of the server from every other.
        bots: By name.
    """

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(8)
        self.bots: dict[str, BotHistory] = {}

    def put_config(self, bot: str, config: Mapping[str, Any]) -> bool:
        """Keep a bot's config, made of values that JSON can say; whether it is a change."""
        return self._bot(bot).config.put(config)

    def put_statistics(self, bot: str, data: StatisticsData) -> bool:
        """Keep a bot's statistics; whether they are a change."""
        return self._bot(bot).statistics.put(data)

    def put_event(self, bot: str, seq: int, data: EventData) -> bool:
        """Keep an event of a bot; False if it is not newer than the last one."""
        return self._bot(bot).events.put(seq, data)

    def _bot(self, bot: str) -> BotHistory:
        if bot not in self.bots:
            self.bots[bot] = BotHistory(bot, self.epoch)
        return self.bots[bot]

    @property
    def has_statistics(self) -> bool:
        """Whether any bot's statistics are known."""
        return any(history.statistics.seq for history in self.bots.values())

    def first_config(self) -> str | None:
        """The bot whose config was known first."""
        return next((bot for bot, history in self.bots.items() if history.config.version), None)
