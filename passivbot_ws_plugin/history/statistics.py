"""One bot's states: the latest whole, and the patches that led to it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from passivbot_ws_plugin import merge_patch
from passivbot_ws_plugin.keyed import to_keyed
from passivbot_ws_plugin.merge_patch import UnsayableError
from passivbot_ws_plugin.messages import (
    StatisticsData,
    StatisticsDelta,
    StatisticsMessage,
    encode,
    encode_value,
)
from passivbot_ws_plugin.prepared import Prepared

#: How many patches are kept, and how many bytes of them.
PATCHES_MAX: Final = 128
PATCHES_MAX_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class _Patch:
    """What led to a state; None: no merge patch says it."""

    patch: dict[str, Any] | None
    size: int


class StatisticsHistory:
    """The states of one bot.

    Attributes:
        seq: The number of the latest state; 0: there is none.
        data: The latest state.
        timestamp: Of the latest snapshot, changed or not, milliseconds.
        snapshot: The latest state as a message.
    """

    def __init__(self, bot: str, epoch: str) -> None:
        self.seq = 0
        self.data: StatisticsData | None = None
        self.timestamp: int | None = None
        self.snapshot = Prepared(b"")
        self._bot = bot
        self._epoch = epoch
        self._keyed: dict[str, Any] | None = None
        self._patches: deque[_Patch] = deque()  # the last one led to ``seq``
        self._patches_bytes = 0
        # By base, since many clients have the same place: the patch from it to now, None if no patch says
        # it; and the message.
        self._joined: dict[int, dict[str, Any] | None] = {}
        self._updates: dict[int, Prepared] = {}

    def put(self, data: StatisticsData) -> bool:
        """Keep a state; whether it is a change."""
        self.timestamp = data.timestamp
        if not data.differs_from(self.data):
            return False
        keyed = to_keyed(data, self.data, self._keyed)
        if self.data is not None:
            self._remember(_make_patch(self._keyed, keyed))
        self.seq += 1
        self.data, self._keyed = data, keyed
        self.snapshot = Prepared(encode(StatisticsMessage(data, self._bot, self._epoch, self.seq)))
        self._joined, self._updates = {self.seq: {}}, {}
        return True

    def _remember(self, patch: _Patch) -> None:
        self._patches.append(patch)
        self._patches_bytes += patch.size
        while len(self._patches) > PATCHES_MAX or self._patches_bytes > PATCHES_MAX_BYTES:
            self._patches_bytes -= self._patches.popleft().size

    def update(self, base: int | None) -> Prepared | None:
        """The message that brings a client from its place to now; None if it is there.

        Args:
            base: The state that the client has; None or one that is not known: a snapshot is due.
        """
        if base == self.seq:
            return None
        if base is None or not 0 < base < self.seq:
            return self.snapshot
        if base not in self._updates:
            self._updates[base] = self._delta(base) or self.snapshot
        return self._updates[base]

    def _delta(self, base: int) -> Prepared | None:
        """A patch from the base to now, if there is one and it is worth it."""
        if self.seq - base > len(self._patches):
            return None
        # From now back to the base: each is joined once, whoever asks from where.
        for place in range(self.seq - 1, base - 1, -1):
            if place not in self._joined:
                self._joined[place] = _join(self._patches[place - self.seq].patch, self._joined[place + 1])
        patch = self._joined[base]
        if patch is None:
            return None
        message = StatisticsDelta(self._bot, self._epoch, base, self.seq, encode_value(patch))
        encoded = encode(message)
        return Prepared(encoded) if len(encoded) * 2 <= len(self.snapshot) else None


def _join(first: dict[str, Any] | None, second: dict[str, Any] | None) -> dict[str, Any] | None:
    if first is None or second is None:
        return None
    try:
        return merge_patch.join(first, second) if second else first
    except UnsayableError:
        return None


def _make_patch(old: dict[str, Any] | None, new: dict[str, Any] | None) -> _Patch:
    if old is None or new is None:
        return _Patch(None, 0)
    try:
        patch = merge_patch.diff(old, new)
    except UnsayableError:
        return _Patch(None, 0)
    return _Patch(patch, len(encode_value(patch)))
