"""One client that logged in: its subscriptions, and whether it keeps up.

Lives on the worker's loop. Nothing here awaits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol

from passivbot_ws_plugin.messages import Channel, Mode
from passivbot_ws_plugin.prepared import Prepared
from passivbot_ws_plugin.settings.options import Limits

from .broadcast import Line
from .feeds import Feed, StatisticsFeed

#: So much is written to a client at once, bytes: a thousand events are not a thousand system calls.
_BATCH_BYTES: Final = 65_536

#: How long a client is served at once, seconds; the rest comes after the others had their turn.
_TURN_S: Final = 0.002

#: How often clients that fell behind are looked at, seconds.
SWEEP_S: Final = 0.25


class ClientLine(Line, Protocol):
    """A connection, as far as the hub knows it."""

    def drop(self, reason: str) -> None:
        """Close it as too slow."""

    def cut(self, code: int, reason: str) -> None:
        """Close it."""


class Subscriber:
    """A client that logged in, and its subscriptions."""

    def __init__(self, line: ClientLine, limits: Limits, clock: Callable[[], float]) -> None:
        self.line: Final = line
        self._limits = limits
        self._clock = clock
        self._feeds: dict[Channel, Feed] = {}
        self._behind_since: float | None = None
        self._is_cut_short = False  # more may be due than there was time for

    def subscribe(self, channel: Channel, feed: Feed, *, is_now: bool = True) -> None:
        """Have a channel from now on, in place of what it had of it; send what is due, now or later."""
        self._feeds[channel] = feed
        if is_now:
            self.pump()
        else:
            self._is_cut_short = True

    def unsubscribe(self, channel: Channel) -> None:
        """Have nothing more of a channel."""
        self._feeds.pop(channel, None)

    def answer(self, payload: bytes) -> None:
        """Send an answer to a request, whatever is buffered, up to the hard limit."""
        self.line.push(Prepared(payload, is_secret=True))
        self.check()

    def touch(self, channel: Channel, bot: str) -> None:
        """Send what is new of a bot; or later, if the client does not keep up or asked for a slower pace."""
        feed = self._feeds.get(channel)
        if feed is not None:
            feed.touch(bot)
            if not self._is_cut_short:
                self._send(feed)

    def pump(self) -> None:
        """Look at what is unsent, and send what is due."""
        self.check()
        self._is_cut_short = False
        for feed in self._feeds.values():
            self._send(feed)

    def _send(self, feed: Feed) -> None:
        if self.is_behind:
            return
        for batch in _batches(self._in_turn(feed)):
            self.line.push(*batch)
            self.check()
            if self.is_behind:
                return

    def _in_turn(self, feed: Feed) -> Iterator[Prepared]:
        now = self._clock()
        for message in feed.due(now):
            if message is not None:
                yield message
            if self._clock() - now >= _TURN_S:
                self._is_cut_short = True
                return

    def check(self) -> None:
        """Look at what is unsent: note the client as behind or as caught up, or drop it."""
        unsent = self.line.unsent_bytes()
        if unsent <= self._limits.buffer_soft_bytes:
            self._behind_since = None
            return
        now = self._clock()
        if self._behind_since is None:
            self._behind_since = now
        if unsent > self._limits.buffer_hard_bytes:
            self.line.drop("unsent bytes over buffer_hard_bytes")
        elif now - self._behind_since > self._limits.buffer_soft_s:
            self.line.drop("unsent bytes over buffer_soft_bytes for too long")

    @property
    def is_behind(self) -> bool:
        """Whether it had too much unsent when last looked at."""
        return self._behind_since is not None

    @property
    def is_held_up(self) -> bool:
        """Whether it may be due something that it was not sent: it is behind, or its turn was over."""
        return self.is_behind or self._is_cut_short

    def wait_s(self) -> float | None:
        """When it is to be looked at again, though no bot has anything new; None: it need not be."""
        if self.is_behind:
            return SWEEP_S
        if self._is_cut_short:
            return 0.0
        dues = [due for feed in self._feeds.values() if (due := feed.due_at()) is not None]
        return max(0.0, min(dues) - self._clock()) if dues else None

    def stride(self, places: Mapping[str, int]) -> Mode | None:
        """In which mode it can walk in step with those that were sent these states; None: it cannot."""
        feed = self._feeds.get("statistics")
        if not isinstance(feed, StatisticsFeed) or self.is_held_up or feed.stride is None:
            return None
        return feed.stride if feed.is_at(places) else None

    def leave_step(self, places: Mapping[str, int]) -> None:
        """Have its feed go on from these states, which it was sent in step with others."""
        feed = self._feeds["statistics"]
        assert isinstance(feed, StatisticsFeed)
        feed.arrive(places)


def _batches(messages: Iterable[Prepared]) -> Iterator[list[Prepared]]:
    """Lists of messages, of which no more is taken than is handed out."""
    batch: list[Prepared] = []
    size = 0
    for message in messages:
        batch.append(message)
        size += len(message)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
