from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from passivbot_hooks import Position
from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.history.statistics import StatisticsHistory
from passivbot_ws_plugin.keyed import from_keyed, to_keyed
from passivbot_ws_plugin.merge_patch import apply
from passivbot_ws_plugin.messages import StatisticsData, statistics_data
from passivbot_ws_plugin.prepared import Prepared

#: So many that a change of one is a small part of the whole.
HELD = tuple(
    Position(f"COIN{number}/USDT:USDT", "long", 1.0, 100.0, upnl=0.5, last_price=100.5, wallet_exposure=0.1)
    for number in range(20)
)


def state(**changes: Any) -> StatisticsData:
    return statistics_data(make_statistics(**{"positions": HELD, **changes}))


def put(history: StatisticsHistory, **changes: Any) -> StatisticsData:
    data = state(**changes)
    assert history.put(data)
    return data


def patched(data: StatisticsData, message: Prepared | None) -> StatisticsData:
    """What a client has after a message."""
    assert message is not None
    document = json.loads(message.payload)
    if document["type"] == "statistics":
        keyed = {
            **document["data"],
            "positions": {f"{item['symbol']}|{item['side']}": item for item in document["data"]["positions"]},
        }
        return from_keyed(keyed)
    keyed_before = to_keyed(data)
    assert keyed_before is not None
    return from_keyed(apply(document["patch"], keyed_before))


def told(message: Prepared | None) -> dict[str, Any]:
    assert message is not None
    document: dict[str, Any] = json.loads(message.payload)
    return document


def test_a_change_is_a_difference_in_anything_but_the_timestamp() -> None:
    history = StatisticsHistory("main", "e")
    assert history.update(None) is history.snapshot
    assert history.snapshot.payload == b""
    put(history, timestamp=1)
    assert not history.put(state(timestamp=2))
    assert (history.seq, history.timestamp) == (1, 2)
    put(history, timestamp=3, balance=1.0)
    message = json.loads(history.snapshot.payload)
    assert (message["seq"], message["epoch"], message["bot"]) == (2, "e", "main")
    assert message["data"]["timestamp"] == 3


def test_a_change_of_one_figure_costs_a_tenth_of_the_state() -> None:
    history = StatisticsHistory("main", "9f2c61d0a4b35e77")
    before = put(history)
    after = put(history, balance=9_999.5, timestamp=1_678_886_401_000)
    update = history.update(1)
    assert update is not None
    assert len(update) * 10 <= len(history.snapshot)
    document = json.loads(update.payload)
    assert (document["type"], document["base"], document["seq"]) == ("statistics_delta", 1, 2)
    assert document["patch"] == {"balance": 9999.5, "timestamp": 1_678_886_401_000}
    assert patched(before, update) == after


def test_who_is_at_the_latest_gets_nothing_and_who_is_nowhere_the_state() -> None:
    history = StatisticsHistory("main", "e")
    put(history)
    put(history, balance=1.0)
    assert history.update(2) is None
    for place in (None, 0, 3, 999):
        assert history.update(place) is history.snapshot


@pytest.mark.parametrize(
    "change",
    [
        {"upnl": None},  # a null
        {"positions": (*HELD, Position("NEW", "long", None, 1.0))},  # a null within
        {"positions": tuple(replace(position, side="short") for position in HELD)},  # more than half
        {"positions": (*HELD, HELD[0])},  # two of one key
    ],
)
def test_what_a_patch_cannot_say_comes_whole(change: dict[str, Any]) -> None:
    history = StatisticsHistory("main", "e")
    put(history)
    put(history, balance=1.0)
    put(history, balance=1.0, **change)
    assert history.update(2) is history.snapshot
    assert history.update(1) is history.snapshot


def test_what_went_and_came_back_is_no_change_to_who_saw_neither() -> None:
    history = StatisticsHistory("main", "e")
    put(history)
    put(history, positions=HELD[1:])
    put(history)
    assert told(history.update(1))["patch"] == {}
    assert list(told(history.update(2))["patch"]["positions"]) == ["COIN0/USDT:USDT|long"]


def bases(history: StatisticsHistory) -> list[int]:
    """The places from which a delta leads to the latest state."""
    updates = {base: told(history.update(base)) for base in range(1, history.seq)}
    return [base for base, update in updates.items() if update["type"] == "statistics_delta"]


def test_128_states_are_kept() -> None:
    history = StatisticsHistory("main", "e")
    for number in range(131):
        put(history, balance=float(number))
    assert bases(history) == list(range(3, 131))


def test_128_states_of_a_bot_with_a_hundred_positions_are_kept() -> None:
    history, chance, known = StatisticsHistory("main", "e"), Random(0), []
    for number in range(130):
        held = (replace(HELD[0], symbol=f"COIN{count}", upnl=chance.uniform(-10, 10)) for count in range(100))
        known.append(put(history, positions=tuple(held), balance=float(number)))
    assert history.put(structs.replace(known[2], balance=130.0))
    assert told(history.update(2))["type"] == "statistics"
    assert told(history.update(3))["patch"] == {"balance": 130.0}


def test_1_mib_of_deflated_states_is_kept() -> None:
    history, noise = StatisticsHistory("main", "e"), Random(0).randbytes(200_000).hex()
    for number in range(9):
        put(history, exchange=noise, version=str(number))
    assert bases(history) == [5, 6, 7, 8]  # a hexadecimal digit is four bits, and a little


@st.composite
def states(draw: st.DrawFn) -> list[StatisticsData]:
    held = st.lists(
        st.builds(
            Position,
            symbol=st.sampled_from([f"COIN{number}" for number in range(12)]),
            side=st.sampled_from(["long", "short"]),
            size=st.integers(1, 3),
            entry_price=st.sampled_from([1.0, 2.5]),
            upnl=st.sampled_from([None, 0.0, -1.25]),
        ),
        max_size=12,
        unique_by=lambda position: (position.symbol, position.side),
    )
    one = st.builds(
        lambda balance, positions, timestamp, status: statistics_data(
            make_statistics(balance=balance, positions=tuple(positions), timestamp=timestamp, status=status)
        ),
        st.sampled_from([None, 1.0, 2.0]),
        held,
        st.integers(1, 3),
        st.sampled_from([None, "running", "stopped"]),
    )
    return draw(st.lists(one, min_size=2, max_size=8))


@given(states(), st.data())
def test_from_whatever_place_an_update_leads_to_the_latest_state(
    sequence: list[StatisticsData], data: st.DataObject
) -> None:
    history = StatisticsHistory("main", "e")
    known: dict[int, StatisticsData] = {}
    for one in sequence:
        if history.put(one):
            known[history.seq] = one
        if history.seq and data.draw(st.booleans()):
            base = data.draw(st.sampled_from(sorted(known)))
            update = history.update(base)
            if base == history.seq:
                assert update is None
            else:
                assert patched(known[base], update) == known[history.seq]
