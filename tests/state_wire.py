"""A connection between the Python client's state and the server's real session, without a socket."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from servers import KEY, PASSWORD

from passivbot_ws_plugin.access.auth import Principal
from passivbot_ws_plugin.client import Update
from passivbot_ws_plugin.client.incoming import Incoming, decode
from passivbot_ws_plugin.client.state import Request, State
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import Subscribe
from passivbot_ws_plugin.prepared import Prepared
from passivbot_ws_plugin.rate import TokenBucket
from passivbot_ws_plugin.settings.credentials import Credential
from passivbot_ws_plugin.settings.options import Limits
from passivbot_ws_plugin.streaming.session import Answer, Session
from passivbot_ws_plugin.streaming.subscriber import Subscriber

PRINCIPAL = Principal(
    Credential(KEY, PASSWORD, frozenset({"statistics", "events", "config"}), None, "path"), "token"
)
ALL = (Subscribe("statistics", mode="delta"), Subscribe("events"), Subscribe("config"))


class Line:
    """What the server wrote and the client did not read yet."""

    descriptor: int | None = None
    window_bits: int | None = None
    on_descriptor: Callable[[], None] | None = None

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()

    def push(self, *messages: Prepared) -> int:
        self.frames += [message.payload for message in messages]
        return 0

    def write(self, data: bytes) -> int:
        raise AssertionError("it has no descriptor that took a part")

    def unsent_bytes(self) -> int:
        return 0

    def drop(self, reason: str) -> None:
        raise AssertionError(reason)

    def cut(self, code: int, reason: str) -> None:
        raise AssertionError(code, reason)


class Wire:
    """A connection between a `State` and the server's real session, feeds and histories, without a socket."""

    def __init__(self, cache: Cache, state: State) -> None:
        self.line, self.state = Line(), state
        self.sent: deque[str] = deque()  # requests that the server did not read yet
        self.client = Subscriber(self.line, Limits(), lambda: 0.0)
        self.session = Session(
            PRINCIPAL,
            cache,
            include_secrets=lambda: True,
            bad_messages_max=1,
            rate=TokenBucket(1, 1_000_000, lambda: 0.0),
        )
        for answer in self.session.begin(json.loads(msgspec.json.encode(state.begin()))):
            self.give(answer)

    def ask(self, requests: list[Request]) -> None:
        self.sent.extend(msgspec.json.encode(request).decode() for request in requests)

    def serve(self) -> None:
        while self.sent:
            self.give(self.session.receive(self.sent.popleft()))

    def give(self, answer: Answer) -> None:
        assert not answer.is_last, answer
        if answer.payload is not None:
            self.client.answer(answer.payload)
        if answer.feed is not None and answer.channel is not None:
            self.client.subscribe(answer.channel, answer.feed)
        elif answer.channel is not None:
            self.client.unsubscribe(answer.channel)

    def messages(self, at_most: int = 1_000_000) -> Iterator[tuple[Incoming, Update | None]]:
        while self.line.frames and at_most:
            at_most -= 1
            message = decode(self.line.frames.popleft())
            assert message is not None
            update, requests = self.state.receive(message)
            self.ask(requests)
            yield message, update

    def deliver(self) -> list[Update]:
        updates: list[Update] = []
        while self.sent or self.line.frames:
            self.serve()
            updates += [update for _, update in self.messages() if update is not None]
        return updates


def heard(state: State, message: Any) -> tuple[Update | None, list[Request]]:
    """What comes of a message that no server of ours has sent."""
    # Not by the server's own encoder, which is held to the contract: some of these break it.
    decoded = decode(msgspec.json.encode(message))
    assert decoded is not None
    return state.receive(decoded)
