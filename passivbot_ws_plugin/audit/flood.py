"""A flood of records counted into one a second for each address and event. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: How many addresses and events are told apart; what is beyond is counted together.
ENTRIES_MAX: Final = 4096

#: How long records are counted before they become one, seconds.
WINDOW_S: Final = 1.0

#: The address under which those beyond the table are counted.
MANY: Final = "many"


@dataclass(slots=True)
class Counted:
    """What one address did since its last record.

    Attributes:
        due: When it is to be written, by the caller's clock.
        count: How many records it stands for.
        fields: Those of the last of them.
    """

    due: float
    count: int
    fields: Mapping[str, object]


class Flood:
    """Decides which records are written at once and which are counted.

    The first of an address and event is written at once; those within a second of it become
    one with a count, and as long as they keep coming, one each second.
    """

    def __init__(self) -> None:
        # In the order in which they are due, since each waits equally long.
        self._entries: dict[tuple[str, str], Counted] = {}

    def admits(self, peer: str, event: str, fields: Mapping[str, object], now: float) -> bool:
        """Whether a record is to be written at once; it is counted otherwise.

        What is due must have been taken before, with `take`.
        """
        entry = self._entries.get((peer, event))
        if entry is None and len(self._entries) >= ENTRIES_MAX:
            peer, fields = MANY, {**fields, "peer": MANY, "port": 0}
            entry = self._entries.get((peer, event))
        if entry is None:
            self._entries[peer, event] = Counted(now + WINDOW_S, 0, fields)
            return True
        entry.count += 1
        entry.fields = fields
        return False

    def take(self, now: float) -> list[Counted]:
        """What is to be written by now, each address once."""
        taken = []
        # Those that are begun anew go to the end, so the first that is not due is found again.
        for key in self._due_keys(now):
            entry = self._entries.pop(key)
            if entry.count:
                taken.append(entry)
                self._entries[key] = Counted(now + WINDOW_S, 0, entry.fields)
        return taken

    def take_all(self) -> list[Counted]:
        """What is to be written at the end, due or not."""
        taken = [entry for entry in self._entries.values() if entry.count]
        self._entries.clear()
        return taken

    def _due_keys(self, now: float) -> list[tuple[str, str]]:
        keys = []
        for key, entry in self._entries.items():
            if entry.due > now:
                break
            keys.append(key)
        return keys
