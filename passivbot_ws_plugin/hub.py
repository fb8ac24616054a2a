"""Who gets what, when: fan-out, the latest state for slow clients, and their end.

Lives on the worker's loop. Nothing here awaits: a message is written to a connection's
transport at once or not at all, so that no client can delay another, and nothing can come
between a snapshot and the updates that follow it.

Most clients want each change of each bot, and keep up. They walk in step: one message is handed to
all of them in a loop that does nothing else. One that falls behind, or asked for something of its
own, is asked of by its feeds, until it is in step again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final, Protocol

from .broadcast import BroadcastGroup, Line
from .cache import Cache
from .close_codes import CLOSE_INTERNAL_ERROR
from .feeds import Feed, StatisticsFeed
from .log import get_logger
from .messages import Channel, Mode
from .options import Limits
from .prepared import Prepared

#: So much is written to a client at once, bytes: a thousand events are not a thousand system calls.
_BATCH_BYTES: Final = 65_536

#: How often clients that fell behind are looked at, seconds.
SWEEP_S: Final = 0.25

_log = get_logger(__name__)


class ClientLine(Line, Protocol):
    """A connection, as far as the hub knows it."""

    def drop(self, reason: str) -> None:
        """Close it as too slow."""

    def cut(self, code: int, reason: str) -> None:
        """Close it."""


class Client:
    """A client that logged in, and its subscriptions."""

    def __init__(self, line: ClientLine, limits: Limits, clock: Callable[[], float]) -> None:
        self.line: Final = line
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
        self.line.push(Prepared(payload, is_secret=True))
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
        for batch in _batches(feed.due(self._clock())):
            self.line.push(*batch)
            self.check()
            if self.is_behind:
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

    def wait_s(self) -> float | None:
        """When it is to be looked at again, though no bot has anything new; None: it need not be."""
        if self.is_behind:
            return SWEEP_S
        dues = [due for feed in self._feeds.values() if (due := feed.due_at()) is not None]
        return max(0.0, min(dues) - self._clock()) if dues else None

    def stride(self, places: Mapping[str, int]) -> Mode | None:
        """In which mode it can walk in step with those that were sent these states; None: it cannot."""
        feed = self._feeds.get("statistics")
        if not isinstance(feed, StatisticsFeed) or self.is_behind or feed.stride is None:
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


class Hub:
    """All clients that logged in.

    Args:
        cache: What is known of the bots.
        limits: Of the clients.
    """

    def __init__(self, cache: Cache, limits: Limits) -> None:
        self._cache = cache
        self._clients: set[Client] = set()
        self._in_step: dict[Mode, BroadcastGroup[Client]] = {
            "full": BroadcastGroup(),
            "delta": BroadcastGroup(),
        }
        # What all of them were sent of each bot.
        self._sent = {bot: seq for bot, history in cache.bots.items() if (seq := history.statistics.seq)}
        self._others: set[Client] = set()
        self._waiting: set[Client] = set()  # those of the others that are to be looked at again
        self._sweep: asyncio.Handle | None = None
        self._sweep_at = 0.0  # not every loop's handles say when they are due

    def __len__(self) -> int:
        return len(self._clients)

    def join(self, client: Client) -> None:
        """Publish to a client from now on."""
        self._clients.add(client)
        self._others.add(client)

    def leave(self, client: Client) -> None:
        """Forget a client."""
        for clients in (self._clients, self._others, self._waiting):
            clients.discard(client)
        for group in self._in_step.values():
            group.discard(client)

    def publish(self, channel: Channel, bot: str) -> None:
        """Tell everybody that a bot has something new."""
        others = tuple(self._others if channel == "statistics" else self._clients)
        if channel == "statistics":
            self._broadcast(bot)
        for client in others:
            self._tend(client, partial(client.touch, channel, bot))

    def _broadcast(self, bot: str) -> None:
        """Send a bot's latest change to all that walk in step."""
        statistics = self._cache.bots[bot].statistics
        before = self._sent.get(bot)
        self._sent[bot] = statistics.seq
        for mode, group in self._in_step.items():
            if not group or before == statistics.seq:
                continue
            message = statistics.update(before if mode == "delta" else None)
            assert message is not None
            for client in group.send(message):
                self._tend(client, client.check)

    def check_all(self) -> None:
        """Look at what each client has unsent: of what the library answers it, nobody here hears."""
        for client in tuple(self._clients):
            self._tend(client, client.check)

    def subscribe(self, client: Client, channel: Channel, feed: Feed) -> None:
        """Have a client follow a channel, in place of what it followed of it."""
        self._step_out(client)
        client.subscribe(channel, feed)
        self._regroup(client)

    def unsubscribe(self, client: Client, channel: Channel) -> None:
        """Have a client follow a channel no more."""
        self._step_out(client)
        client.unsubscribe(channel)
        self._regroup(client)

    def answer(self, client: Client, payload: bytes) -> None:
        """Send an answer to one client."""
        client.answer(payload)
        self._regroup(client)

    def _tend(self, client: Client, step: Callable[[], None]) -> None:
        """Do something for a client; what goes wrong with one is not to end the others."""
        try:
            step()
            self._regroup(client)
        except Exception:  # noqa: BLE001  a bug
            _log.exception("client.failed")
            self.leave(client)
            client.line.cut(CLOSE_INTERNAL_ERROR, "internal error")

    def _regroup(self, client: Client) -> None:
        """Put a client among those in step, or out of them, as it is now."""
        if client not in self._clients:
            return
        is_in_step = any(client in group for group in self._in_step.values())
        if is_in_step and not client.is_behind:
            return
        if is_in_step:
            self._step_out(client)
        elif (stride := client.stride(self._sent)) is not None:
            self._others.discard(client)
            self._in_step[stride].add(client, client.line)
            return
        if (wait_s := client.wait_s()) is not None:
            self._waiting.add(client)
            self._sweep_within(wait_s)

    def _step_out(self, client: Client) -> None:
        for group in self._in_step.values():
            if group.discard(client):
                client.leave_step(self._sent)
                self._others.add(client)

    def _sweep_within(self, wait_s: float) -> None:
        """Have the waiting looked at within that time."""
        loop = asyncio.get_running_loop()
        at = loop.time() + wait_s
        if self._sweep is not None:
            if self._sweep_at <= at:
                return
            self._sweep.cancel()
        self._sweep, self._sweep_at = loop.call_at(at, self._sweep_now), at

    def _sweep_now(self) -> None:
        self._sweep = None
        waiting, self._waiting = self._waiting, set()
        for client in waiting:
            self._tend(client, client.pump)
