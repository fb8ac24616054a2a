"""Counts connections, in all and by address, and says which are too many. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Generic, TypeVar

from passivbot_ws_plugin.addresses import network
from passivbot_ws_plugin.settings.options import Limits

Guest = TypeVar("Guest", bound=Hashable)


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


_NO_PLACE: Final = Turned(HTTPStatus.SERVICE_UNAVAILABLE, "unauthenticated")


class Gate(Generic[Guest]):
    """The connections that were let in, so that not too many are.

    A guest enters as a stranger, may be promoted once, and leaves once.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # Whatever these two take, a quarter of all places is left for the owner: of the fewest that the
        # settings allow, one each.
        self._strangers_max = min(limits.unauthenticated, limits.connections // 2)
        self._limited_max = limits.connections * 3 // 4 - self._strangers_max
        self._all: Counter[str] = Counter()
        self._strangers: dict[str, dict[Guest, None]] = {}  # by address; of each the oldest first
        self._keys: dict[Guest, str] = {}  # of those that logged in with one that is limited

    def make_room(self, peer: str) -> Guest | None:
        """Take a place from a stranger, if that is all that a newcomer lacks.

        An address that holds many places gives one up to an address that would hold fewer even then,
        so that nobody can keep the others out by taking every place from a few addresses.

        Returns:
            The stranger that has to go, the oldest of its address. It has no place any more, but
            it is to leave as the others do.
        """
        address = network(peer)
        if self._why_turned(address) is not _NO_PLACE:
            return None
        crowd = max(self._strangers.values(), key=len)
        if len(crowd) <= len(self._strangers.get(address, ())) + 1:
            return None
        oldest = next(iter(crowd))
        del crowd[oldest]
        return oldest

    def enter(self, guest: Guest, peer: str) -> Turned | None:
        """Let a connection in, or say why not."""
        address = network(peer)
        turned = self._why_turned(address)
        if turned is None:
            self._all[address] += 1
            self._strangers.setdefault(address, {})[guest] = None
        return turned

    def _why_turned(self, address: str) -> Turned | None:
        limits = self._limits
        if self._all[address] >= limits.connections_per_address:
            return Turned(HTTPStatus.TOO_MANY_REQUESTS, "connections_per_address")
        if len(self._strangers.get(address, ())) >= limits.unauthenticated_per_address:
            return Turned(HTTPStatus.TOO_MANY_REQUESTS, "unauthenticated_per_address")
        if self._all.total() >= limits.connections:
            return Turned(HTTPStatus.SERVICE_UNAVAILABLE, "connections")
        if sum(map(len, self._strangers.values())) >= self._strangers_max:
            return _NO_PLACE
        return None

    def promote(self, guest: Guest, peer: str, limited_key: str | None) -> bool:
        """A stranger logged in, if its key has not too many connections.

        Args:
            guest: It.
            peer: Its address.
            limited_key: Its key part; None: that of the owner, who may have all places. All others and
                the strangers leave a quarter of them.
        """
        if limited_key is not None:
            held = list(self._keys.values()).count(limited_key)
            is_too_many = held >= self._limits.connections_per_key
            if is_too_many or len(self._keys) >= self._limited_max:
                return False
            self._keys[guest] = limited_key
        self._forget_stranger(guest, peer)
        return True

    def _forget_stranger(self, guest: Guest, peer: str) -> None:
        address = network(peer)
        strangers = self._strangers.get(address, {})
        strangers.pop(guest, None)
        if not strangers:
            self._strangers.pop(address, None)

    def leave(self, guest: Guest, peer: str) -> None:
        """A connection that was let in is over."""
        address = network(peer)
        self._forget_stranger(guest, peer)
        self._keys.pop(guest, None)
        self._all[address] -= 1
        if self._all[address] <= 0:
            del self._all[address]

    @property
    def addresses(self) -> int:
        """How many addresses are remembered: never more than there are connections."""
        return len(self._all)
