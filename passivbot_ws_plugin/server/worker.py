"""A thread with its own event loop, and the server on it.

Other threads only leave things in the inbox and wake the loop; everything else here runs
on the loop. The inbox holds the latest config and statistics of each bot, and so many events at
most, so it cannot grow.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.log import get_logger
from passivbot_ws_plugin.messages import EventData, StatisticsData
from passivbot_ws_plugin.settings.parsing import Settings

from .event_loop import new_event_loop
from .loop_errors import LoopErrors
from .serving import Serving

#: What starting the thread may take, seconds.
_START_S: Final = 5.0

#: How many events may wait for the loop; of more, the oldest are lost, which their numbers show.
EVENTS_MAX: Final = 4096

#: How long is published at once, seconds: hundreds of bots to hundreds of clients are many times that.
_TURN_S: Final = 0.005

_log = get_logger(__name__)


@dataclass(slots=True)
class _Inbox:
    configs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    statistics: dict[str, StatisticsData] = field(default_factory=dict)
    events: deque[tuple[str, int, EventData]] = field(default_factory=lambda: deque(maxlen=EVENTS_MAX))
    settings: list[Settings | None] = field(default_factory=list)  # the latest, or nothing new
    is_stopping: bool = False


class Worker:
    """Runs the server on a thread of its own.

    Every public method may be called from any thread, and none of them waits, but for
    `start` and `stop`, which have bounds.

    Args:
        on_address: Told on the worker's thread the server's address when it listens, such as
            ``ws://127.0.0.1:8765``, and None when it does not.
    """

    def __init__(self, on_address: Callable[[str | None], None] = lambda address: None) -> None:
        self._on_address = on_address
        self._cache = Cache()
        # Guards the two below, for dictionary operations only.
        self._lock = threading.Lock()
        self._inbox = _Inbox()
        self._is_awake = False
        self._ready: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=self._run, name="websocket-worker", daemon=True)

    def start(self) -> None:
        """Start the thread and wait until its loop runs.

        Raises:
            TimeoutError: It does not.
        """
        self._thread.start()
        self._ready.result(_START_S)

    def configure(self, settings: Settings | None) -> None:
        """Serve with these settings from now on; None: do not serve."""
        with self._lock:
            self._inbox.settings = [settings]
        self._wake()

    def put_config(self, bot: str, config: Mapping[str, Any]) -> None:
        """Have a bot's config handed out from now on."""
        with self._lock:
            self._inbox.configs[bot] = config
        self._wake()

    def put_statistics(self, bot: str, data: StatisticsData) -> None:
        """Have a bot's statistics broadcast, if they changed. Only the latest wait."""
        with self._lock:
            self._inbox.statistics[bot] = data
        self._wake()

    def put_event(self, bot: str, seq: int, data: EventData) -> None:
        """Have a bot's event told to who wants it."""
        with self._lock:
            self._inbox.events.append((bot, seq, data))
        self._wake()

    def stop(self, timeout_s: float) -> bool:
        """Stop the server and the thread; False if that took longer."""
        with self._lock:
            self._inbox.is_stopping = True
        self._wake()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _wake(self) -> None:
        """Have the loop empty the inbox. One call waits at most, whatever is put in meanwhile."""
        with self._lock:
            if self._is_awake:
                return
            self._is_awake = True
        try:
            self._ready.result(_START_S).call_soon_threadsafe(self._changed.set)
        except RuntimeError:  # the loop closed between the lock and here: nobody is left to tell
            return

    def _take(self) -> _Inbox:
        with self._lock:
            self._is_awake = False
            taken = self._inbox
            self._inbox = _Inbox(is_stopping=taken.is_stopping)
            return taken

    # --- on the loop ------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._main())
        except Exception:  # noqa: BLE001  the thread's last frame: what is not logged here is lost
            _log.exception("worker.crashed")

    async def _main(self) -> None:
        asyncio.get_running_loop().set_exception_handler(LoopErrors())
        self._changed = asyncio.Event()
        serving, task = self._serve()
        self._ready.set_result(asyncio.get_running_loop())
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                if task.done():  # a bug: said, and the next settings have another chance
                    _log.error("serving.crashed", exc_info=task.exception())
                    serving, task = self._serve()
                inbox = self._take()
                await self._deliver(inbox, serving)
                if inbox.is_stopping:
                    return
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _serve(self) -> tuple[Serving, asyncio.Task[None]]:
        serving = Serving(self._cache, self._on_address)
        task = asyncio.create_task(serving.run(), name="serving")
        task.add_done_callback(lambda _: self._changed.set())
        return serving, task

    async def _deliver(self, inbox: _Inbox, serving: Serving) -> None:
        if inbox.settings:  # before the configs: a new secret is not for who is revoked with it
            with _going_on("settings"):
                serving.configure(inbox.settings[-1])
        turns = _Turns()
        for bot, config in inbox.configs.items():
            with _going_on("config", bot):
                if self._cache.put_config(bot, config):
                    serving.publish("config", bot)
            await turns.next()
        for bot, seq, event in inbox.events:
            with _going_on("event", bot):
                if self._cache.put_event(bot, seq, event):
                    serving.publish("events", bot)
            await turns.next()
        for bot, data in inbox.statistics.items():
            with _going_on("statistics", bot):
                if self._cache.put_statistics(bot, data):
                    serving.publish("statistics", bot)
            await turns.next()


class _Turns:
    """Long work in short pieces, between which the loop does everything else."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._until = self._clock() + _TURN_S

    async def next(self) -> None:
        """Let the others have their turn, if this one was long enough."""
        if self._clock() >= self._until:
            await asyncio.sleep(0)
            self._until = self._clock() + _TURN_S


@contextmanager
def _going_on(what: str, bot: str | None = None) -> Iterator[None]:
    """A bug with one thing is said, and is not to be the end of all others."""
    try:
        yield
    except Exception:  # noqa: BLE001
        _log.exception("worker.failed", what=what, bot=bot)
