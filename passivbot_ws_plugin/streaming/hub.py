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
from collections.abc import Callable
from functools import partial
from typing import Final

from passivbot_ws_plugin.close_codes import CLOSE_INTERNAL_ERROR
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.log import get_logger
from passivbot_ws_plugin.messages import Channel, Mode
from passivbot_ws_plugin.settings.options import Limits

from .broadcast import BroadcastGroup
from .feeds import Feed
from .subscriber import Subscriber

#: How long those that wait are served in one go, seconds; whoever is not served then is the next.
_GO_S: Final = 0.004

_log = get_logger(__name__)


class Hub:
    """All clients that logged in.

    Args:
        cache: What is known of the bots.
        limits: Of the clients.
    """

    def __init__(self, cache: Cache, limits: Limits) -> None:
        self._cache = cache
        self._clients: set[Subscriber] = set()
        self._in_step: dict[Mode, BroadcastGroup[Subscriber]] = {
            "full": BroadcastGroup(),
            "delta": BroadcastGroup(),
        }
        # What all of them were sent of each bot.
        self._sent = {bot: seq for bot, history in cache.bots.items() if (seq := history.statistics.seq)}
        self._others: set[Subscriber] = set()
        # Those of the others that are to be looked at again, the longest waiting first.
        self._waiting: dict[Subscriber, None] = {}
        self._sweep: asyncio.Handle | None = None
        self._sweep_at = 0.0  # not every loop's handles say when they are due

    def __len__(self) -> int:
        return len(self._clients)

    def join(self, client: Subscriber) -> None:
        """Publish to a client from now on."""
        self._clients.add(client)
        self._others.add(client)

    def leave(self, client: Subscriber) -> None:
        """Forget a client."""
        for clients in (self._clients, self._others):
            clients.discard(client)
        self._waiting.pop(client, None)
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

    def subscribe(self, client: Subscriber, channel: Channel, feed: Feed) -> None:
        """Have a client follow a channel, in place of what it followed of it; behind those that wait."""
        self._step_out(client)
        client.subscribe(channel, feed, is_now=not self._waiting)
        self._regroup(client)

    def unsubscribe(self, client: Subscriber, channel: Channel) -> None:
        """Have a client follow a channel no more."""
        self._step_out(client)
        client.unsubscribe(channel)
        self._regroup(client)

    def answer(self, client: Subscriber, payload: bytes) -> None:
        """Send an answer to one client."""
        client.answer(payload)
        self._regroup(client)

    def _tend(self, client: Subscriber, step: Callable[[], None]) -> None:
        """Do something for a client; what goes wrong with one is not to end the others."""
        try:
            step()
            self._regroup(client)
        except Exception:  # noqa: BLE001  a bug
            _log.exception("client.failed")
            self.leave(client)
            client.line.cut(CLOSE_INTERNAL_ERROR, "internal error")

    def _regroup(self, client: Subscriber) -> None:
        """Put a client among those in step, or out of them, as it is now."""
        if client not in self._clients:
            return
        is_in_step = any(client in group for group in self._in_step.values())
        if is_in_step and not client.is_held_up:
            return
        if is_in_step:
            self._step_out(client)
        elif (stride := client.stride(self._sent)) is not None:
            self._others.discard(client)
            self._in_step[stride].add(client, client.line)
            return
        if (wait_s := client.wait_s()) is not None:
            self._waiting[client] = None
            self._sweep_within(wait_s)

    def _step_out(self, client: Subscriber) -> None:
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
        """Look at those that wait, one after the other, as far as there is time for them now."""
        clock = asyncio.get_running_loop().time
        self._sweep = None
        until = clock() + _GO_S
        for client in tuple(self._waiting):
            if clock() >= until:
                self._sweep_within(0.0)
                return
            del self._waiting[client]
            self._tend(client, client.pump)  # which puts it behind the others if it has to wait again
