from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from passivbot_ws_plugin.audit.flood import (
    FORGET_S,
    LINES_BURST,
    LINES_PER_S,
    MANY,
    WAIT_FIRST_S,
    WAIT_MAX_S,
    Flood,
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_is_written_at_once_and_the_others_are_counted() -> None:
    flood = Flood(clock := Clock())
    assert flood.admits("a", "e", {"n": 1})
    clock.now = 0.9
    assert not flood.admits("a", "e", {"n": 2})
    assert not flood.admits("a", "e", {"n": 3})
    assert flood.take() == []
    clock.now = 1.0
    assert flood.take() == [(2, {"n": 3})]
    assert flood.take() == []


def test_who_goes_on_has_a_line_ever_more_rarely() -> None:
    flood, times = Flood(clock := Clock()), []
    for second in range(300):
        clock.now = float(second)
        written = len(flood.take()) + flood.admits("a", "e", {}) + flood.admits("a", "e", {})
        times += [second] * written
    assert times == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]


def test_pausing_gains_little() -> None:
    flood, lines = Flood(clock := Clock()), 0
    for _ in range(1000):
        clock.now += 1.1 * WAIT_FIRST_S  # a pause after each
        lines += len(flood.take()) + flood.admits("a", "e", {})
    assert lines < 10 + clock.now / WAIT_MAX_S


def test_who_was_quiet_begins_anew() -> None:
    flood = Flood(clock := Clock())
    assert flood.admits("a", "e", {})
    clock.now = WAIT_FIRST_S + FORGET_S
    assert flood.take() == []
    assert len(flood) == 0


def test_addresses_and_events_are_counted_apart() -> None:
    flood = Flood(clock := Clock())
    assert all(flood.admits(peer, event, {}) for peer in "ab" for event in "ef")
    assert not any(flood.admits(peer, event, {}) for peer in "ab" for event in "ef")
    clock.now = 1.0
    assert flood.take() == [(1, {})] * 4


def test_one_who_goes_on_leaves_lines_for_the_others() -> None:
    """Who uses up what there is in the long run would have everybody else counted under one name."""
    flood = Flood(clock := Clock())
    for _ in range(24 * 3600):
        clock.now += 1
        flood.take()
        for event in ("a", "b", "c", "d", "e"):
            flood.admits("a", event, {})
    assert all(flood.admits(str(number), "e", {}) for number in range(LINES_BURST - 100))


def test_what_is_beyond_all_lines_is_counted_by_event() -> None:
    flood = Flood(clock := Clock())
    attempts = [(str(number), event) for number in range(LINES_BURST) for event in "ef"]
    written = sum(
        flood.admits(peer, event, {"peer": peer, "port": 5, "event": event}) for peer, event in attempts
    )
    assert written == len(flood) == LINES_BURST
    assert sorted((count, *fields.values()) for count, fields in flood.take()) == [
        (LINES_BURST / 2, MANY, 0, "e"),
        (LINES_BURST / 2, MANY, 0, "f"),
    ]
    clock.now = WAIT_MAX_S - 1
    assert flood.admits("0", "e", {})  # lines come back
    assert [flood.admits(f"late {number}", "f", {"peer": "late"}) for number in range(30)].count(True) == 10
    assert flood.take() == []
    clock.now = WAIT_MAX_S
    assert flood.take() == [(20, {"peer": MANY, "port": 0})]


def test_an_address_for_which_there_is_no_next_line_is_counted_by_event_too() -> None:
    flood = Flood(clock := Clock())
    assert flood.admits("a", "e", {"peer": "a"})
    assert not any(flood.admits("a", "e", {"peer": "a"}) for _ in range(3))
    assert flood._lines.take(LINES_BURST - 1)
    clock.now = WAIT_FIRST_S
    assert flood.take() == [(3, {"peer": MANY, "port": 0})]
    assert len(flood) == 0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("ef"), st.floats(0, 90)), max_size=200))
def test_every_record_is_in_exactly_one_line(steps: list[tuple[str, str, float]]) -> None:
    flood = Flood(clock := Clock())
    assert flood._lines.take(LINES_BURST - 3)  # there are no more
    counted: Counter[str] = Counter()
    lines: dict[tuple[str, str], list[float]] = {}

    def write(count: int, peer: object, event: str) -> None:
        counted[event] += count
        lines.setdefault((str(peer), event), []).append(clock.now)

    for peer, event, passed_s in steps:
        clock.now += passed_s
        for count, fields in flood.take():
            write(count, fields["peer"], str(fields["event"]))
        if flood.admits(peer, event, {"peer": peer, "event": event}):
            write(1, peer, event)
    all_lines = sum(map(len, lines.values()))
    assert all_lines <= 3 + (LINES_PER_S + 2 / WAIT_MAX_S) * clock.now + 2
    for (peer, _), times in lines.items():
        wait_s = WAIT_MAX_S if peer == MANY else WAIT_FIRST_S
        assert all(later - earlier >= wait_s * 0.999 for earlier, later in pairwise(times))
    for count, fields in flood.take_all():
        counted[str(fields["event"])] += count
    assert counted == Counter(event for _, event, _ in steps)
