from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passivbot_ws_plugin.access.throttle import LOCK_FIRST_S, TABLE_MAX, Throttle
from passivbot_ws_plugin.settings.options import Limits

LIMITS = Limits(auth_failures=3, auth_window_s=60, auth_lock_max_s=10)
BAD, OWNER = "203.0.113.9", "198.51.100.2"


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(LIMITS, clock)


def test_a_lock_comes_after_the_allowed_failures_and_doubles_to_its_maximum(
    throttle: Throttle, clock: Clock
) -> None:
    for number in (1, 2):
        throttle.failed(BAD)
        assert throttle.failures(BAD) == number
    assert throttle.wait_s(BAD) == 0
    locks = []
    for _ in range(5):
        throttle.failed(BAD)
        locks.append(throttle.wait_s(BAD))
        clock.now += throttle.wait_s(BAD)
        assert throttle.wait_s(BAD) == 0
    assert locks == [LOCK_FIRST_S, 4, 8, 10, 10]


def test_the_owner_logs_in_from_elsewhere_while_an_attacker_is_locked(throttle: Throttle) -> None:
    for _ in range(1_000):
        throttle.failed(BAD)
    assert throttle.wait_s(BAD) > 0
    assert throttle.wait_s(OWNER) == 0


def test_failures_spread_over_more_than_the_window_do_not_lock(throttle: Throttle, clock: Clock) -> None:
    for _ in range(20):
        throttle.failed(BAD)
        assert throttle.wait_s(BAD) == 0
        clock.now += 31


def test_quiet_for_a_window_after_the_lock_forgets_it_all(throttle: Throttle, clock: Clock) -> None:
    for _ in range(3):
        throttle.failed(BAD)
    clock.now += LOCK_FIRST_S + 61
    assert throttle.failures(BAD) == 0
    throttle.failed(BAD)
    assert throttle.failures(BAD) == 1
    assert throttle.wait_s(BAD) == 0


def test_the_table_is_bounded(throttle: Throttle) -> None:
    for number in range(TABLE_MAX + 500):
        throttle.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(throttle) == TABLE_MAX


def test_who_failed_longest_ago_is_forgotten_first(throttle: Throttle) -> None:
    others = [f"10.0.{number >> 8}.{number & 255}" for number in range(TABLE_MAX)]
    for address in (BAD, *others[:-1], BAD, others[-1]):
        throttle.failed(address)
    assert len(throttle) == TABLE_MAX
    assert (throttle.failures(others[0]), throttle.failures(BAD)) == (0, 2)


@given(st.lists(st.tuples(st.sampled_from([BAD, OWNER]), st.floats(0, 100)), max_size=60))
def test_one_address_never_locks_another(events: list[tuple[str, float]]) -> None:
    clock = Clock()
    throttle = Throttle(LIMITS, clock)
    for address, pause_s in events:
        clock.now += pause_s
        if address == BAD:
            throttle.failed(BAD)
        assert throttle.wait_s(OWNER) == 0
        assert 0 <= throttle.wait_s(BAD) <= LIMITS.auth_lock_max_s
