"""One connection to the server, from the TCP handshake through the login to its end.

Every wait has a bound: opening, login and closing of their own, all others by the keepalive pings.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websockets_connect
from websockets.exceptions import ConnectionClosed, InvalidProxy

from passivbot_ws_plugin.errors import WebSocketPluginError
from passivbot_ws_plugin.rate import TokenBucket, cost

from .errors import ClientError, RequestError
from .incoming import Failure, Incoming, UnusableError, answered_id, decode
from .login import Login, RefusedError
from .target import Target

#: What the server may send at once: a config is the largest.
MESSAGE_MAX_BYTES: Final = 16_777_216

#: How long the other end may take to let itself be closed, seconds.
CLOSE_S: Final = 2.0

#: A little less than a server allows by default: what is more counts as bad there, and ends in 4400.
REQUESTS_PER_S: Final = 4.0
REQUESTS_BURST: Final = 16

# The library logs every frame at DEBUG, and one of them is the login.
_library_log = logging.getLogger("passivbot_ws_plugin.client.websockets")
_library_log.setLevel(logging.CRITICAL)


class LostError(WebSocketPluginError):
    """The connection ended before an answer came."""


class _Opening(websockets_connect):
    """The library's, without redirects: the credentials are for the address that the user gave."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Connection:
    """A connection: requests with their answers, and whatever else the server says."""

    def __init__(self, websocket: ClientConnection) -> None:
        loop = asyncio.get_running_loop()
        self._websocket = websocket
        self._rate = TokenBucket(REQUESTS_PER_S, REQUESTS_BURST, loop.time)
        self._turn = asyncio.Lock()
        self._numbers = count(1)
        self._answers: dict[str | int | None, asyncio.Future[Incoming]] = {}
        self._is_over = False

    async def log_in(self, login: Login, timeout_s: float) -> None:
        """Log in.

        Raises:
            RefusedError: The server said no.
            ServerNotProvenError: The other end did not prove itself.
            TimeoutError: It took too long.
            ConnectionClosed: It ended meanwhile.
        """
        try:
            async with asyncio.timeout(timeout_s):
                frame = next(login)
                while True:
                    await self._websocket.send(frame, text=True)
                    frame = login.send(await self._websocket.recv())
        except StopIteration:
            return
        except RefusedError as refusal:
            with contextlib.suppress(TimeoutError):  # what it closes with says whether to come back
                async with asyncio.timeout(CLOSE_S):
                    await self._websocket.wait_closed()
            refusal.code = self._websocket.close_code
            raise
        except TimeoutError:
            raise TimeoutError(f"no answer to the login within {timeout_s:g} s") from None

    async def send(self, *requests: Mapping[str, Any]) -> None:
        """Send requests in this order, each as soon as the server is to take one more."""
        for request in requests:
            frame = msgspec.json.encode(request)
            async with self._turn:
                while not self._rate.take(cost(frame)):  # noqa: ASYNC110  time is all that it waits for
                    await asyncio.sleep(1 / REQUESTS_PER_S)
                await self._websocket.send(frame, text=True)

    async def receive(self) -> Incoming | None:
        """The next message; None: one that is not known here, or that a request was waiting for.

        Raises:
            UnusableError: It is none.
            ConnectionClosed: The connection ended.
        """
        frame = await self._websocket.recv()
        if isinstance(frame, bytes):  # of a text frame the library has seen that it is UTF-8
            raise UnusableError("the server sent a binary frame")
        message = decode(frame)
        if message is None:
            return None
        answer = self._answers.get(answered_id(message))
        if answer is None:
            return message
        if not answer.done():
            answer.set_result(message)
        return None

    async def ask(self, request: Mapping[str, Any]) -> Incoming:
        """The answer to a request.

        Raises:
            RequestError: It is an ``error``.
            LostError: The connection ended before it came.
        """
        number = next(self._numbers)
        answer: asyncio.Future[Incoming] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            if self._is_over:
                raise LostError
            # Where it is closed, whoever receives finds out, and ends the wait.
            with contextlib.suppress(ConnectionClosed):
                await self.send({**request, "id": number})
            message = await answer
        finally:
            del self._answers[number]
        if isinstance(message, Failure):
            raise RequestError(message.code, message.message)
        return message

    def give_up(self) -> None:
        """No answer comes any more."""
        self._is_over = True
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(LostError())


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Connection]:
    """A connection to the server, closed at the end.

    Raises:
        OSError: Nobody answers, or not in time.
        WebSocketException: Or not as a WebSocket server does.
        ClientError: The proxy's kind needs a package that is not there.
    """
    timing = target.timing
    opening = _Opening(
        target.url,
        ssl=target.tls or True if target.is_encrypted else None,
        proxy=None if target.is_loopback else target.proxy,
        compression=None,
        open_timeout=timing.open_s,
        ping_interval=timing.ping_interval_s,
        ping_timeout=timing.ping_timeout_s,
        close_timeout=CLOSE_S,
        max_size=MESSAGE_MAX_BYTES,
        logger=_library_log,
    )
    try:
        websocket = await opening
    except ImportError:
        raise ClientError(
            "a SOCKS proxy needs a package more: pip install 'python-socks[asyncio]', or pass proxy=None"
        ) from None
    except ValueError as exc:
        if isinstance(exc, OSError):  # a certificate's is both
            raise
        raise InvalidProxy("", "") from None  # the address was looked at before
    connection = Connection(websocket)
    try:
        yield connection
    finally:
        connection.give_up()
        try:
            # The library's close first waits, without a bound, for what is unsent.
            async with asyncio.timeout(CLOSE_S):
                await websocket.close()
        except TimeoutError:
            websocket.transport.abort()
