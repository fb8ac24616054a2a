from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from passivbot_ws_plugin.audit.flood import ENTRIES_MAX, MANY, WINDOW_S, Flood


def test_the_first_is_written_at_once_and_the_others_once_a_second() -> None:
    flood = Flood()
    assert flood.admits("a", "e", {"n": 1}, 0.0)
    assert not flood.admits("a", "e", {"n": 2}, 0.5)
    assert not flood.admits("a", "e", {"n": 3}, 0.9)
    assert flood.take(0.99) == []
    [counted] = flood.take(1.0)
    assert (counted.count, counted.fields) == (2, {"n": 3})
    assert not flood.admits("a", "e", {"n": 4}, 1.5)  # still the same flood
    assert [entry.count for entry in flood.take(2.0)] == [1]
    assert flood.take(3.0) == []
    assert flood.admits("a", "e", {"n": 5}, 3.0)


def test_addresses_and_events_are_counted_apart() -> None:
    flood = Flood()
    assert all(flood.admits(peer, event, {}, 0.0) for peer in "ab" for event in "ef")
    assert not any(flood.admits(peer, event, {}, 0.0) for peer in "ab" for event in "ef")
    assert [entry.count for entry in flood.take(1.0)] == [1, 1, 1, 1]


def test_the_table_is_bounded() -> None:
    flood = Flood()
    written = sum(
        flood.admits(str(number), "e", {"peer": str(number), "port": 5, "n": number}, 0.0)
        for number in range(3 * ENTRIES_MAX)
    )
    assert written == ENTRIES_MAX + 1
    [counted] = flood.take(1.0)
    assert counted.count == 2 * ENTRIES_MAX - 1
    assert counted.fields == {"peer": MANY, "port": 0, "n": 3 * ENTRIES_MAX - 1}
    assert flood.take(2.0) == []
    assert all(flood.admits(str(number), "e", {}, 2.0) for number in range(ENTRIES_MAX))  # it is empty again


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3)), max_size=60))
def test_every_record_is_written_or_counted_and_no_address_more_than_once_a_second(
    steps: list[tuple[str, float]],
) -> None:
    flood, now, written = Flood(), 0.0, 0
    lines: dict[str, list[float]] = {}
    for peer, passed_s in steps:
        now += passed_s
        for entry in flood.take(now):
            written += entry.count
            lines.setdefault(str(entry.fields["peer"]), []).append(now)
        if flood.admits(peer, "e", {"peer": peer}, now):
            written += 1
            lines.setdefault(peer, []).append(now)
    written += sum(entry.count for entry in flood.take_all())
    assert written == len(steps)
    for times in lines.values():
        assert all(later - earlier >= WINDOW_S * 0.999 for earlier, later in pairwise(times))
