"""Clients that wait: of a server in another process, or on another thread."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import pytest
import schemas
from processes import Process
from servers import PASSWORD, auth_message
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as websockets_connect

#: What the server may take for one message; seconds.
RECEIVE_S: Final = 10.0

#: Whatever proxy the environment names, these servers are on this machine.
connect: Final = partial(websockets_connect, proxy=None)


def address_of(process: Process) -> str:
    """The address that a process says it listens on next."""
    return process.wait_for(r"event=server\.listening address=(\S+)")[0][1]


@contextmanager
def log_in(address: str | None, password: str = PASSWORD) -> Iterator[ClientConnection]:
    assert address is not None
    with connect(address) as client:
        client.send(auth_message(password))
        result = receive(client)
        assert result["success"], result
        yield client


def receive(client: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(client.recv(RECEIVE_S))
    schemas.check(message)
    return message


def receive_statistics(client: ClientConnection) -> dict[str, Any]:
    """The next message, which is of statistics; the login may have overtaken the first of them."""
    message = receive(client)
    if message["type"] == "error":
        assert message["code"] == "unavailable"
        message = receive(client)
    assert message["type"] == "statistics"
    return message


def close_code(client: ClientConnection) -> int:
    """The code that the server closes the connection with, as the next thing it does."""
    with pytest.raises(ConnectionClosed) as caught:
        client.recv(RECEIVE_S)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code
