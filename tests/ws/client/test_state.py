"""What a client makes of what it hears, and what it asks for then."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from msgspec import Raw
from state_wire import ALL, Wire, heard

from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.client import RequestError, StatisticsUpdate
from passivbot_ws_plugin.client.incoming import UnusableError, decode
from passivbot_ws_plugin.client.state import State
from passivbot_ws_plugin.history.cache import Cache
from passivbot_ws_plugin.messages import (
    ConfigChanged,
    Place,
    StatisticsDelta,
    StatisticsMessage,
    Subscribed,
    encode_value,
    statistics_data,
)


def snapshot(seq: int = 1, *, bot: str = "main", **changes: Any) -> StatisticsMessage:
    return StatisticsMessage(statistics_data(make_statistics(**changes)), bot, "e", seq)


def delta(base: int, seq: int, *, bot: str = "main", epoch: str = "e", **patch: Any) -> StatisticsDelta:
    return StatisticsDelta(bot, epoch, base, seq, encode_value(patch))


def answer(state: State, request_id: str) -> None:
    heard(state, Subscribed("statistics", "e", None, id=Raw(json.dumps(request_id).encode())))


def subscribed() -> State:
    """A state that is subscribed to the statistics."""
    state = State(ALL[:1])
    answer(state, state.begin()[0]["id"])
    return state


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
    state = subscribed()
    heard(state, snapshot(2))
    update, requests = heard(state, misfit)
    assert update is None
    expected = {"type": "subscribe", "channel": "statistics", "mode": "delta", "id": "statistics-2"}
    assert requests == [expected]
    assert heard(state, misfit) == (None, [])
    assert state.bots["main"].data.balance == 10_000.5
    answer(state, "statistics-2")
    heard(state, snapshot(5, balance=1.0))
    assert heard(state, delta(5, 6, balance=2.0))[0] == StatisticsUpdate(
        "main", "e", 6, statistics_data(make_statistics(balance=2.0))
    )


def test_what_is_under_way_when_a_state_is_asked_for_comes_again_and_a_second_misfit_ends_the_deltas() -> (
    None
):
    state = subscribed()
    heard(state, snapshot(1))
    heard(state, snapshot(5, bot="other"))
    for number, mode in ((2, "delta"), (3, "full")):
        update, [request] = heard(state, delta(77, 78, balance=9.0))
        assert (update, request["mode"]) == (None, mode)
        place = Place("e", number + 3)
        assert request["since"] == {"other": place}
        under_way = delta(place.seq, place.seq + 1, bot="other", balance=float(number))
        assert heard(state, under_way) == (None, [])
        answer(state, f"statistics-{number}")
        assert heard(state, under_way)[0] == state.bots["other"]
        heard(state, snapshot(1))
    assert state.begin()[0]["mode"] == "delta"


def test_where_it_stands_goes_with_the_next_login() -> None:
    assert "since" not in State(ALL[:1]).begin()[0]
    state = subscribed()
    heard(state, snapshot(17))
    assert state.begin()[0]["since"] == {"main": Place("e", 17)}


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


def test_nothing_here_needs_a_loop() -> None:
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
