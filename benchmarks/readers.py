"""The clients, in a process of their own: they log in, and read whatever comes at once.

Sockets, one epoll, and nothing parsed but the bounds of messages: what they take from the machine is to
be little, and the same for everything that is measured.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from typing import Final, Literal

from passivbot_ws_plugin.access.auth import make_token

from .frames import END_OF_HEAD, Splitter, masked_text, upgrade
from .machine import raise_descriptor_limit
from .samples import KEY, PASSWORD

#: How many log in at once: fewer than may wait in the kernel of the server.
_BATCH: Final = 64

#: What a login may take, seconds.
_LOGIN_S: Final = 30.0

_STAMP: Final = b'"timestamp":'

#: The first byte of the kernel's ``tcp_info``.
_ESTABLISHED: Final = b"\x01"

#: ``login``: a client of ours. ``upgrade``: of a server that asks for none. ``plain``: no handshake.
Kind = Literal["login", "upgrade", "plain"]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Clients that are alike.

    Attributes:
        kind: How they come in.
        deflate: They offer permessage-deflate.
        mode: What they subscribe to with the login; None: what is published.
        is_stuck: They never read after the login, and have a small buffer.
        is_timed: What comes holds a ``timestamp`` of CLOCK_MONOTONIC, in nanoseconds.
    """

    kind: Kind = "login"
    deflate: bool = False
    mode: Literal["delta"] | None = None
    is_stuck: bool = False
    is_timed: bool = False


@dataclass(slots=True)
class _Group:
    crowd: Crowd
    sockets: list[socket.socket] = field(default_factory=list)
    messages: int = 0
    size: int = 0
    compressed: int = 0
    latencies_ns: list[int] = field(default_factory=list)
    expected: int | None = None


@dataclass(slots=True)
class _Client:
    socket: socket.socket
    group: _Group
    splitter: Splitter = field(default_factory=Splitter)


class Readers:
    """All clients of one benchmark, by the name of their crowd."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._selector = selectors.DefaultSelector()
        self._groups: dict[str, _Group] = {}
        self._opened = 0

    def run(self) -> None:
        """Read until told to end."""
        self._selector.register(self._pipe, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._read(key.data)
                elif not self._obey():
                    return

    def _obey(self) -> bool:
        command = self._pipe.recv()
        if command is None:
            return False
        name, group, *arguments = command
        if name == "open":
            self._open(group, *arguments)
            self._pipe.send(("done", None))
        elif name == "expect":
            self._groups[group].expected = arguments[0]
            self._tell_if_reached(self._groups[group])
        elif name == "take":
            self._pipe.send(("done", self._take(self._groups[group])))
        elif name == "count":
            self._pipe.send(("done", sum(map(_is_connected, self._groups[group].sockets))))
        return True

    def _take(self, group: _Group) -> dict[str, object]:
        """What a group counted since it was last asked."""
        taken = {
            "messages": group.messages,
            "bytes": group.size,
            "compressed": group.compressed,
            "latencies_ns": group.latencies_ns,
        }
        group.messages = group.size = group.compressed = 0
        group.latencies_ns = []
        return taken

    # --- reading -----------------------------------------------------------------------

    def _read(self, client: _Client) -> None:
        data = client.socket.recv(262_144)
        now = time.monotonic_ns()
        group, splitter = client.group, client.splitter
        if not data:
            raise ConnectionError("the server closed a connection of the benchmark")
        payloads = splitter.feed(data)
        if not payloads:
            return
        group.messages += len(payloads)
        group.size += splitter.size
        group.compressed += splitter.was_compressed
        if group.crowd.is_timed:
            group.latencies_ns += [now - _stamp(payload) for payload in payloads]
        self._tell_if_reached(group)

    def _tell_if_reached(self, group: _Group) -> None:
        if group.expected is not None and group.messages >= group.expected:
            group.expected = None
            self._pipe.send(("done", group.messages))

    # --- coming in ---------------------------------------------------------------------

    def _open(self, name: str, address: tuple[str, int], count: int, crowd: Crowd) -> None:
        """Connect and log in, in batches; what the login is answered with is not counted."""
        group = self._groups.setdefault(name, _Group(crowd))
        for begin in range(0, count, _BATCH):
            batch = [self._connect(address, crowd) for _ in range(min(_BATCH, count - begin))]
            if crowd.kind != "plain":
                for client in batch:
                    client.sendall(upgrade(deflate=crowd.deflate))
                for client in batch:
                    _receive_head(client)
            if crowd.kind == "login":
                for client in batch:
                    client.sendall(masked_text(_login(crowd)))
            for client in batch:
                self._settle(client, group)
            group.sockets += batch

    def _connect(self, address: tuple[str, int], crowd: Crowd) -> socket.socket:
        """From the next of 127.0.0.0/8's addresses: one has no more than some 28,000 ports."""
        client = socket.socket()
        client.settimeout(_LOGIN_S)
        if crowd.is_stuck:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._opened += 1
        client.bind((f"127.1.{self._opened // 250 % 250}.{self._opened % 250 + 1}", 0))
        client.connect(address)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def _settle(self, client: socket.socket, group: _Group) -> None:
        """Have it read from now on, after the login's own messages."""
        splitter = Splitter()
        due = {"login": 2 if group.crowd.mode is None else 3}.get(group.crowd.kind, 0)
        while due > 0 and not (group.crowd.is_stuck and due == 1):
            due -= len(splitter.feed(client.recv(65_536)))
        if group.crowd.is_stuck:
            return
        client.setblocking(False)
        self._selector.register(client, selectors.EVENT_READ, _Client(client, group, splitter))


def _is_connected(client: socket.socket) -> bool:
    """Whether the server has not ended it, which who never reads does not hear of."""
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == _ESTABLISHED


def _stamp(payload: bytes) -> int:
    begin = payload.index(_STAMP) + len(_STAMP)
    return int(payload[begin : payload.index(b",", begin)])


def _login(crowd: Crowd) -> bytes:
    login: dict[str, object] = {
        "type": "auth",
        "token": make_token(PASSWORD, KEY),
        "public_key_part": KEY,
    }
    if crowd.mode is not None:
        login["subscribe"] = [{"channel": "statistics", "mode": crowd.mode}]
    return json.dumps(login).encode()


def _receive_head(client: socket.socket) -> None:
    """Receive the answer to the handshake; no server says more before it is spoken to."""
    head = b""
    while not head.endswith(END_OF_HEAD):
        data = client.recv(4096)
        if not data:
            break
        head += data
    if not head.startswith(b"HTTP/1.1 101"):
        raise ConnectionError(f"the server answered the handshake with {head[:200]!r}")


def main(pipe: Pipe) -> None:
    """The process."""
    raise_descriptor_limit()
    Readers(pipe).run()
