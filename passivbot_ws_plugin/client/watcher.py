"""The client as people use it: it connects, and again, and hands out what it hears.

A task of its own reads the socket, whether anybody takes the updates or not: so the requests are
answered, the pings too, and the latest state is there when somebody looks. What is not taken is
bounded (`inbox`). Where the events are too many, nothing is read for a while, so that the server sees
a slow client and goes by its own rules; then the client does without events until there is room, and
asks for them from where it stands. What the server no longer has by then shows as a gap.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, NoReturn, Self, TypeVar

import msgspec
from websockets.exceptions import ConnectionClosed, WebSocketException

from passivbot_ws_plugin.messages import BotData, Bots, ConfigMessage, Pong

from .backoff import Backoff
from .connection import Connection, LostError, opened
from .endings import Loss, judge
from .errors import ClosedError, RequestError
from .inbox import Inbox
from .incoming import UnusableError
from .login import SUBSCRIPTIONS_MAX_BYTES, RefusedError, log_in
from .state import Request, State
from .target import Target
from .updates import Config, Connecting, Live, Lost, StatisticsUpdate, Update

_Answer = TypeVar("_Answer", ConfigMessage, Bots, Pong)


class Client:
    """Watches the bots of one server until it is closed. Made by `connect`; for one loop, and one iteration.

    Attributes:
        bots: The latest state of each bot, as far as it was heard, by name. It may be ahead of the updates.
        last_message_at: When the server last said anything, seconds since the epoch; None: never yet. Where
            nothing changes, nothing is said; pings, which are no messages, watch the connection meanwhile.
    """

    def __init__(self, target: Target, state: State, events_max: int) -> None:
        self.bots: Mapping[str, StatisticsUpdate] = MappingProxyType(state.bots)
        self.last_message_at: float | None = None
        self._target = target
        self._state = state
        self._inbox = Inbox(events_max)
        timing = target.timing
        self._backoff = Backoff(timing.retry_first_s, timing.retry_max_s)
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None  # while it is live
        self._settled = asyncio.Event()  # it is live, or over
        self._error: Exception | None = None

    def __repr__(self) -> str:
        how = "live" if self.is_live else "not live"
        return f"<Client of {self._target.url} as {self._target.key!r}, {how}>"

    # --- the life of it ----------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise ClosedError("a client is opened once; call connect() again for another")
        self._task = asyncio.create_task(self._run(), name="passivbot-client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection and the iteration; within some seconds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def __aiter__(self) -> AsyncIterator[Update]:
        """The updates, until it is closed.

        Without ``async with``, the iteration opens the client and closes it at its end.

        Raises:
            ClientError: It makes no sense to go on; see `errors`.
        """
        async with contextlib.AsyncExitStack() as stack:
            if self._task is None:
                await stack.enter_async_context(self)
            while (update := await self._inbox.take()) is not None:
                yield update

    @property
    def is_live(self) -> bool:
        """Whether what is known is the latest. While it is not, what is shown is old."""
        return self._connection is not None

    @property
    def age_s(self) -> float | None:
        """How long ago the server last said anything, seconds; None: never yet."""
        return None if self.last_message_at is None else max(0.0, time.time() - self.last_message_at)

    def is_current(self, bot: str) -> bool:
        """Whether what is known of a bot is the latest: live, and of this run of the server.

        After a restart of the server, a bot that it does not know of again stays among `bots` as it was.
        """
        return self.is_live and bot in self.bots and self.bots[bot].epoch == self._state.epoch

    # --- requests ----------------------------------------------------------------------

    async def get_config(self, bot: str | None = None, *, timeout_s: float = 10.0) -> Config:
        """A bot's config, as this key may see it; without a name, that of the first bot that has one.

        Args:
            bot: The bot's name.
            timeout_s: For the answer, and before that for the connection where there is none.

        Raises:
            RequestError: The server refuses it (``forbidden``), has none (``unavailable``), or sent what is
                none (``internal``).
            TimeoutError: No answer in time.
            ClientError: The client is closed, or ended.
            ValueError: The name holds half a surrogate pair.
        """
        request = {"type": "get_config"} if bot is None else {"type": "get_config", "bot": bot}
        answer = await self._ask(request, ConfigMessage, timeout_s)
        try:
            data = msgspec.json.decode(answer.data, type=dict[str, Any])
        except (msgspec.ValidationError, RecursionError) as exc:
            raise RequestError(
                "internal", "the server sent a config that is none, or nests too deep"
            ) from exc
        return Config(answer.bot, answer.hash, data)

    async def list_bots(self, *, timeout_s: float = 10.0) -> list[BotData]:
        """The bots of the server, and how each is; raises as `get_config` does."""
        return (await self._ask({"type": "list_bots"}, Bots, timeout_s)).data

    async def ping(self, *, timeout_s: float = 10.0) -> None:
        """Wait until the server has answered; raises as `get_config` does."""
        await self._ask({"type": "ping"}, Pong, timeout_s)

    async def _ask(self, request: Mapping[str, Any], kind: type[_Answer], timeout_s: float) -> _Answer:
        if self._task is None:
            raise ClosedError("the client is not open: async with connect(...) as client")
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    # None of the requests changes anything: one whose answer is lost is asked again.
                    with contextlib.suppress(LostError):
                        answer = await (await self._live()).ask(request)
                        break
        except TimeoutError:
            why = "" if self.is_live else "; the client is not connected"
            raise TimeoutError(f"no answer to {request['type']} within {timeout_s:g} s{why}") from None
        if not isinstance(answer, kind):
            raise RequestError("internal", f"the server answered {request['type']} with something else")
        return answer

    async def _live(self) -> Connection:
        await self._settled.wait()
        if self._connection is None:
            raise self._error or ClosedError("the client is closed")
        return self._connection

    # --- the task ----------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._keep_connected()
        except Exception as exc:  # noqa: BLE001  what ends it, a bug too, is raised where it is used
            self._error = exc
        finally:
            self._settled.set()
            self._inbox.end(self._error)

    async def _keep_connected(self) -> None:
        attempt = 0
        while True:
            attempt += 1
            self._inbox.put(Connecting(attempt))
            loss, live_s = await self._connect()
            if live_s > 0:
                attempt = 0
            if live_s >= self._target.timing.stable_s:
                self._backoff.reset()
            pause_s = self._backoff.pause_s(loss.not_before_s)
            self._inbox.put(Lost(loss.reason, loss.code, pause_s))
            await asyncio.sleep(pause_s)

    async def _connect(self) -> tuple[Loss, float]:
        """Be connected once, from the first packet to the last; why it ended, and how long it was live."""
        clock = asyncio.get_running_loop().time
        live_since: float | None = None
        try:
            async with opened(self._target) as connection:
                requests = await self._log_in(connection)
                live_since = clock()
                try:
                    self._connection = connection
                    self._settled.set()
                    self._inbox.put(Live())
                    await connection.send(*requests)
                    await self._listen(connection)
                finally:
                    # Before its end fails what is asked for: that is asked again of the next one.
                    self._connection = None
                    self._settled.clear()
        except (OSError, WebSocketException, RefusedError, UnusableError) as exc:
            return judge(exc), 0.0 if live_since is None else clock() - live_since
        raise AssertionError("listening ends with an exception")

    async def _log_in(self, connection: Connection) -> list[Request]:
        """Log in; the subscriptions that are to be asked for right after it."""
        target, requests = self._target, self._state.begin()
        # Before the login a message may have 8 KiB; where many bots do not fit, they follow it.
        is_small = len(msgspec.json.encode(requests)) <= SUBSCRIPTIONS_MAX_BYTES
        login = log_in(target.method, target.key, target.password, requests if is_small else ())
        await connection.log_in(login, target.timing.login_s)
        return [] if is_small else requests

    async def _listen(self, connection: Connection) -> NoReturn:
        resuming: asyncio.Task[None] | None = None
        if self._state.are_events_paused:
            resuming = asyncio.create_task(self._resume_events(connection))
        try:
            while True:
                message = await connection.receive()
                self.last_message_at = time.time()
                if message is None:
                    continue
                update, requests = self._state.receive(message)
                if update is not None:
                    self._inbox.put(update)
                await connection.send(*requests)
                if not self._inbox.room.is_set() and not self._state.are_events_paused:
                    resuming = await self._make_room(connection) or resuming
        finally:
            if resuming is not None:
                resuming.cancel()

    async def _make_room(self, connection: Connection) -> asyncio.Task[None] | None:
        """Read nothing until there is room for events; if that takes too long, do without them until then."""
        try:
            async with asyncio.timeout(self._target.timing.patience_s):
                await self._inbox.room.wait()
            return None
        except TimeoutError:
            await connection.send(*self._state.pause_events())
            return asyncio.create_task(self._resume_events(connection))

    async def _resume_events(self, connection: Connection) -> None:
        await self._inbox.room.wait()
        with contextlib.suppress(ConnectionClosed):  # who listens finds out
            await connection.send(*self._state.resume_events())
