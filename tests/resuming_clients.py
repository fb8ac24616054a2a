"""The Python client and the JavaScript module, followed side by side: what each was told, and how."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import pytest
import schemas
from js_watcher import watching
from processes import WAIT_S
from servers import KEY, PASSWORD

from passivbot_ws_plugin.client import EventUpdate, GapUpdate, StatisticsUpdate, Timing, connect
from passivbot_ws_plugin.client import connection as client_connection
from passivbot_ws_plugin.client.incoming import Incoming, decode
from passivbot_ws_plugin.messages import StatisticsDelta, StatisticsMessage

#: Both find a stall out within some two seconds, and come back soon.
TIMING: Final = Timing(
    open_s=2.0, login_s=2.0, ping_interval_s=0.2, ping_timeout_s=1.0, retry_first_s=0.02, retry_max_s=0.05
)
JS_TIMING: Final[dict[str, Any]] = {
    "keepaliveMs": 200, "timeoutMs": 1_000, "retry": {"baseMs": 20, "maxMs": 50, "laterMs": 50},
}  # fmt: skip


class Account:
    """What one client was told.

    Attributes:
        states: Of each bot the epoch, the number and the data.
        events: By bot and epoch, in order: number and data.
        gaps: Those events that it was told to be lost.
        wholes: How many states came whole over the wire, by bot and epoch.
        deltas: How many did not.
    """

    def __init__(self) -> None:
        self.states: dict[str, tuple[str, int, Any]] = {}
        self.events: dict[str, dict[str, list[tuple[int, Any]]]] = {}
        self.gaps: list[dict[str, Any]] = []
        self.wholes: Counter[tuple[str, str]] = Counter()
        self.deltas = 0
        self._changed = asyncio.Event()

    def put_state(self, bot: str, epoch: str, seq: int, data: Any) -> None:
        held_epoch, held_seq, _ = self.states.get(bot, (None, 0, None))
        assert held_epoch != epoch or held_seq < seq, f"{bot}: state {seq} after {held_seq}"
        self.states[bot] = epoch, seq, data
        self._changed.set()

    def put_event(self, bot: str, epoch: str, seq: int, data: Any) -> None:
        self.events.setdefault(bot, {}).setdefault(epoch, []).append((seq, data))
        self._changed.set()

    async def until(self, is_right: Callable[[], bool]) -> None:
        """Wait until what it was told is as a test wants it."""
        async with asyncio.timeout(WAIT_S):
            while not is_right():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def python_client(url: str) -> AsyncIterator[Account]:
    """The Python client of states as deltas, and of events."""
    account = Account()

    def count(frame: str | bytes) -> Incoming | None:
        schemas.check(json.loads(frame))
        message = decode(frame)
        if isinstance(message, StatisticsMessage):
            account.wholes[message.bot, message.epoch] += 1
        account.deltas += isinstance(message, StatisticsDelta)
        return message

    async def follow() -> None:
        client = connect(
            url, key=KEY, password=PASSWORD, subscriptions=["statistics", "events"], timing=TIMING
        )
        async with client:
            async for update in client:
                match update:
                    case StatisticsUpdate(bot, epoch, seq, data):
                        account.put_state(bot, epoch, seq, msgspec.to_builtins(data))
                    case EventUpdate(bot, epoch, seq, data):
                        account.put_event(bot, epoch, seq, msgspec.to_builtins(data))
                    case GapUpdate(bot, epoch, first, last):
                        account.gaps.append({"bot": bot, "epoch": epoch, "first": first, "last": last})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_connection, "decode", count)
        async with _meanwhile(follow()):
            yield account


@asynccontextmanager
async def js_client(url: str) -> AsyncIterator[Account]:
    """The JavaScript module in Node, of the same."""
    account = Account()
    async with watching(url, "statistics", "events", **JS_TIMING) as watcher:

        async def follow() -> None:
            while True:
                match await watcher.next():
                    case ["statistics", data, {"bot": bot, "epoch": epoch, "seq": seq}]:
                        account.put_state(bot, epoch, seq, data)
                    case ["event", data, {"bot": bot, "epoch": epoch, "seq": seq}]:
                        account.put_event(bot, epoch, seq, data)
                    case ["gap", gap]:
                        account.gaps.append(gap)
                    case ["error", what] | ["state", {"state": "ended"} as what]:
                        raise AssertionError(what)
                for message in map(json.loads, watcher.received):
                    schemas.check(message)
                    if message["type"] == "statistics":
                        account.wholes[message["bot"], message["epoch"]] += 1
                    account.deltas += message["type"] == "statistics_delta"
                watcher.received.clear()

        async with _meanwhile(follow()):
            yield account


@asynccontextmanager
async def _meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """What it fails with fails whoever waits here."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        yield
        task.cancel()
