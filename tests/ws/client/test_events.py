"""Each event once and in order, across losses; a gap where some are lost."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw
from state_wire import ALL, Wire, heard

from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.client import EventUpdate, GapUpdate
from passivbot_ws_plugin.client.state import State
from passivbot_ws_plugin.history import events as event_history
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import (
    ConfigChanged,
    EventMessage,
    Place,
    Subscribe,
    Subscribed,
    event_data,
    statistics_data,
)


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
    too_large = make_event(details={"text": "x" * event_history.EVENTS_MAX_BYTES})
    cache.put_event("main", 2, event_data(too_large))
    assert Wire(cache, state).deliver() == [GapUpdate("main", cache.epoch, 2, 2)]
    assert Wire(cache, state).deliver() == []
    restarted = Cache()
    restarted.put_statistics("main", statistics_data(make_statistics()))
    assert Wire(restarted, state).deliver() == [GapUpdate("main", cache.epoch, 3, None)]
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
        heard(state, Subscribed("events", cache.epoch, None, id=Raw(json.dumps(request_id).encode())))
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
