"""Where the server is while it is being moved."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from raw import raw
from servers import auth_message, make_config

from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.server.arrival import CLOSE_TIMEOUT_S
from passivbot_ws_plugin.server.serving import Serving
from passivbot_ws_plugin.settings.parsing import Settings, parse_settings


def settings_at(host: str, **limits: float) -> Settings:
    return parse_settings(make_config({"websocket": {"limits": limits}}, websocket_host=host))


@asynccontextmanager
async def running(on_address: Callable[[str | None], None]) -> AsyncIterator[Serving]:
    serving = Serving(Cache(), on_address)
    task = asyncio.create_task(serving.run())
    try:
        async with asyncio.timeout(10):
            yield serving
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_settings_that_are_old_when_a_server_has_stopped_are_not_served() -> None:
    """It moves, and while it stops for that it is to be elsewhere again."""
    addresses: asyncio.Queue[str | None] = asyncio.Queue()

    def on_address(address: str | None) -> None:
        if address is None:  # it is about to stop
            serving.configure(settings_at("127.0.0.3"))
        addresses.put_nowait(address and address.rpartition(":")[0])

    async with running(on_address) as serving:
        serving.configure(settings_at("127.0.0.1"))
        assert await addresses.get() == "ws://127.0.0.1"
        serving.configure(settings_at("127.0.0.2"))
        assert await addresses.get() is None
        assert await addresses.get() == "ws://127.0.0.3"


async def test_a_client_that_never_closes_holds_up_a_move_for_no_longer_than_the_limit() -> None:
    addresses: asyncio.Queue[str | None] = asyncio.Queue()
    async with running(addresses.put_nowait) as serving:
        serving.configure(settings_at("127.0.0.1", shutdown_s=0.1))
        address = await addresses.get()
        assert address is not None
        async with raw(address) as client:
            await client.log_in(auth_message())
            loop = asyncio.get_running_loop()
            serving.configure(settings_at("127.0.0.2", shutdown_s=0.1))
            assert await addresses.get() is None
            began_at = loop.time()
            assert await addresses.get() is not None
            assert loop.time() - began_at < CLOSE_TIMEOUT_S / 2
