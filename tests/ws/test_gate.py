from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from passivbot_ws_plugin.gate import Gate
from passivbot_ws_plugin.options import Limits
from passivbot_ws_plugin.rate import TokenBucket

LIMITS = Limits(unauthenticated=4, unauthenticated_per_address=2, connections=6, connections_per_address=3)


def turned(gate: Gate, peer: str) -> tuple[int, str] | None:
    refusal = gate.enter(peer)
    return None if refusal is None else (refusal.status.value, refusal.reason)


def test_strangers_of_one_address() -> None:
    gate = Gate(LIMITS)
    assert [turned(gate, "a") for _ in range(3)] == [None, None, (429, "unauthenticated_per_address")]
    gate.promote("a")
    assert turned(gate, "a") is None
    assert turned(gate, "b") is None


def test_connections_of_one_address() -> None:
    gate = Gate(LIMITS)
    for _ in range(3):
        assert turned(gate, "a") is None
        gate.promote("a")
    assert turned(gate, "a") == (429, "connections_per_address")
    gate.leave("a", was_promoted=True)
    assert turned(gate, "a") is None


def test_all_strangers_and_all_connections() -> None:
    gate = Gate(LIMITS)
    for peer in "abcd":
        assert turned(gate, peer) is None
    assert turned(gate, "e") == (503, "unauthenticated")
    for peer in "abcd":
        gate.promote(peer)
    assert [turned(gate, peer) for peer in "ef"] == [None, None]
    assert turned(gate, "g") == (503, "connections")


def test_an_ipv6_household_is_one_address() -> None:
    gate = Gate(LIMITS)
    assert [turned(gate, f"2001:db8::{number}") for number in range(3)][-1] == (
        429,
        "unauthenticated_per_address",
    )


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["enter", "promote", "leave"])), max_size=80)
)
def test_whoever_comes_and_goes_the_counts_return_to_nothing(events: list[tuple[str, str]]) -> None:
    gate = Gate(LIMITS)
    inside: dict[str, list[bool]] = {peer: [] for peer in "abc"}
    for peer, event in events:
        if event == "enter" and gate.enter(peer) is None:
            inside[peer].append(False)
        elif event == "promote" and False in inside[peer]:
            gate.promote(peer)
            inside[peer][inside[peer].index(False)] = True
        elif event == "leave" and inside[peer]:
            gate.leave(peer, was_promoted=inside[peer].pop())
        assert sum(map(len, inside.values())) <= LIMITS.connections
        assert all(kinds.count(False) <= LIMITS.unauthenticated_per_address for kinds in inside.values())
    for peer, kinds in inside.items():
        for was_promoted in kinds:
            gate.leave(peer, was_promoted=was_promoted)
    assert gate.addresses == 0


def test_a_bucket_allows_a_burst_and_then_its_rate() -> None:
    now = [0.0]
    bucket = TokenBucket(5, 20, lambda: now[0])
    assert [bucket.take() for _ in range(21)].count(True) == 20
    now[0] = 0.2
    assert [bucket.take(), bucket.take()] == [True, False]
    now[0] = 1_000.0
    assert [bucket.take() for _ in range(21)].count(True) == 20
