from __future__ import annotations

import json
from itertools import islice
from typing import Any

import pytest
from followers import HELD, Follower
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.history import events as events_module
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.keyed import to_keyed
from passivbot_ws_plugin.messages import Place, Subscribe, event_data, statistics_data
from passivbot_ws_plugin.streaming.feeds import ConfigFeed, EventFeed, Feed, StatisticsFeed


def put(cache: Cache, balance: float, bot: str = "main") -> None:
    assert cache.put_statistics(bot, statistics_data(make_statistics(balance=balance, positions=HELD)))


def put_event(cache: Cache, seq: int, bot: str = "main", **changes: Any) -> None:
    assert cache.put_event(bot, seq, event_data(make_event(**changes)))


def taken(feed: Feed) -> list[dict[str, Any]]:
    return [json.loads(message.payload) for message in feed.due(0.0) if message]


def due(feed: Feed, now: float = 0.0) -> list[tuple[str, str, int]]:
    """Type, bot and seq of each message that is due."""
    messages = [json.loads(message.payload) for message in feed.due(now) if message]
    return [
        (message["type"], message["bot"], message.get("seq", message.get("last"))) for message in messages
    ]


def statistics(cache: Cache, **request: Any) -> StatisticsFeed:
    return StatisticsFeed(cache, Subscribe("statistics", **request))


def events(cache: Cache, **request: Any) -> EventFeed:
    return EventFeed(cache, Subscribe("events", **request))


# --- statistics -------------------------------------------------------------------------


def test_every_bot_then_what_changes() -> None:
    cache = Cache()
    put(cache, 1.0, "a")
    put(cache, 1.0, "b")
    feed = statistics(cache)
    assert due(feed) == [("statistics", "a", 1), ("statistics", "b", 1)]
    assert due(feed) == []
    put(cache, 2.0, "b")
    put(cache, 1.0, "new")
    for bot in ("b", "new"):
        feed.touch(bot)
    assert due(feed) == [("statistics", "b", 2), ("statistics", "new", 1)]


def test_only_the_bots_that_were_asked_for_known_or_not() -> None:
    cache = Cache()
    put(cache, 1.0, "a")
    feed = statistics(cache, bots=["b"])
    assert due(feed) == []
    put(cache, 1.0, "b")
    for bot in ("a", "b"):
        feed.touch(bot)
    assert due(feed) == [("statistics", "b", 1)]


@pytest.mark.parametrize("mode", ["full", "delta"])
def test_who_has_the_latest_state_is_not_sent_it_again(mode: Any) -> None:
    cache = Cache()
    put(cache, 1.0)
    since = {"main": Place(cache.epoch, 1)}
    feed = statistics(cache, mode=mode, since=since)
    assert due(feed) == []
    put(cache, 2.0)
    feed.touch("main")
    assert due(feed) == [("statistics" if mode == "full" else "statistics_delta", "main", 2)]


def test_who_comes_back_gets_a_delta_from_where_it_stood() -> None:
    cache = Cache()
    for balance in (1.0, 2.0, 3.0):
        put(cache, balance)
    [document] = taken(statistics(cache, mode="delta", since={"main": Place(cache.epoch, 1)}))
    assert (document["base"], document["seq"]) == (1, 3)
    # Of another run of the server, or from the future: the whole state.
    for place in (Place("other", 1), Place(cache.epoch, 99), Place(cache.epoch, 0)):
        assert due(statistics(cache, mode="delta", since={"main": place})) == [("statistics", "main", 3)]


def test_a_rate_is_kept_for_each_bot_and_the_latest_wins() -> None:
    cache = Cache()
    put(cache, 1.0, "a")
    feed = statistics(cache, max_rate=2)
    assert due(feed, 10.0) == [("statistics", "a", 1)]
    assert feed.due_at() is None
    for balance in (2.0, 3.0):
        put(cache, balance, "a")
        feed.touch("a")
        assert due(feed, 10.4) == []
    put(cache, 1.0, "b")
    feed.touch("b")
    assert due(feed, 10.4) == [("statistics", "b", 1)]
    assert feed.due_at() == 10.5
    assert due(feed, 10.5) == [("statistics", "a", 3)]


# --- events -----------------------------------------------------------------------------


def test_what_was_before_the_subscription_is_no_news() -> None:
    cache = Cache()
    put_event(cache, 1)
    feed = events(cache)
    assert due(feed) == []
    put_event(cache, 2)
    put_event(cache, 1, "new")
    for bot in ("main", "new"):
        feed.touch(bot)
    assert due(feed) == [("event", "main", 2), ("event", "new", 1)]


def test_only_kinds_and_symbols_that_were_asked_for() -> None:
    cache = Cache()
    feed = events(cache, kinds=["fill"], symbols=["A"])
    for seq, (kind, symbol) in enumerate([("fill", "A"), ("fill", "B"), ("error", "A"), ("fill", None)], 1):
        put_event(cache, seq, kind=kind, symbol=symbol)
    feed.touch("main")
    assert due(feed) == [("event", "main", 1)]
    put_event(cache, 5, kind="fill", symbol="A")
    feed.touch("main")
    assert due(feed) == [("event", "main", 5)]


def test_who_comes_back_gets_the_events_since() -> None:
    cache = Cache()
    for seq in (1, 2, 3):
        put_event(cache, seq)
    feed = events(cache, since={"main": Place(cache.epoch, 1)})
    assert due(feed) == [("event", "main", 2), ("event", "main", 3)]
    assert due(events(cache, since={"main": Place(cache.epoch, 99)})) == []


def test_who_comes_back_from_the_future_gets_what_happens_from_now_on() -> None:
    cache = Cache()
    put_event(cache, 1)
    feed = events(cache, since={"main": Place(cache.epoch, 99)})
    assert due(feed) == []
    put_event(cache, 2)
    feed.touch("main")
    assert due(feed) == [("event", "main", 2)]


def test_of_a_bot_that_appeared_while_it_was_away_it_gets_all() -> None:
    cache = Cache()
    put_event(cache, 5, "old")
    feed = events(cache)
    assert feed.begins == {"old": Place(cache.epoch, 5)}
    for seq in (1, 2):
        put_event(cache, seq, "new")
    again = events(cache, since=feed.begins)
    assert again.begins == {"old": Place(cache.epoch, 5), "new": Place(cache.epoch, 0)}
    assert due(again) == [("event", "new", 1), ("event", "new", 2)]
    assert due(events(cache, since={}, bots=["old"])) == [("event", "old", 5)]


def test_after_a_restart_of_the_server_a_gap_without_an_end_then_all_that_it_has() -> None:
    cache = Cache()
    since = {"main": Place("before", 7)}
    feed = events(cache, since=since)
    put_event(cache, 1)
    feed.touch("main")
    gap, event = taken(feed)
    expected = {
        "type": "gap",
        "bot": "main",
        "epoch": "before",
        "first": 8,
        "last": None,
        "channel": "events",
    }
    assert gap == expected
    assert event["seq"] == 1
    put_event(cache, 2)
    feed.touch("main")
    assert due(feed) == [("event", "main", 2)]
    again = events(cache, since=since)
    assert again.begins == since  # until the gap was told
    assert due(again) == [("gap", "main", None), ("event", "main", 1), ("event", "main", 2)]


def test_after_a_restart_the_gap_of_a_bot_does_not_wait_until_that_bot_is_known_again() -> None:
    cache = Cache()
    put_event(cache, 1, "other")
    since = {"main": Place("before", 7), "other": Place(cache.epoch, 1)}
    feed = events(cache, since=since)
    assert feed.begins == {"other": Place(cache.epoch, 1)}
    [gap] = taken(feed)
    assert (gap["type"], gap["bot"], gap["first"], gap["last"]) == ("gap", "main", 8, None)
    put_event(cache, 1)
    feed.touch("main")
    assert due(feed) == [("event", "main", 1)]
    assert due(events(cache, since=since, bots=["other"])) == []  # not of one that it did not ask for


# --- configs ----------------------------------------------------------------------------


def test_a_config_now_and_at_each_change_in_the_view_that_counts_then() -> None:
    cache = Cache()
    cache.put_config("main", {"a": 1})
    put(cache, 1.0, "without a config")
    view: Any = "plain"
    feed = ConfigFeed(cache, Subscribe("config"), lambda: view)
    [first] = taken(feed)
    assert (first["bot"], first["paths"]) == ("main", None)
    cache.put_config("main", {"a": 2})
    feed.touch("main")
    [second] = taken(feed)
    assert (second["paths"], second["values"]) == (["/a"], {"/a": 2})
    view = "paths"
    cache.put_config("main", {"a": 3})
    feed.touch("main")
    assert "values" not in taken(feed)[0]


# --- all of it --------------------------------------------------------------------------

BOTS = ("a", "b")


class AnyPace(RuleBasedStateMachine):
    """However slow a client is and however often it comes back: at the end it has the latest state of
    each bot, and each event was told, or was in a gap, exactly once.
    """

    @initialize(mode=st.sampled_from(["full", "delta"]), max_rate=st.sampled_from([None, 1.0]))
    def begin(self, mode: Any, max_rate: float | None) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(events_module, "EVENTS_MAX", 4)
        self.cache, self.follower, self.now = Cache(), Follower(*BOTS), 0.0
        self.numbers = dict.fromkeys(BOTS, 0)
        self.wishes: dict[str, Any] = {"mode": mode, "max_rate": max_rate}
        self.states = statistics(self.cache, **self.wishes)
        self.events = events(self.cache)
        self.begins = self.events.begins

    @rule(bot=st.sampled_from(BOTS), balance=st.integers(0, 3))
    def change(self, bot: str, balance: int) -> None:
        data = statistics_data(make_statistics(balance=float(balance), positions=HELD))
        self.cache.put_statistics(bot, data)
        self.states.touch(bot)

    @rule(bot=st.sampled_from(BOTS), step=st.integers(1, 3))
    def happen(self, bot: str, step: int) -> None:
        self.numbers[bot] += step
        put_event(self.cache, self.numbers[bot], bot)
        self.events.touch(bot)

    @rule(count=st.integers(1, 3))
    def take(self, count: int | None) -> None:
        self.now += 0.3
        for feed in (self.states, self.events):
            for message in islice(filter(None, feed.due(self.now)), count):
                self.follower.receive(message.payload)

    @rule()
    def come_back(self) -> None:
        epoch, told = self.cache.epoch, self.follower.told
        since = {bot: Place(epoch, seq) for bot, seq in self.follower.seqs.items()}
        heard = {bot: Place(epoch, told[bot][-1]) for bot in BOTS if told[bot]}
        self.states = statistics(self.cache, since=since, **self.wishes)
        self.events = events(self.cache, since={**self.begins, **heard})
        self.begins |= {bot: place for bot, place in self.events.begins.items() if bot not in heard}

    def teardown(self) -> None:
        if not hasattr(self, "cache"):
            return
        self.patch.undo()
        self.now += 10
        self.take(None)
        assert self.states.due_at() is None
        for bot, history in self.cache.bots.items():
            if history.statistics.data is not None:
                assert self.follower.states[bot] == to_keyed(history.statistics.data)
            if history.events.seq:
                told = self.follower.told[bot]
                assert told == list(range(told[0], self.numbers[bot] + 1))


TestAnyPace = AnyPace.TestCase
