"""A server on a free port of this machine, and clients of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from passivbot_ws_plugin.audit import Audit
from passivbot_ws_plugin.auth import make_token
from passivbot_ws_plugin.cache import Cache
from passivbot_ws_plugin.server import Server
from passivbot_ws_plugin.settings import Settings, parse_settings

PASSWORD = "a password of some length"
KEY = "client_A_key"


def make_settings(password: str = PASSWORD, **options: Any) -> Settings:
    return parse_settings(
        {
            "live": {
                "websocket_port": 0,
                "websocket_password": password,
                "websocket_public_key_part": KEY,
            },
            "plugins": {"websocket": options},
        }
    )


@asynccontextmanager
async def serving(cache: Cache | None = None, **options: Any) -> AsyncIterator[tuple[Server, str]]:
    server = Server(make_settings(**options), cache or Cache(), Audit())
    address = await server.start()
    try:
        yield server, address
    finally:
        await server.stop(5.0)


def auth_message(password: str = PASSWORD, key: str = KEY) -> str:
    return json.dumps({"type": "auth", "token": make_token(password, key), "public_key_part": key})


async def receive(connection: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(10):
        message: dict[str, Any] = json.loads(await connection.recv())
    return message


@asynccontextmanager
async def logged_in(address: str, password: str = PASSWORD) -> AsyncIterator[ClientConnection]:
    async with connect(address) as connection:
        await connection.send(auth_message(password))
        result = await receive(connection)
        assert result["success"], result
        yield connection


async def closed(connection: ClientConnection) -> tuple[int | None, str | None]:
    """Wait until the connection is closed; the code and the reason that the server gave."""
    async with asyncio.timeout(10):
        await connection.wait_closed()
    return connection.close_code, connection.close_reason
