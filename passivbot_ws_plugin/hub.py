"""Who gets what, when: fan-out, the latest state for slow clients, and their end.

Lives on the worker's loop. Nothing here awaits: a message is written to a connection's
transport at once or not at all, so that no client can delay another, and nothing can come
between a snapshot and the updates that follow it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from .feeds import Feed
from .messages import Channel
from .options import Limits

#: How often clients that fell behind are looked at, seconds.
SWEEP_S: Final = 0.25


class Line(Protocol):
    """A connection, as far as the hub knows it."""

    def write(self, payload: bytes) -> None:
        """Send a text frame, buffering what the network does not take now."""

    def unsent_bytes(self) -> int:
        """What is buffered."""

    def drop(self, reason: str) -> None:
        """Close it as too slow."""


class Client:
    """A client that logged in, and its subscriptions."""

    def __init__(self, line: Line, limits: Limits, clock: Callable[[], float]) -> None:
        self._line = line
        self._limits = limits
        self._clock = clock
        self._feeds: dict[Channel, Feed] = {}
        self._behind_since: float | None = None

    def subscribe(self, channel: Channel, feed: Feed) -> None:
        """Have a channel from now on, in place of what it had of it; send what is due at once."""
        self._feeds[channel] = feed
        self.pump()

    def unsubscribe(self, channel: Channel) -> None:
        """Have nothing more of a channel."""
        self._feeds.pop(channel, None)

    def answer(self, payload: bytes) -> None:
        """Send an answer to a request, whatever is buffered, up to the hard limit."""
        self._line.write(payload)
        self.check()

    def touch(self, channel: Channel, bot: str) -> None:
        """Send what is new of a bot; or later, if the client does not keep up or asked for a slower pace."""
        feed = self._feeds.get(channel)
        if feed is not None:
            feed.touch(bot)
            self._send(feed)

    def pump(self) -> None:
        """Look at what is unsent, and send what is due."""
        self.check()
        for feed in self._feeds.values():
            self._send(feed)

    def _send(self, feed: Feed) -> None:
        if self.is_behind:
            return
        for message in feed.due(self._clock()):
            self._line.write(message)
            self.check()
            if self.is_behind:
                return

    def check(self) -> None:
        """Look at what is unsent: note the client as behind or as caught up, or drop it."""
        unsent = self._line.unsent_bytes()
        if unsent <= self._limits.buffer_soft_bytes:
            self._behind_since = None
            return
        now = self._clock()
        if self._behind_since is None:
            self._behind_since = now
        if unsent > self._limits.buffer_hard_bytes:
            self._line.drop("unsent bytes over buffer_hard_bytes")
        elif now - self._behind_since > self._limits.buffer_soft_s:
            self._line.drop("unsent bytes over buffer_soft_bytes for too long")

    @property
    def is_behind(self) -> bool:
        """Whether it had too much unsent when last looked at."""
        return self._behind_since is not None

    def wait_s(self) -> float | None:
        """When it is to be looked at again, though no bot has anything new; None: it need not be."""
        if self.is_behind:
            return SWEEP_S
        dues = [due for feed in self._feeds.values() if (due := feed.due_at()) is not None]
        return max(0.0, min(dues) - self._clock()) if dues else None


class Hub:
    """All clients that logged in."""

    def __init__(self) -> None:
        self._clients: set[Client] = set()
        self._waiting: set[Client] = set()  # those that are to be looked at again
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._clients)

    def join(self, client: Client) -> None:
        """Publish to a client from now on."""
        self._clients.add(client)

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self._clients.discard(client)
        self._waiting.discard(client)

    def publish(self, channel: Channel, bot: str) -> None:
        """Tell everybody that a bot has something new."""
        for client in tuple(self._clients):
            client.touch(channel, bot)
            self._note(client)
        self._schedule()

    def changed(self, client: Client) -> None:
        """Something was sent to a client, or its subscriptions are others."""
        self._note(client)
        self._schedule()

    def _note(self, client: Client) -> None:
        if client in self._clients and client.wait_s() is not None:
            self._waiting.add(client)

    def _schedule(self) -> None:
        """Have the waiting looked at when the first of them is due."""
        waits = [wait for client in self._waiting if (wait := client.wait_s()) is not None]
        if not waits:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + min(waits)
        if self._sweep is not None:
            if self._sweep.when() <= at:
                return
            self._sweep.cancel()
        self._sweep = loop.call_at(at, self._sweep_now)

    def _sweep_now(self) -> None:
        self._sweep = None
        waiting, self._waiting = self._waiting, set()
        for client in waiting:
            client.pump()
            self._note(client)
        self._schedule()
