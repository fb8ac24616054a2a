"""One bot's last events, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from passivbot_ws_plugin.messages import EventData, EventMessage, Gap, encode
from passivbot_ws_plugin.prepared import Prepared

#: How many events are kept, and how many bytes of them: a larger one is not even told, but a gap.
EVENTS_MAX: Final = 1024
EVENTS_MAX_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class _Kept:
    seq: int
    data: EventData
    message: Prepared


#: Whether a client wants an event.
Wish = Callable[[EventData], bool]


class EventHistory:
    """The events of one bot, by their numbers.

    Attributes:
        seq: The number of the last event; 0: there was none.
    """

    def __init__(self, bot: str, epoch: str) -> None:
        self.seq = 0
        self._bot = bot
        self._epoch = epoch
        self._floor = 0  # what is not after it was never known here, and so is not lost
        self._kept: deque[_Kept] = deque()
        self._bytes = 0

    def put(self, seq: int, data: EventData) -> bool:
        """Keep an event; False if its number is not after the last one's.

        Args:
            seq: Its number; where numbers are left out, events were lost on the way here.
            data: The event.
        """
        if seq <= self.seq:
            return False
        if self.seq == 0:
            self._floor = seq - 1
        self.seq = seq
        message = Prepared(encode(EventMessage(data, self._bot, self._epoch, seq)))
        self._kept.append(_Kept(seq, data, message))
        self._bytes += len(message)
        while len(self._kept) > EVENTS_MAX or self._bytes > EVENTS_MAX_BYTES:
            self._bytes -= len(self._kept.popleft().message)
        return True

    def count_after(self, place: int) -> int:
        """How many events `after` looks at, at most."""
        return max(0, min(len(self._kept), self.seq - place))

    def after(self, place: int, wish: Wish) -> Iterator[tuple[int, Prepared | None]]:
        """What a client is due, one after the other, with its place after each.

        Args:
            place: The last event that it got or passed over.
            wish: Whether it wants an event.

        Yields:
            The place, and an ``event``, a ``gap``, or None: an event that it does not want.
        """
        place = max(place, self._floor)
        due = list(takewhile(lambda kept: kept.seq > place, reversed(self._kept)))
        for kept in reversed(due):
            if kept.seq != place + 1:
                yield kept.seq - 1, self._gap(place + 1, kept.seq - 1)
            place = kept.seq
            yield place, kept.message if wish(kept.data) else None
        if place < self.seq:  # the last one was too large to be kept
            yield self.seq, self._gap(place + 1, self.seq)

    def _gap(self, first: int, last: int) -> Prepared:
        return Prepared(encode(Gap(self._bot, self._epoch, first, last)))
