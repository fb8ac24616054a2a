"""Who gets what, when: fan-out, the latest state for slow clients, and their end.

Lives on the worker's loop. Nothing here awaits: a message is written to a connection's
transport at once or not at all, so that no client can delay another, and nothing can come
between a snapshot and the updates that follow it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from .cache import Cache
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
    """A client that logged in, and what it is still owed."""

    def __init__(self, line: Line, limits: Limits, clock: Callable[[], float]) -> None:
        self._line = line
        self._limits = limits
        self._clock = clock
        self._owed: set[str] = set()  # bots whose latest state it has not been sent
        self._behind_since: float | None = None

    def answer(self, payload: bytes) -> None:
        """Send an answer to a request, whatever is buffered, up to the hard limit."""
        self._line.write(payload)
        self.check()

    def offer(self, bot: str, payload: bytes) -> None:
        """Send a bot's state, or owe it if the client does not keep up: then only the latest is sent."""
        if self.is_behind:
            self._owed.add(bot)
            return
        self._line.write(payload)
        self.check()

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

    def pay(self, cache: Cache) -> None:
        """Send the latest of what is owed, if the client caught up."""
        self.check()
        while self._owed and not self.is_behind:
            payload = cache.snapshot(self._owed.pop())
            if payload is not None:
                self._line.write(payload)
                self.check()


class Hub:
    """All clients that logged in."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._clients: set[Client] = set()
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._clients)

    def join(self, client: Client) -> None:
        """Send every known state to a new client, and every change from now on."""
        self._clients.add(client)
        for payload in self._cache.snapshots():
            client.answer(payload)
        self._schedule_sweep()

    def answer(self, client: Client, payload: bytes) -> None:
        """Send an answer to one client."""
        client.answer(payload)
        self._schedule_sweep()

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self._clients.discard(client)

    def publish(self, bot: str, payload: bytes) -> None:
        """Send a bot's changed state to everybody."""
        for client in tuple(self._clients):
            client.offer(bot, payload)
        self._schedule_sweep()

    def _schedule_sweep(self) -> None:
        if self._sweep is None and any(client.is_behind for client in self._clients):
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep_now)

    def _sweep_now(self) -> None:
        self._sweep = None
        for client in tuple(self._clients):
            if client.is_behind:
                client.pay(self._cache)
        self._schedule_sweep()
