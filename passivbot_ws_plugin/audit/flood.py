"""A flood of records counted into few lines, each attempt in one of them. Pure: no I/O, the clock is given.

Two bounds. One address and event has a line at once, the next a second later at the earliest, then two
seconds, four, and so on up to `WAIT_MAX_S`: who goes on is on record, and leaves room for the others. All
together have `LINES_BURST` lines at once and `LINES_PER_S` in the long run, however many addresses there are;
what is beyond is counted by event alone, as `MANY`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from passivbot_ws_plugin.rate import TokenBucket

#: Between the first two lines of an address and event, and at most between any two, seconds.
WAIT_FIRST_S: Final = 1.0
WAIT_MAX_S: Final = 60.0

#: When an address that is quiet begins anew, seconds. More than `WAIT_MAX_S`, so that pausing gains nothing.
FORGET_S: Final = 600.0

#: The lines of all addresses: so many at once, and so many a second in the long run. It bounds the table too.
LINES_BURST: Final = 4096
LINES_PER_S: Final = 0.2

#: The address of what is counted by event alone.
MANY: Final = "many"


@dataclass(slots=True)
class Counted:
    """What one address did since its last line.

    Attributes:
        due: When it may have the next line, by the clock.
        count: How many records that will stand for.
        fields: Those of the last of them.
        wait_s: From the next line to the one after it.
    """

    due: float
    count: int
    fields: Mapping[str, object]
    wait_s: float = WAIT_FIRST_S

    def add(self, count: int, fields: Mapping[str, object]) -> None:
        """Count so many more."""
        self.count += count
        self.fields = fields

    def take(self, now: float) -> tuple[int, Mapping[str, object]]:
        """What its line is to say; from now on it waits for the next."""
        taken = self.count, self.fields
        self.due, self.count = now + self.wait_s, 0
        self.wait_s = min(2 * self.wait_s, WAIT_MAX_S)
        return taken


class Flood:
    """Decides which records are written at once and which are counted.

    Args:
        clock: Monotonic, seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lines = TokenBucket(LINES_PER_S, LINES_BURST, clock)
        self._entries: dict[tuple[str, str], Counted] = {}  # each has had a line
        self._many: dict[str, Counted] = {}  # by event

    def __len__(self) -> int:
        return len(self._entries)

    def admits(self, peer: str, event: str, fields: Mapping[str, object]) -> bool:
        """Whether a record is to be written at once; it is counted otherwise."""
        now = self._clock()
        entry = self._entries.get((peer, event)) or Counted(now, 0, fields)
        if not entry.count and entry.due <= now and self._lines.take():
            entry.take(now)
            self._entries[peer, event] = entry
            return True
        if (peer, event) in self._entries:
            entry.add(1, fields)
        else:
            self._count_many(event, 1, fields, now)
        return False

    def take(self) -> list[tuple[int, Mapping[str, object]]]:
        """What is to be written by now, counts and fields; to be called each second."""
        now, taken = self._clock(), []
        for (peer, event), entry in tuple(self._entries.items()):
            if entry.count and entry.due <= now:
                if self._lines.take():
                    taken.append(entry.take(now))
                else:
                    del self._entries[peer, event]
                    self._count_many(event, entry.count, entry.fields, now)
            elif entry.due + FORGET_S <= now:
                del self._entries[peer, event]
        taken += [entry.take(now) for entry in self._many.values() if entry.count and entry.due <= now]
        return taken

    def take_all(self) -> list[tuple[int, Mapping[str, object]]]:
        """What is to be written at the end, due or not."""
        entries = (*self._entries.values(), *self._many.values())
        taken = [(entry.count, entry.fields) for entry in entries if entry.count]
        self._entries.clear()
        self._many.clear()
        return taken

    def _count_many(self, event: str, count: int, fields: Mapping[str, object], now: float) -> None:
        entry = self._many.setdefault(event, Counted(now, 0, fields, WAIT_MAX_S))
        entry.add(count, {**fields, "peer": MANY, "port": 0})
