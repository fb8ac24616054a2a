"""How long the client waits before it comes back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from passivbot_ws_plugin.client.backoff import NOT_BEFORE_MAX_S, Backoff


def test_the_bound_of_the_pauses_doubles_to_its_maximum_and_begins_anew() -> None:
    bounds: list[float] = []

    def chance(low: float, high: float) -> float:
        assert low == 0
        bounds.append(high)
        return high / 2

    backoff = Backoff(0.5, 3.0, chance)
    assert [backoff.pause_s() for _ in range(5)] == [0.25, 0.5, 1.0, 1.5, 1.5]
    assert bounds == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.pause_s(10.0) == 10.25
    assert backoff.pause_s(1e9) == NOT_BEFORE_MAX_S + 0.5


@given(st.integers(1, 5000))
def test_no_number_of_failures_breaks_it(failures: int) -> None:
    backoff = Backoff(0.5, 30.0)
    assert all(0 <= backoff.pause_s() <= 30 for _ in range(failures))
