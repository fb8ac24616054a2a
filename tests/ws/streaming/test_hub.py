from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from followers import HELD, Follower
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.keyed import to_keyed
from passivbot_ws_plugin.messages import Place, Subscribe, event_data, statistics_data
from passivbot_ws_plugin.prepared import Prepared
from passivbot_ws_plugin.settings.options import Limits
from passivbot_ws_plugin.streaming.feeds import EventFeed, StatisticsFeed
from passivbot_ws_plugin.streaming.hub import Hub
from passivbot_ws_plugin.streaming.subscriber import Subscriber

LIMITS = Limits(buffer_soft_bytes=2_000, buffer_hard_bytes=5_000, buffer_soft_s=10)


class Line:
    """A connection whose other end reads only when it is told to."""

    descriptor: int | None = None
    window_bits: int | None = None
    on_descriptor: Callable[[], None] | None = None

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.unsent = 0
        self.dropped: list[str] = []
        self.writes = 0
        self.has_written = asyncio.Event()

    def push(self, *messages: Prepared) -> int:
        self.writes += 1
        self.written += [message.payload for message in messages]
        self.unsent += sum(map(len, messages))
        self.has_written.set()
        return self.unsent

    def write(self, data: bytes) -> int:
        raise AssertionError("it has no descriptor that took a part")

    def unsent_bytes(self) -> int:
        return self.unsent

    def drop(self, reason: str) -> None:
        self.dropped.append(reason)

    def cut(self, code: int, reason: str) -> None:
        self.dropped.append(f"{code} {reason}")

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.written]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def change(cache: Cache, number: int, bot: str = "main") -> bytes:
    assert cache.put_statistics(bot, statistics_data(make_statistics(balance=float(number))))
    return cache.bots[bot].statistics.snapshot.payload


def joined(hub: Hub, cache: Cache, line: Line, limits: Limits = LIMITS, **request: Any) -> Subscriber:
    client = Subscriber(line, limits, Clock())
    hub.join(client)
    hub.subscribe(client, "statistics", StatisticsFeed(cache, Subscribe("statistics", **request)))
    return client


async def test_a_new_client_gets_every_snapshot_then_every_change() -> None:
    cache = Cache()
    snapshots = [change(cache, 1, "a"), change(cache, 2, "b")]
    hub, line = Hub(cache, Limits()), Line()
    client = joined(hub, cache, line, Limits())
    update = change(cache, 3, "a")
    hub.publish("statistics", "a")
    assert line.written == [*snapshots, update]
    hub.leave(client)
    change(cache, 4, "a")
    hub.publish("statistics", "a")
    assert len(line.written) == 3
    assert len(hub) == 0


async def test_a_slow_client_gets_the_latest_state_and_not_the_history_once_it_reads_again() -> None:
    cache, line = Cache(), Line()
    hub = Hub(cache, LIMITS)
    client = joined(hub, cache, line)
    sent = 0
    while not client.is_behind:
        sent += 1
        change(cache, sent)
        hub.publish("statistics", "main")
    for number in range(sent + 1, sent + 50):
        change(cache, number)
        hub.publish("statistics", "main")
    assert len(line.written) == sent
    line.unsent = 0
    line.has_written.clear()
    async with asyncio.timeout(5):  # nothing new comes: the sweep finds it
        await line.has_written.wait()
    assert line.written[-1] == cache.bots["main"].statistics.snapshot.payload
    assert len(line.written) == sent + 1
    assert not client.is_behind
    assert not line.dropped


async def test_a_slow_client_gets_every_event_that_is_kept() -> None:
    cache, line = Cache(), Line()
    hub = Hub(cache, LIMITS)
    client = Subscriber(line, LIMITS, Clock())
    hub.join(client)
    hub.subscribe(client, "events", EventFeed(cache, Subscribe("events")))
    for seq in range(1, 101):
        assert cache.put_event("main", seq, event_data(make_event()))
        hub.publish("events", "main")
    assert client.is_behind
    while client.is_behind:
        line.unsent = 0
        client.pump()
    assert [message["seq"] for message in line.messages] == list(range(1, 101))


async def test_a_limited_rate_is_kept_and_the_last_state_comes_by_itself() -> None:
    cache, line = Cache(), Line()
    hub = Hub(cache, LIMITS)
    client = Subscriber(line, Limits(), asyncio.get_running_loop().time)
    hub.join(client)
    hub.subscribe(client, "statistics", StatisticsFeed(cache, Subscribe("statistics", max_rate=20)))
    for number in range(10):
        change(cache, number)
        hub.publish("statistics", "main")
    assert [message["seq"] for message in line.messages] == [1]
    line.has_written.clear()
    async with asyncio.timeout(5):
        await line.has_written.wait()
    assert [message["seq"] for message in line.messages] == [1, 10]


async def test_many_with_a_rate_of_their_own_are_all_served(caplog: pytest.LogCaptureFixture) -> None:
    cache, clock = Cache(), asyncio.get_running_loop().time
    hub = Hub(cache, Limits())
    lines = [Line() for _ in range(8)]
    for number, line in enumerate(lines):
        client = Subscriber(line, Limits(), clock)
        hub.join(client)
        feed = StatisticsFeed(cache, Subscribe("statistics", max_rate=1_000.0 - number))
        hub.subscribe(client, "statistics", feed)
    for number in range(200):
        change(cache, number)
        hub.publish("statistics", "main")
        await asyncio.sleep(0)
    for line in lines:
        async with asyncio.timeout(10):
            while line.messages[-1]["seq"] < 200:
                line.has_written.clear()
                await line.has_written.wait()
    assert not caplog.records
    assert len(hub) == len(lines)


class _Broken(EventFeed):
    """A feed with a bug."""

    def due(self, now: float) -> Iterator[Prepared]:
        raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")


async def test_what_goes_wrong_with_one_client_ends_no_other(caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache()
    hub = Hub(cache, LIMITS)
    broken, good = Line(), Line()
    for line in (broken, good):
        client = Subscriber(line, LIMITS, Clock())
        hub.join(client)
        hub.subscribe(client, "events", EventFeed(cache, Subscribe("events")))
        if line is broken:
            client._feeds["events"] = _Broken(cache, Subscribe("events"))
    for seq in (1, 2):
        assert cache.put_event("main", seq, event_data(make_event()))
        hub.publish("events", "main")
    assert [message["seq"] for message in good.messages] == [1, 2]
    assert broken.dropped == ["1011 internal error"]
    assert [record.getMessage() for record in caplog.records] == ["event=client.failed"]
    assert len(hub) == 1


async def test_a_thousand_events_are_a_few_writes() -> None:
    cache, line = Cache(), Line()
    for seq in range(1, 1_001):
        assert cache.put_event("main", seq, event_data(make_event()))
    hub = Hub(cache, Limits())
    client = Subscriber(line, Limits(), Clock())
    hub.join(client)
    hub.subscribe(client, "events", EventFeed(cache, Subscribe("events", since={})))
    assert [message["seq"] for message in line.messages] == [*range(1, 1_001)]
    assert line.writes < 10


async def test_many_that_are_due_much_are_served_one_after_the_other() -> None:
    cache = Cache()
    for bot in range(20):
        for seq in range(1, 1_025):
            cache.put_event(f"bot{bot}", seq, event_data(make_event()))
    cache.put_event("last", 1, event_data(make_event(symbol="LAST")))
    hub, clock = Hub(cache, LIMITS), asyncio.get_running_loop().time
    request = Subscribe("events", since={}, symbols=["LAST"])
    lines = [Line() for _ in range(30)]
    clients = [Counted(line, LIMITS, clock) for line in lines]
    for client in clients:
        hub.join(client)
        hub.subscribe(client, "events", EventFeed(cache, request))
    assert [client.turns for client in clients] == [1] + 29 * [0]
    hub._sweep_now()
    assert sum(client.turns for client in clients) < 15  # the loop is due to everybody else now
    async with asyncio.timeout(10):
        for line in lines:
            await line.has_written.wait()
    assert all([message["type"] for message in line.messages] == ["event"] for line in lines)


class Counted(Subscriber):
    turns = 0

    def pump(self) -> None:
        self.turns += 1
        super().pump()


async def test_a_slow_pace_holds_up_no_quicker_one() -> None:
    cache = Cache()
    hub, lines = Hub(cache, LIMITS), {0.1: Line(), 20: Line()}
    for max_rate, line in lines.items():
        client = Subscriber(line, Limits(), asyncio.get_running_loop().time)
        hub.join(client)
        hub.subscribe(client, "statistics", StatisticsFeed(cache, Subscribe("statistics", max_rate=max_rate)))
        for number in range(2):  # the second is to wait: some 10 s for the one, and 50 ms for the other
            change(cache, number)
            hub.publish("statistics", "main")
    lines[20].has_written.clear()
    async with asyncio.timeout(5):
        await lines[20].has_written.wait()
    assert len(lines[0.1].written) == 1


def test_one_that_stays_slow_is_dropped_after_its_time() -> None:
    line, clock = Line(), Clock()
    client = Subscriber(line, LIMITS, clock)
    client.answer(b"x" * 2_001)
    clock.now = 9.9
    client.check()
    assert not line.dropped
    clock.now = 10.1
    client.check()
    assert line.dropped == ["unsent bytes over buffer_soft_bytes for too long"]


def test_one_that_catches_up_starts_anew() -> None:
    line, clock = Line(), Clock()
    client = Subscriber(line, LIMITS, clock)
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
    Subscriber(line, LIMITS, Clock()).answer(b"x" * 5_001)
    assert line.dropped == ["unsent bytes over buffer_hard_bytes"]


async def test_who_keeps_up_walks_in_step_and_who_does_not_comes_back_into_it() -> None:
    cache, line = Cache(), Line()
    change(cache, 0)
    hub = Hub(cache, LIMITS)
    client = joined(hub, cache, line, mode="delta")
    other = joined(hub, cache, Line(), mode="delta", bots=["main"])  # has a wish of its own
    assert client in hub._in_step["delta"]
    assert not hub._in_step["full"]
    assert hub._others == {other}
    line.unsent = LIMITS.buffer_soft_bytes
    change(cache, 1)
    hub.publish("statistics", "main")
    assert client in hub._others
    change(cache, 2)
    hub.publish("statistics", "main")
    line.unsent = 0
    change(cache, 3)
    hub._sweep_now()
    hub.publish("statistics", "main")
    assert client in hub._in_step["delta"]
    assert [message["seq"] for message in line.messages] == [1, 2, 4]


BOTS = ("a", "b")


class AnyClient(RuleBasedStateMachine):
    """Whatever a client subscribes to and however it reads: what it is told fits, and the end is right."""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.cache, self.line, self.follower = Cache(), Line(), Follower(*BOTS)
        limits = Limits(buffer_soft_bytes=6_000, buffer_hard_bytes=2**26)
        self.hub = Hub(self.cache, limits)
        self.client = Subscriber(self.line, limits, Clock())
        self.numbers = dict.fromkeys(BOTS, 0)
        self.do(lambda: self.hub.join(self.client))
        self.do(lambda: self.hub.subscribe(self.client, "events", EventFeed(self.cache, Subscribe("events"))))
        self.subscribe("full", None)

    def do(self, action: Callable[[], None]) -> None:
        async def run() -> None:
            action()

        self.runner.run(run())
        for payload in self.line.written:
            self.follower.receive(payload)
        self.line.written.clear()

    @rule(mode=st.sampled_from(["full", "delta"]), bots=st.sampled_from([None, list(BOTS)]))
    def subscribe(self, mode: Any, bots: list[str] | None) -> None:
        since = {bot: Place(self.cache.epoch, seq) for bot, seq in self.follower.seqs.items()}
        request = Subscribe("statistics", mode=mode, bots=bots, since=since)
        self.do(lambda: self.hub.subscribe(self.client, "statistics", StatisticsFeed(self.cache, request)))

    @rule(bot=st.sampled_from(BOTS), balance=st.integers(0, 3))
    def change(self, bot: str, balance: int) -> None:
        data = statistics_data(make_statistics(balance=float(balance), positions=HELD))
        if self.cache.put_statistics(bot, data):
            self.do(lambda: self.hub.publish("statistics", bot))

    @rule(bot=st.sampled_from(BOTS))
    def happen(self, bot: str) -> None:
        self.numbers[bot] += 1
        self.cache.put_event(bot, self.numbers[bot], event_data(make_event(details={"text": "x" * 500})))
        self.do(lambda: self.hub.publish("events", bot))

    @rule()
    def read(self) -> None:
        self.line.unsent = 0

    @rule()
    def sweep(self) -> None:
        self.do(self.hub._sweep_now)

    @invariant()
    def it_is_in_one_place(self) -> None:
        if hasattr(self, "hub"):
            in_step = self.hub._in_step
            places = [self.client in self.hub._others, *(self.client in group for group in in_step.values())]
            assert sum(places) == 1

    def teardown(self) -> None:
        if not hasattr(self, "hub"):
            return
        while self.client.is_behind:
            self.line.unsent = 0
            self.do(self.hub._sweep_now)
        self.runner.close()
        for bot, history in self.cache.bots.items():
            if history.statistics.data is not None:
                assert self.follower.states[bot] == to_keyed(history.statistics.data)
                assert self.follower.seqs[bot] == history.statistics.seq
            assert self.follower.told[bot] == list(range(1, self.numbers[bot] + 1))


TestAnyClient = AnyClient.TestCase
