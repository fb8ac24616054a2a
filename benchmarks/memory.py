"""Memory: what a connection keeps resident, idle or never reading; each in a fresh process.

By what the kernel says the process has, not by what Python says it asked for. What the kernel itself
keeps for a socket is not in it.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from websockets.asyncio.server import ServerConnection, serve

from passivbot_ws_plugin.audit import Audit
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import statistics_data
from passivbot_ws_plugin.server.server import Server

from . import readers
from .machine import raise_descriptor_limit, resident_kib
from .processes import Child, apart
from .readers import Crowd
from .report import Check, Question, Report, Table, figure, progress
from .samples import BOT, make_settings, make_statistics, states


@dataclass(frozen=True, slots=True)
class Size:
    """How much to measure: clients that idle, clients that never read, and changes that those do not read.

    Attributes:
        is_whole: With the library beside ours, and the parts of a connection: nothing is wanted of them.
    """

    idle: int
    stuck: int
    changes: int
    is_whole: bool = False


#: Clients that come first, so that what is allocated once is there.
_WARM: Final = 20


@dataclass(slots=True)
class Serving:
    """A server that clients can come to, and its readers."""

    address: tuple[str, int]
    crowd: Child
    publish: Callable[[], None]

    async def open(self, name: str, count: int, crowd: Crowd) -> None:
        """Have clients come, and the loop settle."""
        await self.crowd.ask_async("open", name, self.address, count, crowd)
        await asyncio.sleep(0.1)


@asynccontextmanager
async def _ours() -> AsyncIterator[Serving]:
    raise_descriptor_limit()
    changes: Iterator[Any] = states(make_statistics())
    cache = Cache()
    cache.put_statistics(BOT, statistics_data(next(changes)))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        server = Server(make_settings(Path(folder)), cache, Audit())
        host, _, port = (await server.start()).removeprefix("ws://").rpartition(":")

        def publish() -> None:
            cache.put_statistics(BOT, statistics_data(next(changes)))
            server.publish("statistics", BOT)

        try:
            with Child(readers.main) as crowd:
                yield Serving((host, int(port)), crowd, publish)
        finally:
            await server.stop(3.0)


@asynccontextmanager
async def _library(compression: Literal["deflate"] | None) -> AsyncIterator[Serving]:
    raise_descriptor_limit()

    async def handle(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0, compression=compression) as listener:
        with Child(readers.main) as crowd:
            yield Serving(listener.sockets[0].getsockname(), crowd, lambda: None)


_SERVERS: Final[dict[str, Callable[[], AbstractAsyncContextManager[Serving]]]] = {
    "ours": _ours,
    "library": partial(_library, None),
    "library, deflate": partial(_library, "deflate"),
}


async def _idle(server: str, count: int, crowd: Crowd) -> float:
    async with _SERVERS[server]() as serving:
        await serving.open("warm", _WARM, crowd)
        before = resident_kib()
        await serving.open("idle", count, crowd)
        return (resident_kib() - before) / count


async def _stuck(count: int, changes: int) -> tuple[float, float]:
    """How much more a client that never reads has after so many changes, and after as many again."""
    async with _ours() as serving:
        await serving.open("warm", _WARM, Crowd())
        await serving.open("stuck", count, Crowd(is_stuck=True))
        before = resident_kib()
        grown = []
        for _ in range(2):
            for _ in range(changes):
                serving.publish()
                await asyncio.sleep(0)
            grown.append((resident_kib() - before) / count)
        left = await serving.crowd.ask_async("count", "stuck")
        assert left == count, "who never read was cut off: it takes no memory"
        return grown[0], grown[1]


async def _parts(count: int, crowd: Crowd) -> dict[str, float]:
    """KiB of a connection by who asked for it, as Python counts."""
    async with _ours() as serving:
        await serving.open("warm", _WARM, crowd)
        gc.collect()
        tracemalloc.start()
        await serving.open("idle", count, crowd)
        gc.collect()
        snapshot = tracemalloc.take_snapshot()
        tracemalloc.stop()
    parts: Counter[str] = Counter()
    for entry in snapshot.statistics("filename"):
        parts[_owner(entry.traceback[0].filename)] += entry.size
    return {owner: size / 1024 / count for owner, size in parts.most_common()}


def _owner(filename: str) -> str:
    """Whose a file is: a module of ours, a package, or the standard library's module."""
    path = Path(filename)
    for package in ("passivbot_ws_plugin", "websockets"):
        if package in path.parts:
            inside = path.parts[path.parts.index(package) + 1 :]
            return f"{package}.{'.'.join(inside).removesuffix('.py')}"
    return path.stem if path.parent.name.startswith("python3") else f"{path.parent.name}.{path.stem}"


def _run_idle(server: str, count: int, crowd: Crowd) -> float:
    return asyncio.run(_idle(server, count, crowd))


def _run_stuck(count: int, changes: int) -> tuple[float, float]:
    return asyncio.run(_stuck(count, changes))


def _run_parts(count: int, crowd: Crowd) -> dict[str, float]:
    return asyncio.run(_parts(count, crowd))


_COURSES: Final = (
    ("ours, idle", "ours", Crowd()),
    ("ours, idle, clients offer compression", "ours", Crowd(deflate=True)),
    ("ours, idle, delta mode", "ours", Crowd(mode="delta")),
    ("the library by itself, no compression", "library", Crowd("upgrade")),
    ("the library by itself, default compression", "library, deflate", Crowd("upgrade", deflate=True)),
)


def measure(size: Size) -> Report:
    """The figures, and what is wanted of them."""
    rows, idle = [], {}
    for name, server, crowd in _COURSES if size.is_whole else _COURSES[:2]:
        idle[name] = apart(_run_idle, server, size.idle, crowd)
        rows.append((name, f"{size.idle:,}", figure(idle[name], "KiB")))
        progress(f"memory: {name}")
    grown, again = apart(_run_stuck, size.stuck, size.changes)
    rows += [
        (f"more for one that never read {size.changes:,} changes", str(size.stuck), figure(grown, "KiB")),
        (f"the same after {2 * size.changes:,} changes", str(size.stuck), figure(again, "KiB")),
    ]
    progress("memory: those that never read")
    tables = [Table("Resident memory of a connection", ("connection", "of so many", "each"), rows)]
    if size.is_whole:
        tables.append(_parts_table(apart(_run_parts, size.idle, Crowd())))
    checks = [
        Check("memory: an idle connection", idle[_COURSES[0][0]], 20.0, unit="KiB"),
        Check("memory: the same, offering compression", idle[_COURSES[1][0]], 20.0, unit="KiB"),
        Check("memory: more for one that never reads", max(grown, again), 1.25 * 1024, unit="KiB"),
    ]
    return Report(tables, checks)


def _parts_table(parts: dict[str, float]) -> Table:
    shown = [(owner, figure(kib, "KiB")) for owner, kib in parts.items() if kib >= 0.1]
    shown.append(("all the rest", figure(sum(kib for kib in parts.values() if kib < 0.1), "KiB")))
    return Table("The same by who asked for it (tracemalloc, idle)", ("module", "each"), shown)


QUESTION: Final = Question(
    "Memory",
    {"full": Size(500, 20, 3_000, is_whole=True), "quick": Size(150, 3, 1_200), "tiny": Size(5, 1, 5)},
    measure,
)
