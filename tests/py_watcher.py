"""The Python client in this process, whose updates are taken one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from servers import KEY, PASSWORD, serving
from tcp_proxy import TcpProxy, tcp_proxy

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.client import Client, EventUpdate, GapUpdate, Live, StatisticsUpdate, Timing, Update
from passivbot_ws_plugin.client import connect as client_connect
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import statistics_data
from passivbot_ws_plugin.server.server import Server

#: For anything that is to come, seconds.
WAIT_S: Final = 20.0
FAST: Final = Timing(retry_first_s=0.01, retry_max_s=0.05)


def connect(address: str, password: str = PASSWORD, **options: Any) -> Client:
    return client_connect(address, key=KEY, password=password, **{"timing": FAST, **options})


class Taker:
    """Takes updates until one is as a test wants it.

    Attributes:
        taken: All so far.
    """

    def __init__(self, client: Client) -> None:
        self._updates = aiter(client)
        self.taken: list[Update] = []

    async def until(self, is_right: Callable[[Update], bool]) -> Update:
        async with asyncio.timeout(WAIT_S):
            while True:
                update = await anext(self._updates)
                self.taken.append(update)
                if is_right(update):
                    return update

    async def a(self, kind: type[Update]) -> Any:
        return await self.until(lambda update: isinstance(update, kind))

    async def balance(self, balance: float) -> StatisticsUpdate:
        def is_right(update: Update) -> bool:
            return isinstance(update, StatisticsUpdate) and update.data.balance == balance

        update = await self.until(is_right)
        assert isinstance(update, StatisticsUpdate)
        return update

    async def event(self, seq: int) -> Update:
        return await self.until(lambda update: isinstance(update, EventUpdate) and update.seq == seq)

    def events(self) -> list[Update]:
        return [update for update in self.taken if isinstance(update, EventUpdate | GapUpdate)]

    def seqs(self) -> list[int | None]:
        """The numbers of all events so far; None for a gap."""
        return [getattr(update, "seq", None) for update in self.events()]

    async def error(self, kind: type[Exception], match: str) -> None:
        async with asyncio.timeout(WAIT_S):
            with pytest.raises(kind, match=match):
                await self.until(lambda _: False)


@asynccontextmanager
async def watching(
    cache: Cache | None = None, limits: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Server, Cache, TcpProxy, Client, Taker]]:
    """A server, a proxy before it, and a client that is live."""
    cache = cache or Cache()
    cache.put_statistics("main", statistics_data(make_statistics()))
    async with serving(cache, limits=limits or {}) as (server, address), tcp_proxy(address) as proxy:
        async with connect(proxy.url, **options) as client:
            taker = Taker(client)
            await taker.a(Live)
            await client.ping()  # by now its subscriptions have begun
            yield server, cache, proxy, client, taker
