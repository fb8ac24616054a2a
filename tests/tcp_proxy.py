"""A TCP proxy on this machine that does to a connection what networks do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

#: Whose bytes.
Side = Literal["client", "server"]


@dataclass
class TcpProxy:
    """Lets connections through, counts what passes, and cuts or stalls them as it is told.

    Attributes:
        url: Where it listens.
        connections: How many came.
        passed: The bytes that passed from each side.
        cut_after: Cut a connection off after so many bytes of a side; None: never. Asked for each new one.
        is_stalled: Whether nothing passes, though nothing is closed.
    """

    url: str = ""
    connections: int = 0
    passed: dict[Side, int] = field(default_factory=lambda: {"client": 0, "server": 0})
    cut_after: Callable[[], tuple[Side, int] | None] = lambda: None
    is_stalled: bool = False
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Cut every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        cut_after = self.cut_after()
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(back)
        ways = [
            asyncio.create_task(self._pass("client", reader, back, cut_after)),
            asyncio.create_task(self._pass("server", there, writer, cut_after)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
        for end in (writer, back):
            # What was let through arrives; then it is over.
            with contextlib.suppress(OSError):
                end.close()
            self._writers.discard(end)

    async def _pass(
        self,
        side: Side,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        cut_after: tuple[Side, int] | None,
    ) -> None:
        left = cut_after[1] if cut_after is not None and cut_after[0] == side else None
        with contextlib.suppress(OSError):
            while left != 0 and (data := await reader.read(65_536 if left is None else left)):
                if self.is_stalled:
                    await asyncio.Event().wait()
                self.passed[side] += len(data)
                if left is not None:
                    left -= len(data)
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def tcp_proxy(address: str) -> AsyncIterator[TcpProxy]:
    """A proxy before a server.

    Args:
        address: The server's, such as ``ws://127.0.0.1:8765``.
    """
    proxy = TcpProxy()
    port = int(address.rpartition(":")[2])
    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await proxy._serve(port, reader, writer)
        handlers.discard(task)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.url = f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        listener.close()
        proxy.cut()
        for handler in tuple(handlers):
            handler.cancel()
        if handlers:
            await asyncio.wait(tuple(handlers))
