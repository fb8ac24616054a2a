"""A token bucket, and what a message costs. Pure: the clock is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: So many characters of a message are one of those that a client may send; a longer one counts as more.
_MESSAGE_UNIT: Final = 8192


def cost(message: str | bytes) -> int:
    """How many of those that a client may send a message counts as."""
    return 1 + len(message) // _MESSAGE_UNIT


class TokenBucket:
    """Allows ``rate_per_s`` in the long run, and ``burst`` at once.

    Args:
        rate_per_s: How fast it fills.
        burst: How much it holds; it begins full.
        clock: Monotonic, seconds.

    Attributes:
        burst: How much it holds.
    """

    def __init__(self, rate_per_s: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate_per_s = rate_per_s
        self.burst: Final = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()

    def take(self, count: int = 1) -> bool:
        """Take so many, or all that it can hold; False, and none is taken, if there are not so many."""
        now, count = self._clock(), min(count, self.burst)
        self._tokens = min(self.burst, self._tokens + (now - self._filled_at) * self._rate_per_s)
        self._filled_at = now
        if self._tokens < count:
            return False
        self._tokens -= count
        return True
