"""Configs, a server on a free port of this machine, and asyncio clients of it."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import schemas
from monitor_files import replace
from scramp import ScramClient
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websockets_connect

from passivbot_ws_plugin import WebSocketPlugin
from passivbot_ws_plugin.access.auth import make_token
from passivbot_ws_plugin.access.scram import MECHANISM
from passivbot_ws_plugin.audit import Audit
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.server.connection import Connection
from passivbot_ws_plugin.server.server import Server
from passivbot_ws_plugin.settings.parsing import Settings, parse_settings

PASSWORD: Final = "a password of some length"
KEY: Final = "client_A_key"

#: Whatever proxy the environment names, these servers are on this machine.
connect: Final = partial(websockets_connect, proxy=None)


def make_config(plugins: Mapping[str, Any] | None = None, **live: Any) -> dict[str, Any]:
    """A bot's config that has a server on any free port."""
    defaults = {
        "user": "main",
        "websocket_port": 0,
        "websocket_password": PASSWORD,
        "websocket_public_key_part": KEY,
    }
    return {
        "live": {**defaults, **live},
        "bot": {"long": {"n_positions": 3}},
        "plugins": {} if plugins is None else plugins,
    }


def write_config(path: Path, plugins: Mapping[str, Any] | None = None, **live: Any) -> Path:
    replace(path, json.dumps(make_config(plugins, **live)).encode())
    return path


def loaded_config(*, port: int = 0, password: str | None = PASSWORD, **options: Any) -> dict[str, Any]:
    """A config with options of the plugin, as the hook is told it: with what its loader adds."""
    document = make_config({"websocket": options}, websocket_port=port, websocket_password=password)
    return {**document, "_raw": {"live": {"websocket_password": "raw"}}}


def wait_until(condition: Callable[[], object], plugin: WebSocketPlugin) -> None:
    """Wait for something of a plugin whose server does not listen."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        assert plugin.wait_listening(0.01) is None


def make_settings(password: str = PASSWORD, **options: Any) -> Settings:
    return parse_settings(make_config({"websocket": options}, websocket_password=password))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def serving(cache: Cache | None = None, **options: Any) -> AsyncIterator[tuple[Server, str]]:
    server = Server(make_settings(**options), cache or Cache(), Audit())
    address = await server.start()
    try:
        yield server, address
    finally:
        await server.stop(5.0)


def connection_of(server: Server) -> Connection:
    """The only connection that it has."""
    [connection] = server._door.connections
    assert isinstance(connection, Connection)
    return connection


def auth_message(password: str = PASSWORD, key: str = KEY) -> str:
    return json.dumps({"type": "auth", "token": make_token(password, key), "public_key_part": key})


async def receive(connection: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(10):
        message: dict[str, Any] = json.loads(await connection.recv())
    schemas.check(message)
    return message


@asynccontextmanager
async def logged_in(
    address: str, password: str = PASSWORD, **options: Any
) -> AsyncIterator[ClientConnection]:
    async with connect(address, **options) as connection:
        await connection.send(auth_message(password))
        result = await receive(connection)
        assert result["success"], result
        yield connection


async def closed(connection: ClientConnection) -> tuple[int | None, str | None]:
    """Wait until the connection is closed; the code and the reason that the server gave."""
    async with asyncio.timeout(10):
        await connection.wait_closed()
    return connection.close_code, connection.close_reason


async def scram(address: str, password: str = PASSWORD, **options: Any) -> dict[str, Any]:
    """A SCRAM login; the answer, after the server's own proof was checked."""
    client = ScramClient([MECHANISM], KEY, password)
    async with connect(address, **options) as connection:
        hello = {"type": "hello", "mechanism": MECHANISM, "data": client.get_client_first()}
        await connection.send(json.dumps(hello))
        client.set_server_first((await receive(connection))["data"])
        await connection.send(json.dumps({"type": "auth", "data": client.get_client_final()}))
        answer = await receive(connection)
        if answer["success"]:
            client.set_server_final(answer["data"])
            assert (await receive(connection))["type"] == "statistics"
        else:
            assert (await closed(connection))[0] == 4401
        return answer
