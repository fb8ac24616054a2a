"""Any course of connections, losses and restarts, tried at random."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from state_wire import ALL, Wire

from passivbot_hooks import Position
from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.client import EventUpdate, GapUpdate
from passivbot_ws_plugin.client.state import State
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import Subscribed, event_data, statistics_data


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
