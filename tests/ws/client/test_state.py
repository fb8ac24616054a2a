from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from servers import KEY, PASSWORD

from passivbot_hooks import Position
from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.auth import Principal
from passivbot_ws_plugin.cache import Cache
from passivbot_ws_plugin.client import EventUpdate, GapUpdate, RequestError, StatisticsUpdate, Update
from passivbot_ws_plugin.client.incoming import Incoming, UnusableError, decode
from passivbot_ws_plugin.client.state import Request, State
from passivbot_ws_plugin.credentials import Credential
from passivbot_ws_plugin.history import events as event_history
from passivbot_ws_plugin.hub import Client
from passivbot_ws_plugin.messages import (
    ConfigChanged,
    EventMessage,
    Place,
    StatisticsDelta,
    StatisticsMessage,
    Subscribe,
    Subscribed,
    encode,
    encode_value,
    event_data,
    statistics_data,
)
from passivbot_ws_plugin.options import Limits
from passivbot_ws_plugin.prepared import Prepared
from passivbot_ws_plugin.rate import TokenBucket
from passivbot_ws_plugin.session import Answer, Session

PRINCIPAL = Principal(
    Credential(KEY, PASSWORD, frozenset({"statistics", "events", "config"}), None, "path"), "token"
)
ALL = (Subscribe("statistics", mode="delta"), Subscribe("events"), Subscribe("config"))


class Line:
    """What the server wrote and the client did not read yet."""

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()

    def push(self, message: Prepared) -> int:
        self.frames.append(message.payload)
        return 0

    def unsent_bytes(self) -> int:
        return 0

    def drop(self, reason: str) -> None:
        raise AssertionError(reason)


class Wire:
    """A connection between a `State` and the server's real session, feeds and histories, without a socket."""

    def __init__(self, cache: Cache, state: State) -> None:
        self.line, self.state = Line(), state
        self.sent: deque[str] = deque()  # requests that the server did not read yet
        self.client = Client(self.line, Limits(), lambda: 0.0)
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


class AnyCourseOfThings(RuleBasedStateMachine):
    """The client ends with exactly the server's states, and with every event, each once and in order.

    However connections and servers come and go; what a run of the server took with it shows as a gap.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache()
        self.state = State(ALL)
        self.wire: Wire | None = None
        self.balance = 0.0
        self.begins: dict[str, int] | None = None  # the first event that is news, by bot
        self.places: dict[str, tuple[str, int]] = {}

    bots = st.sampled_from(["a", "b", "c"])

    @rule(
        bot=bots,
        held=st.lists(st.sampled_from("ABCDE"), max_size=5, unique=True),
        upnl=st.none() | st.floats(-9, 9),
    )
    def trade(self, bot: str, held: list[str], upnl: float | None) -> None:
        self.balance += 1
        positions = tuple(Position(symbol, "long", 1.0, 2.0, upnl=upnl) for symbol in held)
        stats = make_statistics(balance=self.balance, positions=positions, upnl=upnl)
        self.cache.put_statistics(bot, statistics_data(stats))
        if self.wire is not None:
            self.wire.client.touch("statistics", bot)

    @rule(bot=bots, count=st.integers(1, 3))
    def happen(self, bot: str, count: int) -> None:
        for _ in range(count):
            history = self.cache.bots.get(bot)
            seq = 1 if history is None else history.events.seq + 1
            assert self.cache.put_event(bot, seq, event_data(make_event()))
            if self.wire is not None:
                self.wire.client.touch("events", bot)

    @rule(size=st.integers(1, 4))
    def deliver(self, size: int) -> None:
        self.take(size)

    @rule()
    def serve(self) -> None:
        if self.wire is not None:
            self.wire.serve()

    @rule()
    def connect(self) -> None:
        self.lose()
        self.wire = Wire(self.cache, self.state)

    @rule()
    def lose(self) -> None:
        self.wire = None

    @rule()
    def restart(self) -> None:
        self.wire = None
        self.cache = Cache()

    @precondition(lambda self: self.wire is not None and not self.state.are_events_paused)
    @rule()
    def pause(self) -> None:
        assert self.wire is not None
        self.wire.ask(self.state.pause_events())

    @precondition(lambda self: self.wire is not None and self.state.are_events_paused)
    @rule()
    def resume(self) -> None:
        assert self.wire is not None
        self.wire.ask(self.state.resume_events())

    def take(self, size: int = 1_000_000) -> None:
        if self.wire is None:
            return
        for message, update in self.wire.messages(size):
            if (
                self.begins is None
                and isinstance(message, Subscribed)
                and self.state._event_places is not None
            ):
                assert isinstance(message.since, dict)
                self.begins = {bot: place.seq for bot, place in message.since.items()}
            match update:
                case EventUpdate(bot=bot, epoch=epoch, seq=seq):
                    known = self.places.get(bot)
                    before = (self.begins or {}).get(bot, 0) if known is None else known[1]
                    assert known is None or known[0] == epoch
                    assert seq == before + 1
                    self.places[bot] = epoch, seq
                case GapUpdate(bot=bot, epoch=epoch, first=first, last=last):
                    # Nothing is lost but with a run of the server.
                    assert last is None
                    assert epoch != self.cache.epoch
                    known = self.places.get(bot)
                    assert first == ((self.begins or {}).get(bot, 0) if known is None else known[1]) + 1
                    self.places[bot] = self.cache.epoch, 0
                case _:
                    pass

    def teardown(self) -> None:
        if self.wire is None or self.state.are_events_paused:
            self.state.are_events_paused = False
            self.connect()
        assert self.wire is not None
        while self.wire.sent or self.wire.line.frames:
            self.serve()
            self.take()
        for bot, history in self.cache.bots.items():
            statistics = history.statistics
            if statistics.data is not None:
                held = self.state.bots[bot]
                assert (held.epoch, held.seq) == (self.cache.epoch, statistics.seq)
                assert held.data == statistics.data
            assert self.begins is not None
            place = self.places.get(bot, (self.cache.epoch, self.begins.get(bot, 0)))
            assert place == (self.cache.epoch, history.events.seq)


TestAnyCourseOfThings = AnyCourseOfThings.TestCase
TestAnyCourseOfThings.settings = settings(max_examples=150, stateful_step_count=30)


def snapshot(seq: int = 1, epoch: str = "e", **changes: Any) -> StatisticsMessage:
    return StatisticsMessage(statistics_data(make_statistics(**changes)), "main", epoch, seq)


def delta(base: int, seq: int, epoch: str = "e", **patch: Any) -> StatisticsDelta:
    return StatisticsDelta("main", epoch, base, seq, encode_value(patch))


def heard(state: State, message: Any) -> tuple[Update | None, list[Request]]:
    # Not by the server's own encoder, which is held to the contract: some of these break it.
    decoded = decode(msgspec.json.encode(message))
    assert decoded is not None
    return state.receive(decoded)


@pytest.mark.parametrize(
    "misfit",
    [
        delta(1, 3, balance=9.0),
        delta(3, 4, balance=9.0),
        delta(2, 3, epoch="another", balance=9.0),
        delta(2, 3, positions={"BTC/USDT:USDT|short": {"size": 1.0}}),  # half a position
        delta(2, 3, balance="much"),
    ],
)
def test_a_delta_that_does_not_fit_is_not_applied_and_the_state_is_asked_for_once(
    misfit: StatisticsDelta,
) -> None:
    state = State(ALL[:1])
    state.begin()
    heard(state, snapshot(2))
    answered = {
        "type": "subscribed",
        "channel": "statistics",
        "epoch": "e",
        "bots": None,
        "id": "statistics-1",
    }
    state.receive(decode(json.dumps(answered)))  # type: ignore[arg-type]
    update, requests = heard(state, misfit)
    assert update is None
    expected = {"type": "subscribe", "channel": "statistics", "mode": "delta", "id": "statistics-2"}
    assert requests == [expected]
    assert heard(state, misfit) == (None, [])
    assert state.bots["main"].data.balance == 10_000.5
    heard(state, snapshot(5, balance=1.0))
    assert heard(state, delta(5, 6, balance=2.0))[0] == StatisticsUpdate(
        "main", "e", 6, statistics_data(make_statistics(balance=2.0))
    )


def test_where_it_stands_goes_with_the_next_login() -> None:
    state = State(ALL[:1])
    assert "since" not in state.begin()[0]
    heard(state, snapshot(17))
    assert state.begin()[0]["since"] == {"main": Place("e", 17)}


@pytest.mark.parametrize("known", [(), ("silent",), ("silent", "loud")])
def test_what_happens_to_any_bot_while_the_client_is_away_is_news(known: tuple[str, ...]) -> None:
    cache, state = Cache(), State(ALL[1:2])
    for bot in known:
        cache.put_statistics(bot, statistics_data(make_statistics()))
    if "loud" in known:
        cache.put_event("loud", 1, event_data(make_event()))  # before it came: no news
    assert Wire(cache, state).deliver() == []
    for bot, seq in (("silent", 1), ("loud", 2 if "loud" in known else 1), ("new", 1)):
        cache.put_event(bot, seq, event_data(make_event()))
    told = [(update.bot, update.seq) for update in Wire(cache, state).deliver()]  # type: ignore[union-attr]
    assert sorted(told) == [("loud", 2 if "loud" in known else 1), ("new", 1), ("silent", 1)]
    assert Wire(cache, state).deliver() == []


def test_the_places_of_an_earlier_run_of_the_program_count() -> None:
    cache = Cache()
    for seq in (1, 2, 3):
        cache.put_event("main", seq, event_data(make_event()))
    state = State([Subscribe("events", since={"main": Place(cache.epoch, 1)})])
    updates = Wire(cache, state).deliver()
    assert [update.seq for update in updates if isinstance(update, EventUpdate)] == [2, 3]


def test_what_the_server_no_longer_has_shows_as_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_history, "EVENTS_MAX", 2)
    cache, state = Cache(), State(ALL)
    cache.put_event("main", 1, event_data(make_event()))
    Wire(cache, state).deliver()
    for seq in range(2, 8):
        cache.put_event("main", seq, event_data(make_event()))
    updates = [update for update in Wire(cache, state).deliver() if not isinstance(update, ConfigChanged)]
    assert updates[0] == GapUpdate("main", cache.epoch, 2, 5)
    assert [update.seq for update in updates[1:] if isinstance(update, EventUpdate)] == [6, 7]


def test_a_gap_is_told_once_though_nothing_comes_after_it() -> None:
    cache, state = Cache(), State(ALL[1:2])
    cache.put_event("main", 1, event_data(make_event()))
    Wire(cache, state).deliver()
    restarted = Cache()
    restarted.put_statistics("main", statistics_data(make_statistics()))
    assert Wire(restarted, state).deliver() == [GapUpdate("main", cache.epoch, 2, None)]
    assert Wire(restarted, state).deliver() == []


def test_an_event_that_comes_twice_and_the_answer_to_an_older_subscription_are_passed_over() -> None:
    cache, state = Cache(), State(ALL[1:2])
    Wire(cache, state).deliver()
    first = EventMessage(event_data(make_event()), "main", cache.epoch, 1)
    assert isinstance(heard(state, first)[0], EventUpdate)
    assert heard(state, first) == (None, [])
    state.pause_events()
    asked = state.resume_events()[0]
    second = EventMessage(event_data(make_event()), "main", cache.epoch, 2)
    for request_id, is_heard in (("events-1", False), (asked["id"], True)):
        answer = {
            "type": "subscribed",
            "channel": "events",
            "epoch": cache.epoch,
            "bots": None,
            "id": request_id,
        }
        state.receive(decode(json.dumps(answer)))  # type: ignore[arg-type]
        assert isinstance(heard(state, second)[0], EventUpdate) is is_heard


def test_a_client_without_room_is_not_sent_the_events() -> None:
    cache, state = Cache(), State(ALL[1:2])
    wire = Wire(cache, state)
    wire.deliver()
    wire.ask(state.pause_events())
    wire.deliver()
    cache.put_event("main", 1, event_data(make_event()))
    wire.client.touch("events", "main")
    assert not wire.line.frames
    wire.ask(state.resume_events())
    assert [type(update) for update in wire.deliver()] == [EventUpdate]


def test_the_config_is_told_again_only_if_it_is_another() -> None:
    cache, state = Cache(), State(ALL[2:])
    cache.put_config("main", {"live": {"a": 1}})
    assert len(Wire(cache, state).deliver()) == 1
    assert Wire(cache, state).deliver() == []
    cache.put_config("main", {"live": {"a": 2}})
    (changed,) = Wire(cache, state).deliver()
    assert isinstance(changed, ConfigChanged)
    assert changed.paths is None


@pytest.mark.parametrize(("code", "kind"), [("forbidden", RequestError), ("rate_limited", UnusableError)])
def test_a_subscription_that_is_refused(code: str, kind: type[Exception]) -> None:
    state = State(ALL[:1])
    request_id = state.begin()[0]["id"]
    error = decode(json.dumps({"type": "error", "code": code, "message": "no", "id": request_id}))
    assert error is not None
    with pytest.raises(kind, match="no"):
        state.receive(error)


def test_an_error_that_is_nobody_s_is_passed_over() -> None:
    state = State(ALL)
    state.begin()
    error = decode('{"type":"error","code":"of a newer server","message":"no"}')
    assert error is not None
    assert state.receive(error) == (None, [])


def test_a_newer_server_may_say_more() -> None:
    assert decode('{"type":"of tomorrow","data":1}') is None
    frame = json.loads(encode(EventMessage(event_data(make_event()), "main", "e", 1)))
    frame["data"]["more"] = frame["more"] = {"x": 1}
    assert isinstance(decode(json.dumps(frame)), EventMessage)


@pytest.mark.parametrize("frame", ['{"type":"statistics","data":{}}', "[]", "{", "", b"\xff", '{"type":1}'])
def test_what_does_not_hold_is_not_passed_over(frame: str | bytes) -> None:
    with pytest.raises(UnusableError):
        decode(frame)


def test_nothing_here_needs_a_loop() -> None:
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
