"""What a client knows: messages in, updates and requests out. No I/O.

It outlives the connections. Where it stands with each bot is what the next connection goes on from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count, islice
from typing import Any, Final

import msgspec
from msgspec import UNSET

from passivbot_ws_plugin import merge_patch
from passivbot_ws_plugin.keyed import from_keyed, to_keyed
from passivbot_ws_plugin.messages import (
    Channel,
    ConfigChanged,
    EventMessage,
    Gap,
    Place,
    StatisticsData,
    StatisticsDelta,
    StatisticsMessage,
    Subscribe,
    Subscribed,
)

from .errors import RequestError
from .incoming import Failure, Incoming, UnusableError, answered_id
from .updates import EventUpdate, GapUpdate, StatisticsUpdate, Update

#: A request as a JSON object.
Request = Mapping[str, Any]

#: The codes of errors that come again however often the same is asked.
_FOR_GOOD: Final = frozenset({"forbidden", "invalid_json", "invalid_message", "unknown_type"})

#: What a message comes to: something to tell, and something to ask.
Step = tuple[Update | None, list[Request]]

#: What a ``since`` may name.
_SINCE_MAX: Final = 1000


class State:
    """What is known of the bots, and where the client stands with each.

    Args:
        subscriptions: What the client wants; one a channel. ``since`` of the events is where it begins.

    Attributes:
        bots: The latest state of each bot.
        epoch: Which run of the server it is; None before the first.
        are_events_paused: Whether there is no room for events at the moment.
    """

    def __init__(self, subscriptions: Sequence[Subscribe]) -> None:
        self.bots: dict[str, StatisticsUpdate] = {}
        self.epoch: str | None = None
        self.are_events_paused = False
        self._wishes = {wish.channel: wish for wish in subscriptions}
        self._keyed: dict[str, dict[str, Any] | None] = {}
        self._misfits: set[str] = set()  # bots whose state is no base for what comes
        self._misfits_seen = 0  # on this connection
        self._config_hashes: dict[str, str] = {}
        events = self._wishes.get("events")
        # None: the client never stood anywhere, and what happened before it came is no news.
        self._event_places = None if events is None or events.since is None else dict(events.since)
        self._numbers = count(1)
        self._awaited: dict[Channel, str] = {}  # the id of the subscription that was asked for last

    # --- what to ask -------------------------------------------------------------------

    def begin(self) -> list[Request]:
        """The subscriptions that a new connection begins with."""
        self._awaited = {}
        self._misfits_seen = 0
        if self.are_events_paused:
            self._await("events")  # so that none is taken
        paused = {"events"} if self.are_events_paused else set()
        return [self._subscribe(channel) for channel in self._wishes if channel not in paused]

    def pause_events(self) -> list[Request]:
        """Have no more events: those that are under way are passed over, to be sent again."""
        self.are_events_paused = True
        return [{"type": "unsubscribe", "channel": "events", "id": self._await("events")}]

    def resume_events(self) -> list[Request]:
        """Go on with the events where they stopped."""
        self.are_events_paused = False
        return [self._subscribe("events")]

    def _subscribe(self, channel: Channel) -> Request:
        wish, places = self._wishes[channel], self._places(channel)
        members = {
            **{name: getattr(wish, name) for name in ("bots", "mode", "max_rate", "kinds", "symbols")},
            "since": None if places is None else dict(islice(places.items(), _SINCE_MAX)),
        }
        if channel == "statistics" and self._misfits_seen > 1:
            members["mode"] = "full"
        return {
            "type": "subscribe",
            "channel": channel,
            **{name: value for name, value in members.items() if value is not None},
            "id": self._await(channel),
        }

    def _places(self, channel: Channel) -> Mapping[str, Place] | None:
        match channel:
            case "statistics":
                states = (held for held in self.bots.values() if held.bot not in self._misfits)
                return {held.bot: Place(held.epoch, held.seq) for held in states} or None
            case "events":
                return self._event_places  # none at all is another wish: then all that is kept is news
            case "config":
                return None

    def _await(self, channel: Channel) -> str:
        """The id of a new request; an earlier one for the same channel is not waited for any more."""
        self._awaited[channel] = f"{channel}-{next(self._numbers)}"
        return self._awaited[channel]

    # --- what comes --------------------------------------------------------------------

    def receive(self, message: Incoming) -> Step:
        """Take a message.

        Raises:
            RequestError: The server refuses a subscription, and would again.
            UnusableError: It does not serve one now.
        """
        match message:
            case StatisticsMessage() | StatisticsDelta() if "statistics" in self._awaited:
                pass  # the new subscription begins where the last state that was taken left off
            case StatisticsMessage():
                keyed = to_keyed(message.data)
                return self._hold(message.bot, message.epoch, message.seq, message.data, keyed), []
            case StatisticsDelta():
                return self._apply(message)
            case EventMessage() | Gap():
                return self._event(message), []
            case ConfigChanged():
                return self._config(message), []
            case Subscribed():
                self._begin(message)
            case Failure():
                self._fail(message)
        return None, []

    def _begin(self, answer: Subscribed) -> None:
        self.epoch = answer.epoch
        if answered_id(answer) != self._awaited.get(answer.channel):
            return
        del self._awaited[answer.channel]
        if answer.channel == "events":
            # Of a bot without an event, this alone tells where the client stands: without it, what happens
            # to such a bot while the connection is lost would be lost without a `gap`.
            begins = {} if answer.since is UNSET else answer.since
            self._event_places = {**begins, **(self._event_places or {})}

    def _hold(
        self, bot: str, epoch: str, seq: int, data: StatisticsData, keyed: dict[str, Any] | None
    ) -> StatisticsUpdate:
        self.epoch = epoch
        self.bots[bot] = StatisticsUpdate(bot, epoch, seq, data)
        self._keyed[bot] = keyed
        self._misfits.discard(bot)
        return self.bots[bot]

    def _apply(self, delta: StatisticsDelta) -> Step:
        bot, held = delta.bot, self.bots.get(delta.bot)
        keyed = self._keyed.get(bot)
        is_base = held is not None and (held.epoch, held.seq) == (delta.epoch, delta.base)
        if not is_base or keyed is None:
            return None, self._misfit(bot)
        try:
            keyed = merge_patch.apply(msgspec.json.decode(delta.patch, type=dict[str, Any]), keyed)
            data = from_keyed(keyed)
        except (msgspec.ValidationError, RecursionError):
            return None, self._misfit(bot)
        return self._hold(bot, delta.epoch, delta.seq, data, keyed), []

    def _misfit(self, bot: str) -> list[Request]:
        """A delta fits nothing that is here, which cannot be, says the protocol: ask for that state, whole.

        After a second one on this connection all come whole.
        """
        self._misfits.add(bot)
        self._misfits_seen += 1
        return [self._subscribe("statistics")]

    def _event(self, message: EventMessage | Gap) -> EventUpdate | GapUpdate | None:
        if "events" in self._awaited or self._event_places is None:
            return None  # of an earlier subscription: the next one begins before it
        bot, epoch, places = message.bot, message.epoch, self._event_places
        if isinstance(message, Gap):
            if message.last is not None:
                places[bot] = Place(epoch, message.last)
            elif self.epoch is not None:  # of that run there is nothing more: all of this one is news
                places[bot] = Place(self.epoch, 0)
            return GapUpdate(bot, epoch, message.first, message.last)
        place = places.get(bot)
        if place is not None and place.epoch == epoch and message.seq <= place.seq:
            return None
        places[bot] = Place(epoch, message.seq)
        return EventUpdate(bot, epoch, message.seq, message.data)

    def _config(self, message: ConfigChanged) -> ConfigChanged | None:
        is_known = self._config_hashes.get(message.bot) == message.hash
        self._config_hashes[message.bot] = message.hash
        # The first of each connection may tell of nothing new.
        return None if is_known and message.paths is None else message

    def _fail(self, failure: Failure) -> None:
        number = answered_id(failure)
        channel = next((channel for channel, awaited in self._awaited.items() if awaited == number), None)
        if channel is None:
            return
        if failure.code in _FOR_GOOD:
            raise RequestError(failure.code, failure.message, channel)
        raise UnusableError(f"the server does not serve a subscription now: {failure.message:.200}")
