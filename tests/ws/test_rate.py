from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passivbot_ws_plugin.rate import TokenBucket, cost


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_at_once_and_then_as_fast_as_it_fills(clock: Clock) -> None:
    bucket = TokenBucket(2.0, 3, clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.now = 0.49
    assert not bucket.take()
    clock.now = 0.5
    assert [bucket.take(), bucket.take()] == [True, False]


def test_it_holds_no_more_than_a_burst(clock: Clock) -> None:
    bucket = TokenBucket(2.0, 3, clock)
    clock.now = 1_000.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_what_is_refused_costs_nothing(clock: Clock) -> None:
    bucket = TokenBucket(2.0, 3, clock)
    assert bucket.take(2)
    assert not bucket.take(2)
    assert bucket.take()


def test_what_it_can_never_hold_can_be_had_once_it_is_full(clock: Clock) -> None:
    bucket = TokenBucket(1.0, 3, clock)
    assert bucket.take(100)
    clock.now = 2.9
    assert not bucket.take(100)
    clock.now = 3.0
    assert bucket.take(100)


@given(st.lists(st.tuples(st.integers(1, 5), st.floats(0, 3)), max_size=50))
def test_never_more_than_a_burst_and_what_came_since(takes: list[tuple[int, float]]) -> None:
    clock = Clock()
    bucket, taken = TokenBucket(1.5, 5, clock), 0
    for count, pause_s in takes:
        clock.now += pause_s
        if bucket.take(count):
            taken += count
        assert taken <= 5 + 1.5 * clock.now + 1e-6


@pytest.mark.parametrize(("length", "messages"), [(0, 1), (8_191, 1), (8_192, 2), (65_536, 9)])
def test_a_longer_message_costs_one_more_for_each_8_kib(length: int, messages: int) -> None:
    assert cost("x" * length) == cost(b"x" * length) == messages
