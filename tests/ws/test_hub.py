from __future__ import annotations

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.cache import Cache
from passivbot_ws_plugin.hub import Client, Hub
from passivbot_ws_plugin.messages import statistics_data
from passivbot_ws_plugin.options import Limits

LIMITS = Limits(buffer_soft_bytes=2_000, buffer_hard_bytes=5_000, buffer_soft_s=10)


class Line:
    """A connection whose other end reads only when it is told to."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.unsent = 0
        self.dropped: list[str] = []

    def write(self, payload: bytes) -> None:
        self.written.append(payload)
        self.unsent += len(payload)

    def unsent_bytes(self) -> int:
        return self.unsent

    def drop(self, reason: str) -> None:
        self.dropped.append(reason)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def change(cache: Cache, number: int, bot: str = "main") -> bytes:
    payload = cache.put_statistics(bot, statistics_data(make_statistics(balance=float(number))))
    assert payload is not None
    return payload


async def test_a_new_client_gets_every_snapshot_then_every_change() -> None:
    cache = Cache()
    snapshots = [change(cache, 1, "a"), change(cache, 2, "b")]
    hub, line = Hub(cache), Line()
    client = Client(line, Limits(), Clock())
    hub.join(client)
    update = change(cache, 3, "a")
    hub.publish("a", update)
    assert line.written == [*snapshots, update]
    hub.leave(client)
    hub.publish("a", change(cache, 4, "a"))
    assert len(line.written) == 3
    assert len(hub) == 0


async def test_a_slow_client_gets_the_latest_state_and_not_the_history() -> None:
    cache, line, clock = Cache(), Line(), Clock()
    client = Client(line, LIMITS, clock)
    hub = Hub(cache)
    hub.join(client)
    sent = 0
    while not client.is_behind:
        sent += 1
        hub.publish("main", change(cache, sent))
    for number in range(sent + 1, sent + 50):
        hub.publish("main", change(cache, number))
    assert len(line.written) == sent
    line.unsent = 0
    client.pay(cache)
    assert line.written[-1] == cache.snapshot("main")
    assert len(line.written) == sent + 1
    assert not client.is_behind
    assert not line.dropped


def test_one_that_stays_slow_is_dropped_after_its_time() -> None:
    line, clock = Line(), Clock()
    client = Client(line, LIMITS, clock)
    client.answer(b"x" * 2_001)
    clock.now = 9.9
    client.check()
    assert not line.dropped
    clock.now = 10.1
    client.check()
    assert line.dropped == ["unsent bytes over buffer_soft_bytes for too long"]


def test_one_that_catches_up_starts_anew() -> None:
    line, clock = Line(), Clock()
    client = Client(line, LIMITS, clock)
    client.answer(b"x" * 2_001)
    clock.now = 9.0
    line.unsent = 0
    client.check()
    client.answer(b"x" * 2_001)
    clock.now = 18.0
    client.check()
    assert not line.dropped


def test_the_hard_limit_drops_at_once() -> None:
    line = Line()
    Client(line, LIMITS, Clock()).answer(b"x" * 5_001)
    assert line.dropped == ["unsent bytes over buffer_hard_bytes"]
