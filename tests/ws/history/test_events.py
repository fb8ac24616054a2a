from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passivbot_hooks.testing import make_event
from passivbot_ws_plugin.history import events as module
from passivbot_ws_plugin.history.events import EventHistory
from passivbot_ws_plugin.messages import EventData, event_data


def everything(event: EventData) -> bool:
    return True


def put(history: EventHistory, *numbers: int, **changes: Any) -> None:
    for number in numbers:
        assert history.put(number, event_data(make_event(**changes)))


def due(history: EventHistory, place: int) -> list[tuple[str, int, int | None]]:
    """Type, first and last of each message after a place."""
    found = []
    for after, message in history.after(place, everything):
        assert message is not None
        document = json.loads(message.payload)
        first = document.get("first", document.get("seq"))
        last = document.get("last", document.get("seq"))
        assert after == last
        found.append((document["type"], first, last))
    return found


def test_events_come_in_order_after_a_place() -> None:
    history = EventHistory("main", "e")
    assert due(history, 0) == []
    put(history, 1, 2, 3)
    assert due(history, 1) == [("event", 2, 2), ("event", 3, 3)]
    assert due(history, 3) == []


def test_what_was_lost_on_the_way_here_is_a_gap() -> None:
    history = EventHistory("main", "e")
    put(history, 1, 2, 5)
    assert due(history, 1) == [("event", 2, 2), ("gap", 3, 4), ("event", 5, 5)]
    assert due(history, 3) == [("gap", 4, 4), ("event", 5, 5)]


def test_a_number_that_was_there_already_is_passed_over() -> None:
    history = EventHistory("main", "e")
    put(history, 2)
    assert not history.put(2, event_data(make_event()))
    assert not history.put(1, event_data(make_event()))
    assert history.seq == 2


def test_what_was_before_the_first_one_is_not_lost() -> None:
    history = EventHistory("main", "e")
    put(history, 57)
    assert due(history, 0) == [("event", 57, 57)]


def test_1024_are_kept_and_the_rest_is_a_gap() -> None:
    history = EventHistory("main", "e")
    put(history, *range(1, 1_031))
    assert due(history, 1) == [("gap", 2, 6), *(("event", seq, seq) for seq in range(7, 1_031))]


def test_1_mib_is_kept_and_the_rest_is_a_gap() -> None:
    history = EventHistory("main", "e")
    put(history, *range(1, 10), details={"text": "x" * 200_000})
    assert due(history, 1) == [("gap", 2, 4), *(("event", seq, seq) for seq in range(5, 10))]


def test_one_that_is_too_large_to_be_kept_is_a_gap_at_once() -> None:
    history = EventHistory("main", "e")
    put(history, 1, details={"text": "x" * module.EVENTS_MAX_BYTES})
    assert due(history, 0) == [("gap", 1, 1)]
    assert due(history, 1) == []
    put(history, 2)
    assert due(history, 0) == [("gap", 1, 1), ("event", 2, 2)]
    put(history, 3, details={"text": "x" * module.EVENTS_MAX_BYTES})
    assert due(history, 2) == [("gap", 3, 3)]
    put(history, 4)
    assert due(history, 2) == [("gap", 3, 3), ("event", 4, 4)]


def test_what_is_not_wanted_moves_the_place_all_the_same() -> None:
    history = EventHistory("main", "e")
    put(history, 1, 2, kind="fill")
    put(history, 3, kind="error")
    places = list(history.after(0, lambda event: event.kind == "error"))
    assert [place for place, _ in places] == [1, 2, 3]
    assert [message is None for _, message in places] == [True, True, False]


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=30),
    st.integers(1, 10),
    st.lists(st.integers(0, 3), max_size=30),
)
def test_every_number_is_an_event_or_in_a_gap_exactly_once(
    steps: list[int], kept: int, pauses: list[int]
) -> None:
    """Whatever is lost on the way, kept here, and however rarely the client looks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "EVENTS_MAX", kept)
        history, place, number = EventHistory("main", "e"), 0, 0
        told: list[int] = []
        for index, step in enumerate(steps):
            number += step
            put(history, number)
            if index < len(pauses) and pauses[index]:
                continue
            for after, message in history.after(place, everything):
                assert message is not None
                document = json.loads(message.payload)
                first = document.get("first", document.get("seq"))
                told.extend(range(first, after + 1))
                place = after
        for after, message in history.after(place, everything):
            assert message is not None
            document = json.loads(message.payload)
            told.extend(range(document.get("first", document.get("seq")), after + 1))
    assert told == list(range(steps[0], number + 1))
