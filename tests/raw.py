"""A small raw WebSocket client: it sends whatever bytes a test wants, and reads what comes.

Not the library that the server uses: a shared misunderstanding would not show.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import schemas

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

#: For anything that a server has to say, seconds.
WAIT_S: Final = 15.0


@dataclass(frozen=True)
class RawFrame:
    """A frame as it came."""

    opcode: int
    payload: bytes
    fin: bool = True

    @property
    def close_code(self) -> int | None:
        """The code of a close frame; None if it has none."""
        return struct.unpack("!H", self.payload[:2])[0] if len(self.payload) >= 2 else None

    def json(self) -> Any:
        """The message of a text frame, which must be as the contract says."""
        assert self.opcode == TEXT, self
        return schemas.check(json.loads(self.payload))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    masked: bool = True,
    rsv: int = 0,
    length: int | None = None,
) -> bytes:
    """The bytes of a frame; ``length`` lies about the payload's."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    size = len(payload) if length is None else length
    mask_bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 65_536:
        head += bytes([mask_bit | 126]) + struct.pack("!H", size)
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def text(document: object) -> bytes:
    """A text frame of a JSON document, or of a text as it is."""
    raw = document if isinstance(document, str) else json.dumps(document)
    return frame(TEXT, raw.encode("utf-8", "surrogatepass"))


def handshake(host: str, *, path: str = "/", extra: str = "", version: str = "13") -> bytes:
    """An opening handshake; ``extra`` are further header lines, each ending in CRLF."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {version}\r\n{extra}\r\n"
    ).encode("utf-8", "surrogateescape")


class RawClient:
    """One TCP connection, or a TLS one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes, as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def response(self) -> tuple[int, dict[str, str]]:
        """The status and the headers of an HTTP response; 0 if the server closed without one."""
        async with asyncio.timeout(WAIT_S):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return 0, {}
        status, *lines = head.decode("latin-1").split("\r\n")
        assert status.startswith("HTTP/1.1 "), status
        headers = dict(line.split(": ", 1) for line in lines if line)
        return int(status.split(" ")[1]), {name.lower(): value for name, value in headers.items()}

    async def upgrade(self, **options: str) -> int:
        """Do the opening handshake; the response's status."""
        host, port = self.writer.get_extra_info("peername")[:2]
        await self.send(handshake(f"{host}:{port}", **options))
        return (await self.response())[0]

    async def frame(self) -> RawFrame:
        """The next frame, whatever it is.

        Raises:
            EOFError: The connection ended.
        """
        async with asyncio.timeout(WAIT_S):
            try:
                first, second = await self.reader.readexactly(2)
                assert not second & 0x80, "a server must not mask"
                size = second & 0x7F
                if size == 126:
                    size = struct.unpack("!H", await self.reader.readexactly(2))[0]
                elif size == 127:
                    size = struct.unpack("!Q", await self.reader.readexactly(8))[0]
                payload = await self.reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError) as exc:
                raise EOFError from exc
        return RawFrame(first & 0xF, payload, bool(first & 0x80))

    async def message(self) -> Any:
        """The next text frame's JSON; pings are passed over."""
        while True:
            received = await self.frame()
            if received.opcode != PING:
                return received.json()

    async def closing(self) -> tuple[list[RawFrame], int | None]:
        """Read to the end; the frames before the close frame, and its code (None: there was none)."""
        frames: list[RawFrame] = []
        while True:
            try:
                received = await self.frame()
            except EOFError:
                return frames, None
            if received.opcode == CLOSE:
                return frames, received.close_code
            frames.append(received)

    async def ended(self) -> None:
        """Wait until the server closed the TCP connection, whatever it still sends."""
        async with asyncio.timeout(WAIT_S):
            try:
                while await self.reader.read(65_536):
                    pass
            except ConnectionError:
                return

    async def log_in(self, message: str) -> Any:
        """Handshake and login; the answer."""
        assert await self.upgrade() == 101
        await self.send(text(message))
        return await self.message()

    def pause_reading(self) -> None:
        """Read no more; what the server sends fills the buffers between."""
        cast("asyncio.Transport", self.writer.transport).pause_reading()

    async def wait_lost(self, stop: asyncio.Event) -> None:
        """Without reading, wait until the server ended it, found by writing, or until told to stop."""
        while not stop.is_set():
            await self.send(frame(PONG))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await stop.wait()

    async def rest(self) -> bytes:
        """All that comes until the server ends it."""
        received = b""
        async with asyncio.timeout(WAIT_S):
            with contextlib.suppress(ConnectionError):
                while data := await self.reader.read(65_536):
                    received += data
        return received

    @property
    def port(self) -> int:
        """Its own."""
        return int(self.writer.get_extra_info("sockname")[1])

    async def trickle(self, data: bytes, pause_s: float, *, is_answered: bool = False) -> int:
        """Send a byte at a time until the server ends it; how many it took.

        Args:
            data: The bytes.
            pause_s: Between two of them.
            is_answered: Whether the server may say something at its end.
        """
        for sent, byte in enumerate(data):
            try:
                async with asyncio.timeout(pause_s):
                    said = await self.reader.read(1)
                assert is_answered or not said, "an answer to half a message"
                return sent
            except TimeoutError:
                self.writer.write(bytes([byte]))
            except ConnectionError:
                return sent
        return len(data)

    def abort(self) -> None:
        """End it at once, whatever is unsent."""
        self.writer.transport.abort()

    async def close(self) -> None:
        """End it at once, and wait until its descriptor is free."""
        self.abort()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def shut_down_sending(self) -> None:
        """Send no more, below TLS if there is any: a FIN and no word before it."""
        # Again, because a transport's own socket may refuse to be shut down past it.
        with socket.socket(fileno=os.dup(self.writer.get_extra_info("socket").fileno())) as again:
            again.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End it with a TCP reset."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def open_raw(
    address: str,
    *,
    tls: ssl.SSLContext | None = None,
    source: str | None = None,
    receive_buffer: int | None = None,
) -> RawClient:
    """Connect to a server's address, such as ``ws://127.0.0.1:8765``.

    Args:
        address: The server's.
        tls: For ``wss://``.
        source: The address to connect from; on Linux all of 127.0.0.0/8 is this machine.
        receive_buffer: What the kernel keeps of what is not read, bytes; for clients that do not
            read. Nothing is read then but what is asked for.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    sock = socket.socket(socket.AF_INET6 if host.startswith("[") else socket.AF_INET)
    try:
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source is not None:
            sock.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(sock, (host.strip("[]"), int(port)))
        reader, writer = await asyncio.open_connection(
            sock=sock,
            ssl=tls,
            server_hostname=None if tls is None else host.strip("[]"),
            limit=2**24 if receive_buffer is None else receive_buffer,
        )
    except BaseException:
        sock.close()
        raise
    return RawClient(reader, writer)


@asynccontextmanager
async def raw(
    address: str,
    *,
    tls: ssl.SSLContext | None = None,
    source: str | None = None,
    receive_buffer: int | None = None,
) -> AsyncIterator[RawClient]:
    """A raw client of a server's address, which is ended at the end; see `open_raw`."""
    client = await open_raw(address, tls=tls, source=source, receive_buffer=receive_buffer)
    try:
        yield client
    finally:
        client.abort()
