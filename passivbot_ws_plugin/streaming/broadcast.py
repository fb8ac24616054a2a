"""One message to many connections, at next to the cost of the system calls.

A method call for each connection, or a look at its attributes, costs a fifth of the system call that
follows. So descriptors are kept at hand here, in a dict of their own; a connection says when its own can
be written to and when not.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from passivbot_ws_plugin.prepared import Prepared

Member = TypeVar("Member")


class Line(Protocol):
    """A connection, as far as messages are sent over it.

    Attributes:
        on_descriptor: To be called whenever ``descriptor`` has become another one.
    """

    on_descriptor: Callable[[], None] | None

    @property
    def descriptor(self) -> int | None:
        """Of its socket, while a frame may be written to it: open, not encrypted, and nothing buffered."""

    @property
    def window_bits(self) -> int | None:
        """What `Prepared.frame` is to be asked for; it does not change."""

    def push(self, *messages: Prepared) -> int:
        """Send messages, buffering what the network does not take now; returns `unsent_bytes`."""

    def write(self, data: bytes) -> int:
        """Send what is left of a frame, buffering as well; returns `unsent_bytes`."""

    def unsent_bytes(self) -> int:
        """What is buffered."""


class BroadcastGroup(Generic[Member]):
    """Those that are sent the same messages. Members are what their owner knows their lines by."""

    def __init__(self) -> None:
        self._lines: dict[Member, Line] = {}
        # By the window that frames are made for: descriptors that can be written to.
        self._direct: defaultdict[int | None, dict[Member, int]] = defaultdict(dict)
        self._indirect: dict[Member, Line] = {}  # all others

    def __contains__(self, member: Member) -> bool:
        return member in self._lines

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, member: Member, line: Line) -> None:
        """Have it sent what comes from now on."""
        self._lines[member] = line
        line.on_descriptor = lambda: self._sort(member, line)
        self._sort(member, line)

    def discard(self, member: Member) -> bool:
        """Have it sent no more; whether it was here."""
        line = self._lines.pop(member, None)
        if line is None:
            return False
        line.on_descriptor = None
        self._direct[line.window_bits].pop(member, None)
        self._indirect.pop(member, None)
        return True

    def _sort(self, member: Member, line: Line) -> None:
        if line.descriptor is not None:
            self._indirect.pop(member, None)
            self._direct[line.window_bits][member] = line.descriptor
        else:
            self._direct[line.window_bits].pop(member, None)
            self._indirect[member] = line

    def send(self, message: Prepared) -> list[Member]:
        """Send a message to all; those that have something unsent then."""
        unsent: list[Member] = []
        indirect = tuple(self._indirect.items())  # without those that become so below
        write = os.write
        for window_bits, direct in self._direct.items():
            frame = message.frame(window_bits)
            size, short = len(frame), []
            for member, descriptor in direct.items():
                try:
                    written = write(descriptor, frame)
                except OSError:  # it takes nothing now, or never again: its transport finds out which
                    written = 0
                if written != size:
                    short.append((member, written))
            for member, written in short:
                if self._lines[member].write(frame[written:]):
                    unsent.append(member)
        unsent += [member for member, line in indirect if line.push(message)]
        return unsent
