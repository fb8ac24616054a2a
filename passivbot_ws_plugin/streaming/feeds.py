"""What one client is due of a channel: its wishes, and its place with each bot. Pure.

A feed has no queue. It knows how far its client got, and asks the histories what comes next; so a
client that is slow, away or limited in its rate costs a number for each bot, and misses states but
never the latest.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping

from passivbot_ws_plugin.history.cache import BotHistory, Cache
from passivbot_ws_plugin.history.config import View
from passivbot_ws_plugin.messages import EventData, Gap, Mode, Place, Subscribe, encode
from passivbot_ws_plugin.prepared import Prepared


class Feed(ABC):
    """One subscription of one client.

    Args:
        cache: What is known of the bots.
        request: What the client asked for.
    """

    def __init__(self, cache: Cache, request: Subscribe) -> None:
        self._cache = cache
        self._bots = None if request.bots is None else frozenset(request.bots)
        self._since = request.since or {}
        self._places: dict[str, int | None] = {}
        self._touched: dict[str, None] = {}  # a set that keeps its order
        for bot, history in cache.bots.items():
            if self._is_wanted(bot):
                self._places[bot] = self._first_place(bot, history)
                self._touched[bot] = None

    def touch(self, bot: str) -> None:
        """A bot has something new."""
        if self._is_wanted(bot):
            self._touched[bot] = None

    def due(self, now: float) -> Iterator[Prepared | None]:
        """The messages that the client is due; each counts as sent once it was taken.

        Args:
            now: By the clock of the client; seconds.

        Yields:
            A message; None: only work, after which it may be somebody else's turn.
        """
        for bot in tuple(self._touched):
            if self._may(bot, now):
                yield from self._due_of(bot, self._cache.bots[bot], now)
                # Not before: who stops taking in the middle has the rest due still.
                del self._touched[bot]

    def due_at(self) -> float | None:
        """When something is due that is not yet; None: nothing is."""
        return None

    def _is_wanted(self, bot: str) -> bool:
        return self._bots is None or bot in self._bots

    def _may(self, bot: str, now: float) -> bool:
        return True

    def _known_place(self, bot: str) -> Place | None:
        """The client's own place with a bot; None if it has none, or one of another epoch."""
        place = self._since.get(bot)
        return place if place is not None and place.epoch == self._cache.epoch else None

    @abstractmethod
    def _first_place(self, bot: str, history: BotHistory) -> int | None:
        """Where the client begins with a bot that is known when it subscribes."""

    @abstractmethod
    def _due_of(self, bot: str, history: BotHistory, now: float) -> Iterator[Prepared | None]:
        """What it is due of one bot; the place is moved before each is handed out."""


class StatisticsFeed(Feed):
    """The latest state of each bot, whole or as a patch, at the pace that the client asked for."""

    def __init__(self, cache: Cache, request: Subscribe) -> None:
        self._is_delta = request.mode == "delta"
        self._pause_s = 0.0 if request.max_rate is None else 1 / request.max_rate
        self._sent_at: dict[str, float] = {}
        self._due_at: float | None = None  # None: to be found anew
        super().__init__(cache, request)

    @property
    def stride(self) -> Mode | None:
        """The mode of a client that gets each change of each bot as it comes; None: this one does not."""
        if self._bots is not None or self._pause_s:
            return None
        return "delta" if self._is_delta else "full"

    def is_at(self, places: Mapping[str, int]) -> bool:
        """Whether the client was sent exactly these states, each bot's latest."""
        return not self._touched and {bot: seq for bot, seq in self._places.items() if seq} == places

    def arrive(self, places: Mapping[str, int]) -> None:
        """The client was sent these states past this feed."""
        self._places = dict(places)

    def touch(self, bot: str) -> None:
        """A bot has something new."""
        super().touch(bot)
        if self._due_at is not None and bot in self._touched:
            self._due_at = min(self._due_at, self._turn_of(bot))

    def due(self, now: float) -> Iterator[Prepared | None]:
        """As each feed; at once nothing where nobody's turn has come."""
        if self._pause_s and (at := self.due_at()) is not None and at > now:
            return
        self._due_at = None
        yield from super().due(now)

    def due_at(self) -> float | None:
        """When the first bot that waits for its turn may be sent."""
        if not self._pause_s or not self._touched:
            return None
        if self._due_at is None:
            self._due_at = min(map(self._turn_of, self._touched))
        return self._due_at

    def _turn_of(self, bot: str) -> float:
        return self._sent_at.get(bot, -math.inf) + self._pause_s

    def _may(self, bot: str, now: float) -> bool:
        return not self._pause_s or now >= self._turn_of(bot)

    def _first_place(self, bot: str, history: BotHistory) -> int | None:
        known = self._known_place(bot)
        return None if known is None else known.seq

    def _due_of(self, bot: str, history: BotHistory, now: float) -> Iterator[Prepared | None]:
        statistics, place = history.statistics, self._places.get(bot)
        if not statistics.seq or place == statistics.seq:
            return
        message = statistics.update(place) if self._is_delta else statistics.snapshot
        self._places[bot] = statistics.seq
        self._sent_at[bot] = now
        if message is not None:
            yield message


class EventFeed(Feed):
    """Every event that the client wants, in order; a ``gap`` where some are lost."""

    def __init__(self, cache: Cache, request: Subscribe) -> None:
        self._kinds = None if request.kinds is None else frozenset(request.kinds)
        self._symbols = None if request.symbols is None else frozenset(request.symbols)
        self._comes_back = request.since is not None
        super().__init__(cache, request)
        # Those too of bots that are not known here, or not yet: nothing more may ever come of one.
        self._elsewhere = {
            bot: place
            for bot, place in self._since.items()
            if place.epoch != cache.epoch and self._is_wanted(bot)
        }

    def _wants(self, event: EventData) -> bool:
        return (self._kinds is None or event.kind in self._kinds) and (
            self._symbols is None or event.symbol in self._symbols
        )

    @property
    def begins(self) -> dict[str, Place]:
        """Where the client stands with each bot that is known: what comes after is what it gets."""
        epoch, places = self._cache.epoch, self._places.items()
        return {bot: self._elsewhere.get(bot) or Place(epoch, seq or 0) for bot, seq in places}

    @property
    def backlog(self) -> int:
        """How many events are to be looked at before it has what is new."""
        bots = self._cache.bots
        return sum(bots[bot].events.count_after(place or 0) for bot, place in self._places.items())

    def _first_place(self, bot: str, history: BotHistory) -> int | None:
        known = self._known_place(bot)
        if known is not None:
            return min(known.seq, history.events.seq)
        # To a client that comes for the first time, what was before is no news. To one that comes back,
        # all is of a bot that it does not know: it appeared meanwhile.
        return 0 if self._comes_back else history.events.seq

    def due(self, now: float) -> Iterator[Prepared | None]:
        """As each feed, after the gaps that the end of another run of the server left."""
        while self._elsewhere:
            bot = next(iter(self._elsewhere))
            place = self._elsewhere.pop(bot)
            # What that run told since is lost: nobody here knows how much it was.
            yield Prepared(encode(Gap(bot, place.epoch, place.seq + 1, None)))
        yield from super().due(now)

    def _due_of(self, bot: str, history: BotHistory, now: float) -> Iterator[Prepared | None]:
        for place, message in history.events.after(self._places.get(bot) or 0, self._wants):
            self._places[bot] = place
            yield message


class ConfigFeed(Feed):
    """That a config is another one now, and what changed, as far as the client may see it.

    Args:
        cache: What is known of the bots.
        request: What the client asked for.
        view: What the client may see; asked each time, because the owner may change it meanwhile.
    """

    def __init__(self, cache: Cache, request: Subscribe, view: Callable[[], View]) -> None:
        self._view = view
        super().__init__(cache, request)

    def _first_place(self, bot: str, history: BotHistory) -> int | None:
        return 0

    def _due_of(self, bot: str, history: BotHistory, now: float) -> Iterator[Prepared | None]:
        config, place = history.config, self._places.get(bot) or 0
        self._places[bot] = config.version
        message = config.update(place, self._view())
        if message is not None:
            yield message
