"""Clients that wait: of a server in another process, or on another thread."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, Final

import pytest
import schemas
from processes import Process
from servers import KEY, PASSWORD, auth_message
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


class Conversation:
    """A client that asks, and hears what else comes meanwhile.

    Attributes:
        heard: All messages but the answers, in order.
    """

    def __init__(self, client: ClientConnection) -> None:
        self.heard: list[dict[str, Any]] = []
        self._client = client
        self._taken: Counter[str] = Counter()  # by type: what of it `wait_for` has looked at
        self._ids = count(1)

    def ask(self, type_: str, **members: Any) -> dict[str, Any]:
        """The answer to a request."""
        number = next(self._ids)
        self._client.send(json.dumps({"type": type_, **members, "id": number}))
        while (message := receive(self._client)).get("id") != number:
            self.heard.append(message)
        return message

    def wait_for(self, type_: str, **members: Any) -> dict[str, Any]:
        """The next message of that type with those members, of itself or of its ``data``."""
        deadline = time.monotonic() + RECEIVE_S
        while time.monotonic() < deadline:
            if self._taken[type_] == len(self.heard):
                self.heard.append(receive(self._client))
            message = self.heard[self._taken[type_]]
            self._taken[type_] += 1
            data = message.get("data")
            found = {**(data if isinstance(data, dict) else {}), **message}
            if message["type"] == type_ and members.items() <= found.items():
                return message
        heard = Counter((message["type"], message.get("bot")) for message in self.heard)
        raise AssertionError(f"no {type_} with {members} in {RECEIVE_S:g} s, but {heard}")

    def events_of(self, bot: str) -> list[dict[str, Any]]:
        """The ``event`` messages of a bot so far."""
        return [message for message in self.heard if (message["type"], message.get("bot")) == ("event", bot)]


@contextmanager
def conversing(address: str, password: str = PASSWORD, key: str = KEY) -> Iterator[Conversation]:
    """A client that logged in and asked for nothing yet."""
    with connect(address) as client:
        client.send(json.dumps({**json.loads(auth_message(password, key)), "subscribe": []}))
        result = receive(client)
        assert result["success"], result
        yield Conversation(client)
