"""Counts connections, in all and by address, and says which are too many. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus

from .options import Limits
from .throttle import network


@dataclass(frozen=True, slots=True)
class Turned:
    """Why a connection was turned away, and what it is told.

    Attributes:
        status: 429 where its own address is to blame, else 503.
        reason: For the owner's record.
        retry_after_s: For the ``Retry-After`` header, whole seconds.
    """

    status: HTTPStatus
    reason: str
    retry_after_s: int = 10


class Gate:
    """The connections that were let in, so that not too many are.

    A connection enters as a stranger, may be promoted once, and leaves once.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._all: Counter[str] = Counter()
        self._strangers: Counter[str] = Counter()

    def enter(self, peer: str) -> Turned | None:
        """Let a connection in, or say why not."""
        limits, address = self._limits, network(peer)
        if self._all[address] >= limits.connections_per_address:
            return Turned(HTTPStatus.TOO_MANY_REQUESTS, "connections_per_address")
        if self._strangers[address] >= limits.unauthenticated_per_address:
            return Turned(HTTPStatus.TOO_MANY_REQUESTS, "unauthenticated_per_address")
        if self._all.total() >= limits.connections:
            return Turned(HTTPStatus.SERVICE_UNAVAILABLE, "connections")
        if self._strangers.total() >= limits.unauthenticated:
            return Turned(HTTPStatus.SERVICE_UNAVAILABLE, "unauthenticated")
        self._all[address] += 1
        self._strangers[address] += 1
        return None

    def promote(self, peer: str) -> None:
        """A stranger logged in."""
        _decrement(self._strangers, network(peer))

    def leave(self, peer: str, *, was_promoted: bool) -> None:
        """A connection that was let in is over."""
        _decrement(self._all, network(peer))
        if not was_promoted:
            _decrement(self._strangers, network(peer))

    @property
    def addresses(self) -> int:
        """How many addresses are remembered: never more than there are connections."""
        return len(self._all)


def _decrement(counter: Counter[str], address: str) -> None:
    counter[address] -= 1
    if counter[address] <= 0:
        del counter[address]
