"""A TCP proxy that cuts connections after so many bytes, or stalls: a network at its worst."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_CHUNK: Final = 65_536


@dataclass(frozen=True)
class Cut:
    """How many bytes pass before a connection is cut; None: all."""

    from_server: int | None = None
    from_client: int | None = None


class CuttingProxy:
    """Stands between a client and a server, which both see the other in it.

    Attributes:
        address: Where the client connects to.
        target: Where it goes on to; set it anew when the server moves.
        connections: How many there were so far.
    """

    def __init__(self, target: str, plan: Callable[[int], Cut]) -> None:
        self.address = ""
        self.target = target
        self.connections = 0
        self._plan = plan
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers: set[asyncio.StreamWriter] = set()

    def stall(self) -> None:
        """Keep every connection open and let nothing more through, until `resume`."""
        self._passing.clear()

    def resume(self) -> None:
        """Let through what was held, and what comes."""
        self._passing.set()

    def cut(self) -> None:
        """Cut every connection now."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        self.connections += 1
        cut = self._plan(self.connections)
        target = urlsplit(self.target)
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(target.hostname, target.port)
        except OSError:  # the server is away: the client is to see that too
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(back)
        ways = [
            asyncio.create_task(self._pass(there, writer, cut.from_server)),
            asyncio.create_task(self._pass(reader, back, cut.from_client)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, back):
                self._writers.discard(end)
                end.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None
    ) -> None:
        # So that `drain` waits for all of it: what is written is to arrive before the end does.
        writer.transport.set_write_buffer_limits(high=0)
        with contextlib.suppress(ConnectionError):
            while left != 0 and (data := await reader.read(_CHUNK)):
                await self._passing.wait()
                if left is not None:
                    data = data[:left]
                    left -= len(data)
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def cutting_proxy(
    target: str, plan: Callable[[int], Cut] = lambda number: Cut()
) -> AsyncIterator[CuttingProxy]:
    """A proxy on a free port of this machine.

    Args:
        target: The server's address, such as ``ws://127.0.0.1:8765``.
        plan: How much passes, by the connection's number, from 1.
    """
    proxy = CuttingProxy(target, plan)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()
    proxy.address = f"ws://{host}:{port}"
    try:
        yield proxy
    finally:
        listener.close()
        proxy.cut()
        proxy.resume()
