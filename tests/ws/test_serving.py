"""Where the server is while it is being moved."""

from __future__ import annotations

import asyncio
import contextlib

from servers import make_config

from passivbot_ws_plugin.cache import Cache
from passivbot_ws_plugin.serving import Serving
from passivbot_ws_plugin.settings import Settings, parse_settings


def settings_at(host: str) -> Settings:
    return parse_settings(make_config(websocket_host=host))


async def test_settings_that_are_old_when_a_server_has_stopped_are_not_served() -> None:
    """It moves, and while it stops for that it is to be elsewhere again."""
    addresses: asyncio.Queue[str | None] = asyncio.Queue()

    def on_address(address: str | None) -> None:
        if address is None:  # it is about to stop
            serving.configure(settings_at("127.0.0.3"))
        addresses.put_nowait(address and address.rpartition(":")[0])

    serving = Serving(Cache(), on_address)
    serving.configure(settings_at("127.0.0.1"))
    task = asyncio.create_task(serving.run())
    try:
        async with asyncio.timeout(10):
            assert await addresses.get() == "ws://127.0.0.1"
            serving.configure(settings_at("127.0.0.2"))
            assert await addresses.get() is None
            assert await addresses.get() == "ws://127.0.0.3"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
