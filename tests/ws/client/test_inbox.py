"""What was heard and not taken yet."""

from __future__ import annotations

import asyncio

import pytest

from passivbot_hooks.testing import make_event, make_statistics
from passivbot_ws_plugin.client import (
    ConfigChanged,
    Connecting,
    EventUpdate,
    GapUpdate,
    Live,
    LoginError,
    Lost,
    StatisticsUpdate,
)
from passivbot_ws_plugin.client.inbox import Inbox
from passivbot_ws_plugin.messages import event_data, statistics_data

DATA = statistics_data(make_statistics())


def event(seq: int) -> EventUpdate:
    return EventUpdate("main", "e", seq, event_data(make_event()))


async def test_the_latest_state_takes_the_place_of_the_older_and_events_are_all_kept() -> None:
    inbox = Inbox(10)
    newest = StatisticsUpdate("main", "e", 3, DATA)
    for update in (
        Connecting(1), StatisticsUpdate("main", "e", 1, DATA), event(1), Live(), event(2), newest,
        ConfigChanged("main", "h1", ["/a"], {"/a": 1}), ConfigChanged("main", "h2", ["/b"], {"/b": 1}),
    ):  # fmt: skip
        inbox.put(update)
    inbox.end(None)
    taken = []
    while (one := await inbox.take()) is not None:
        taken.append(one)
    assert taken == [Live(), newest, event(1), event(2), ConfigChanged("main", "h2", None)]


async def test_there_is_room_again_from_half_of_the_bound_down() -> None:
    inbox = Inbox(4)
    for seq in range(3):
        inbox.put(event(seq))
    assert inbox.room.is_set()
    inbox.put(GapUpdate("main", "e", 3, None))
    for has_room in (False, False, True):
        assert inbox.room.is_set() is has_room
        await inbox.take()


async def test_who_waits_is_told_of_an_update_and_of_the_end() -> None:
    inbox = Inbox(4)
    for update in (Lost("x", None, 1.0), Live(), None):
        waiting = asyncio.create_task(inbox.take())
        await asyncio.sleep(0)  # it waits now
        assert not waiting.done()
        if update is None:
            inbox.end(None)
        else:
            inbox.put(update)
        async with asyncio.timeout(5):
            assert await waiting == update


async def test_what_ended_it_is_raised_after_the_rest_was_taken_and_again() -> None:
    inbox = Inbox(4)
    inbox.put(Live())
    inbox.end(LoginError("no"))
    assert await inbox.take() == Live()
    for _ in range(2):
        with pytest.raises(LoginError):
            await inbox.take()
