"""How long to wait before the next attempt. Pure: chance is given.

Full jitter: anything from nothing up to a bound that doubles. Where a server restarts, its clients do
not come back all at once, and not in step.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

#: However long a server asks to wait, seconds: its own longest lock is 900 by default.
NOT_BEFORE_MAX_S: Final = 3600.0


class Backoff:
    """Pauses between attempts.

    Args:
        first_s: The bound of the first pause, seconds.
        max_s: The bound of every pause, beside what a server asks for.
        chance: A number between two others, each as likely.
    """

    def __init__(
        self, first_s: float, max_s: float, chance: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._chance = chance
        self._bound_s = first_s

    def pause_s(self, not_before_s: float = 0.0) -> float:
        """The next pause.

        Args:
            not_before_s: What the server asked for.
        """
        pause_s = self._chance(0.0, min(self._bound_s, self._max_s))
        self._bound_s = min(self._bound_s * 2, self._max_s)
        return min(max(not_before_s, 0.0), NOT_BEFORE_MAX_S) + pause_s

    def reset(self) -> None:
        """The connection held: begin anew."""
        self._bound_s = self._first_s
