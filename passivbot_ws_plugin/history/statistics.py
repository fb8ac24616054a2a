"""One bot's states: the latest, and those before it, from which a patch leads to it."""

from __future__ import annotations

import zlib
from collections import deque
from typing import Any, Final

import msgspec

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

#: How many states before the latest are kept, and how many bytes of them, deflated.
STATES_MAX: Final = 128
STATES_MAX_BYTES: Final = 1_048_576

_decoder: Final = msgspec.json.Decoder(StatisticsMessage)


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
        # Those before the latest, as deflated messages: as objects they would be ten times as large. A patch
        # is made of the two states where one is asked for, whatever lies between.
        self._past: deque[bytes] = deque()
        self._past_bytes = 0
        self._updates: dict[int, Prepared] = {}  # by base, since many clients have the same place
        self._keyed: tuple[int, StatisticsData, dict[str, Any] | None] | None = None  # the last one made

    def put(self, data: StatisticsData) -> bool:
        """Keep a state; whether it is a change."""
        self.timestamp = data.timestamp
        if not data.differs_from(self.data):
            return False
        if self.seq:
            self._remember(self.snapshot.payload)
        self.seq += 1
        self.data = data
        self.snapshot = Prepared(encode(StatisticsMessage(data, self._bot, self._epoch, self.seq)))
        self._updates = {}
        return True

    def _remember(self, state: bytes) -> None:
        self._past.append(zlib.compress(state, level=1))
        self._past_bytes += len(self._past[-1])
        while len(self._past) > STATES_MAX or self._past_bytes > STATES_MAX_BYTES:
            self._past_bytes -= len(self._past.popleft())

    def update(self, base: int | None) -> Prepared | None:
        """The message that brings a client from its place to now; None if it is there.

        Args:
            base: The state that the client has; None or one that is not known: a snapshot is due.
        """
        if base == self.seq:
            return None
        if base is None or not self.seq - len(self._past) <= base < self.seq:
            return self.snapshot
        if base not in self._updates:
            self._updates[base] = self._delta(base) or self.snapshot
        return self._updates[base]

    def _delta(self, base: int) -> Prepared | None:
        """A patch from the base to now, if there is one and it is worth it."""
        old, new = self._keyed_at(base), self._keyed_at(self.seq)  # in this order: `_keyed` may be the base
        if old is None or new is None:
            return None
        try:
            patch = merge_patch.diff(old, new)
        except UnsayableError:
            return None
        message = StatisticsDelta(self._bot, self._epoch, base, self.seq, encode_value(patch))
        encoded = encode(message)
        return Prepared(encoded) if len(encoded) * 2 <= len(self.snapshot) else None

    def _keyed_at(self, seq: int) -> dict[str, Any] | None:
        """The keyed form of a state; None: it has none."""
        if self._keyed is not None and self._keyed[0] == seq:
            return self._keyed[2]
        if seq != self.seq:
            return to_keyed(_decoder.decode(zlib.decompress(self._past[seq - self.seq])).data)
        assert self.data is not None
        before = () if self._keyed is None else self._keyed[1:]
        keyed = to_keyed(self.data, *before)
        self._keyed = seq, self.data, keyed
        return keyed
