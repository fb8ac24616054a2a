"""Locks addresses that fail to log in, each for itself. Pure: the clock is given."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from passivbot_ws_plugin.addresses import network
from passivbot_ws_plugin.settings.options import Limits

#: The first lock; each one is twice the one before.
LOCK_FIRST_S: Final = 2.0

#: How many addresses are remembered. Who has more than that has too many for any table.
TABLE_MAX: Final = 4096


@dataclass(slots=True)
class _Entry:
    recent: deque[float]  # the times of the last failures, as many as make a lock
    count: int = 0
    locks: int = 0
    locked_until: float = float("-inf")

    def has_ended(self, now: float, window_s: float) -> bool:
        """Whether its last failure, and the lock that followed, are too long ago to count."""
        last = self.recent[-1] if self.recent else float("-inf")
        return now - max(last, self.locked_until) > window_s


class Throttle:
    """Counts failed logins by network address, and says who has to wait.

    A success changes nothing: whoever has a key of his own could buy guesses at another with it.

    There is no lock for everybody: whatever an attacker does from its addresses, the owner can
    log in from another.

    Args:
        limits: ``auth_failures``, ``auth_window_s`` and ``auth_lock_max_s``.
        clock: Monotonic, seconds.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # the longest unused first

    def __len__(self) -> int:
        return len(self._entries)

    def wait_s(self, peer: str) -> float:
        """How long an address has to wait before its next try; 0 if it need not."""
        entry = self._entries.get(network(peer))
        return 0.0 if entry is None else max(0.0, entry.locked_until - self._clock())

    def failures(self, peer: str) -> int:
        """How many failed logins of an address count now."""
        entry = self._entries.get(network(peer))
        if entry is None or entry.has_ended(self._clock(), self._limits.auth_window_s):
            return 0
        return entry.count

    def failed(self, peer: str) -> None:
        """Note a failed login of an address."""
        now, name, limits = self._clock(), network(peer), self._limits
        entry = self._entries.get(name)
        if entry is None or entry.has_ended(now, limits.auth_window_s):
            entry = self._entries[name] = _Entry(deque(maxlen=limits.auth_failures))
        self._entries.move_to_end(name)
        while len(self._entries) > TABLE_MAX:
            self._entries.popitem(last=False)
        entry.recent.append(now)
        entry.count += 1
        is_full = len(entry.recent) == limits.auth_failures
        if entry.locks or (is_full and now - entry.recent[0] <= limits.auth_window_s):
            entry.locked_until = now + min(LOCK_FIRST_S * 2**entry.locks, limits.auth_lock_max_s)
            # Beyond this the doubling changes nothing, and the power would grow for ever.
            entry.locks = min(entry.locks + 1, 32)
