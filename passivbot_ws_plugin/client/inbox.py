"""What was heard and not taken yet. It has bounds: the latest of what is a state, so many events, no more.

One writer and one taker, on one loop.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from itertools import count

from passivbot_ws_plugin.messages import ConfigChanged

from .updates import EventUpdate, GapUpdate, StatisticsUpdate, Update


class Inbox:
    """Updates in the order in which they came; a newer state takes the place of the older one.

    Args:
        events_max: How many events, with gaps, are too many.

    Attributes:
        room: Set while there is room for events: from half of the bound down, once it was reached.
    """

    def __init__(self, events_max: int) -> None:
        self.room = asyncio.Event()
        self.room.set()
        self._events_max = events_max
        self._pending: OrderedDict[Hashable, Update] = OrderedDict()
        self._events = 0
        self._numbers = count()
        self._has_news = asyncio.Event()
        self._is_ended = False
        self._error: Exception | None = None

    def put(self, update: Update) -> None:
        """Keep an update. Events are taken even beyond the bound: who puts looks at ``room`` after it."""
        if isinstance(update, EventUpdate | GapUpdate):
            self._events += 1
            if self._events >= self._events_max:
                self.room.clear()
        key = self._key(update)
        if isinstance(update, ConfigChanged) and key in self._pending:
            # Two changes in one: which values count would have to be worked out, and the hash says enough.
            update = ConfigChanged(update.bot, update.hash, None)
        self._pending[key] = update
        self._has_news.set()

    def _key(self, update: Update) -> Hashable:
        match update:
            case EventUpdate() | GapUpdate():
                return next(self._numbers)
            case StatisticsUpdate() | ConfigChanged():
                return type(update), update.bot
            case _:
                return "connection"

    def end(self, error: Exception | None) -> None:
        """Nothing more comes.

        Args:
            error: To be raised once all is taken; None: it was closed.
        """
        self._is_ended, self._error = True, error
        self._has_news.set()

    async def take(self) -> Update | None:
        """The next update; None at the end.

        Raises:
            Exception: What ended it.
        """
        while not self._pending:
            if self._error is not None:
                raise self._error
            if self._is_ended:
                return None
            self._has_news.clear()
            await self._has_news.wait()
        _, update = self._pending.popitem(last=False)
        if isinstance(update, EventUpdate | GapUpdate):
            self._events -= 1
            if self._events <= self._events_max // 2:
                self.room.set()
        return update
