"""Fan-out: what it costs to bring one change to many clients, side by side.

CPU of the loop's thread, from the change to the last delivery, for each message that the readers
received. The ways take turns; a ratio is the median of the ratios of each turn.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from websockets.asyncio.server import Server as WebSocketListener
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.frames import Frame, Opcode

from passivbot_ws_plugin.audit import Audit
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import StatisticsData, StatisticsMessage, encode, statistics_data
from passivbot_ws_plugin.server.event_loop import new_event_loop
from passivbot_ws_plugin.server.server import Server

from . import readers
from .machine import raise_descriptor_limit
from .processes import Child, apart
from .readers import Crowd
from .report import Check, Question, Report, Table, figure, progress, ratio
from .samples import BOT, make_settings, make_statistics, states


@dataclass(frozen=True, slots=True)
class Size:
    """How much to measure: clients of each way, turns, and changes in a turn.

    So few changes that the kernel takes them all at once, should the readers be late.
    """

    clients: int
    rounds: int
    changes: int


Address = tuple[str, int]


class Way(Protocol):
    """A way of bringing changes to clients."""

    crowd: Crowd

    async def start(self) -> Address:
        """Listen."""

    async def prepare(self, data: StatisticsData, seq: int) -> None:
        """What the way is given ready; not measured."""

    async def send(self) -> None:
        """Bring the change to every client."""

    async def stop(self) -> None:
        """End it all."""


class Floor:
    """One blocking system call a client, of a frame that is ready: less there cannot be."""

    crowd = Crowd("plain")

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._sockets: list[socket.socket] = []
        self._frame = b""

    async def start(self) -> Address:
        """Listen."""
        address: Address = self._listener.getsockname()
        return address

    def accept(self, count: int) -> None:
        """Take the clients that wait."""
        for _ in range(count):
            accepted, _ = self._listener.accept()
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(accepted)

    async def prepare(self, data: StatisticsData, seq: int) -> None:
        """Make the frame."""
        self._frame = Frame(Opcode.TEXT, _message(data, seq)).serialize(mask=False)

    async def send(self) -> None:
        """The loop."""
        frame = self._frame
        for client in self._sockets:
            client.send(frame)

    async def stop(self) -> None:
        """Close them."""
        for each in (self._listener, *self._sockets):
            each.close()


class Library:
    """What the library offers: `send` to one after the other, `broadcast`, or its transports as they are."""

    def __init__(
        self, how: Literal["send", "broadcast", "write"], compression: Literal["deflate"] | None, crowd: Crowd
    ) -> None:
        self.crowd = crowd
        self._how = how
        self._compression = compression
        self._connections: set[ServerConnection] = set()
        self._listener: WebSocketListener | None = None
        self._change: tuple[StatisticsData, int] | None = None

    async def start(self) -> Address:
        """Listen."""
        self._listener = await serve(
            self._handle, "127.0.0.1", 0, compression=self._compression, ping_interval=None
        )
        address: Address = self._listener.sockets[0].getsockname()
        return address

    async def _handle(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        await connection.wait_closed()

    async def prepare(self, data: StatisticsData, seq: int) -> None:
        """Remember it: the message is made while the clock runs, as ours is."""
        self._change = data, seq

    async def send(self) -> None:
        """The first draft's loop, the library's, or the least that asyncio asks for."""
        assert self._change is not None
        payload = _message(*self._change)
        if self._how == "write":
            frame = Frame(Opcode.TEXT, payload).serialize(mask=False)
            for connection in self._connections:
                connection.transport.write(frame)
        elif self._how == "broadcast":
            broadcast(self._connections, payload, text=True)
        else:
            for connection in self._connections:
                await connection.send(payload, text=True)

    async def stop(self) -> None:
        """Close them."""
        assert self._listener is not None
        self._listener.close()
        await self._listener.wait_closed()


class Ours:
    """The server as it is, and clients that logged in."""

    def __init__(self, crowd: Crowd, folder: Path) -> None:
        self.crowd = crowd
        self._cache = Cache()
        self._cache.put_statistics(BOT, statistics_data(make_statistics()))
        self._server = Server(make_settings(folder), self._cache, Audit())
        self._data: StatisticsData | None = None

    async def start(self) -> Address:
        """Listen."""
        host, _, port = (await self._server.start()).removeprefix("ws://").rpartition(":")
        return host, int(port)

    async def prepare(self, data: StatisticsData, seq: int) -> None:
        """Remember it: that it is a change, and which, is found while the clock runs."""
        self._data = data

    async def send(self) -> None:
        """As the worker does."""
        assert self._data is not None
        self._cache.put_statistics(BOT, self._data)
        self._server.publish("statistics", BOT)

    async def stop(self) -> None:
        """Close them."""
        await self._server.stop(3.0)


def _message(data: StatisticsData, seq: int) -> bytes:
    return encode(StatisticsMessage(data, BOT, "9f2c61d0a4b35e77", seq))


#: The ways by name; a name is a row of the table.
NAIVE: Final = "await `send` to each, default compression (the naive way)"
BROADCAST: Final = "`broadcast`, default compression"
BROADCAST_PLAIN: Final = "`broadcast`, no compression"
OURS: Final = "ours, full"
OURS_DEFLATE: Final = "ours, full, clients offer compression"
OURS_DELTA: Final = "ours, delta"
OURS_DELTA_DEFLATE: Final = "ours, delta, clients offer compression"
WRITE: Final = "`transport.write` of one frame that is ready (asyncio's floor)"
FLOOR: Final = "a loop of blocking `socket.send` (the floor)"


def _ways(folder: Path) -> Mapping[str, Way]:
    browser, script = Crowd("upgrade", deflate=True), Crowd("upgrade")
    return {
        NAIVE: Library("send", "deflate", browser),
        BROADCAST: Library("broadcast", "deflate", browser),
        BROADCAST_PLAIN: Library("broadcast", None, script),
        OURS: Ours(Crowd(), folder),
        OURS_DEFLATE: Ours(Crowd(deflate=True), folder),
        OURS_DELTA: Ours(Crowd(mode="delta"), folder),
        OURS_DELTA_DEFLATE: Ours(Crowd(mode="delta", deflate=True), folder),
        WRITE: Library("write", None, script),
        FLOOR: Floor(),
    }


@dataclass(slots=True)
class Course:
    """One way's turns: CPU microseconds and bytes for each message."""

    cpu_us: list[float]
    bytes_each: float = 0.0


#: Not a way but a part of ours, once for each change: finding what changed, and encoding it.
MAKING: Final = "of ours, once a change: `Cache.put_statistics`"


async def _take_turns(size: Size) -> dict[str, Course]:
    raise_descriptor_limit()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        ways = _ways(folder)
        for way in ways.values():
            stack.push_async_callback(way.stop)
        addresses = {name: await way.start() for name, way in ways.items()}
        crowd = stack.enter_context(Child(readers.main))  # last: the first to go at the end
        for name, way in ways.items():
            await crowd.ask_async("open", name, addresses[name], size.clients, way.crowd)
            if isinstance(way, Floor):
                way.accept(size.clients)
        progress(f"fan-out: {size.clients} clients for each of {len(ways)} ways")
        changes = (statistics_data(state) for state in states(make_statistics()))
        courses = {name: Course([]) for name in (*ways, MAKING)}
        cache = Cache()
        for number in range(size.rounds + 1):
            for name, way in ways.items():
                cpu_us, bytes_each = await _turn(way, name, crowd, changes, size)
                if number > 0:  # the first turn warms caches up
                    courses[name].cpu_us.append(cpu_us)
                    courses[name].bytes_each = bytes_each
            if number > 0:
                courses[MAKING].cpu_us += _making(cache, changes, size)
            if number % 5 == 0:
                progress(f"fan-out: round {number} of {size.rounds}")
        return courses


async def _turn(
    way: Way, name: str, crowd: Child, changes: Iterator[StatisticsData], size: Size
) -> tuple[float, float]:
    """One turn; CPU microseconds and bytes for each message that was received."""
    await crowd.ask_async("take", name)
    crowd.post("expect", name, size.clients * size.changes)
    spent = 0.0
    for seq in range(1, size.changes + 1):
        await way.prepare(next(changes), seq)
        begin = time.thread_time()
        await way.send()
        await asyncio.sleep(0)
        spent += time.thread_time() - begin
    begin = time.thread_time()
    await crowd.answer()  # what was left to the loop is sent now, and counts
    spent += time.thread_time() - begin
    taken = await crowd.ask_async("take", name)
    return spent * 1e6 / taken["messages"], taken["bytes"] / taken["messages"]


def _making(cache: Cache, changes: Iterator[StatisticsData], size: Size) -> list[float]:
    """CPU microseconds of a change before anybody is told, as a message's share of it."""
    data = [next(changes) for _ in range(size.changes)]
    begin = time.thread_time()
    for each in data:
        cache.put_statistics(BOT, each)
    return [(time.thread_time() - begin) * 1e6 / size.changes / size.clients]


def _run(size: Size) -> dict[str, Course]:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:  # the loop that the server would take
        return runner.run(_take_turns(size))


def measure(size: Size) -> Report:
    """The figures, and what is wanted of them."""
    courses: dict[str, Course] = apart(_run, size)
    floor = courses[FLOOR].cpu_us
    rows = [
        (
            name,
            figure(statistics.median(course.cpu_us), "µs"),
            figure(ratio(course.cpu_us, floor)),
            f"{course.bytes_each:,.0f} B" if course.bytes_each else "",
        )
        for name, course in courses.items()
    ]
    title = f"CPU for each message delivered, {size.clients} clients, 20 positions"
    ours = courses[OURS].cpu_us
    offering = courses[OURS_DEFLATE].cpu_us
    checks = [
        Check("fan-out: ours over the floor", ratio(ours, floor), 1.15),
        Check("fan-out: ours over the floor, clients offer compression", ratio(offering, floor), 1.15),
        Check(
            "fan-out: default `broadcast` over ours",
            ratio(courses[BROADCAST].cpu_us, offering),
            3.0,
            "at least",
        ),
        Check("fan-out: the naive way over ours", ratio(courses[NAIVE].cpu_us, offering), 5.0, "at least"),
    ]
    return Report([Table(title, ("way", "CPU", "times the floor", "on the wire"), rows)], checks)


QUESTION: Final = Question(
    "Fan-out",
    {"full": Size(200, 30, 10), "quick": Size(200, 6, 5), "tiny": Size(2, 2, 2)},
    measure,
)
