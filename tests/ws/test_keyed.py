from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passivbot_hooks import Position
from passivbot_hooks.testing import make_statistics
from passivbot_ws_plugin.keyed import from_keyed, to_keyed
from passivbot_ws_plugin.messages import statistics_data

positions = st.builds(
    Position,
    symbol=st.sampled_from(["BTC/USDT:USDT", "ETH/USDT:USDT", "A", "Ä", "\U0001d538", "\uffee"]),
    side=st.sampled_from(["long", "short"]),
    size=st.floats(0, 9),
    entry_price=st.none() | st.floats(0, 9),
)


@given(st.lists(positions, max_size=6, unique_by=lambda position: (position.symbol, position.side)))
def test_there_and_back(held: list[Position]) -> None:
    data = statistics_data(make_statistics(positions=tuple(held)))
    state = to_keyed(data)
    assert state is not None
    assert from_keyed(state) == data
    assert [position.key for position in data.positions] == sorted(state["positions"])


def test_two_positions_of_one_key_have_no_keyed_form() -> None:
    position = Position("BTC/USDT:USDT", "long", 1.0, 2.0)
    held = (position, replace(position, size=3.0))
    assert to_keyed(statistics_data(make_statistics(positions=held))) is None


def test_what_is_no_state_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        from_keyed({"positions": {"a": {}}})
    with pytest.raises(msgspec.ValidationError):
        from_keyed({})
